package config

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// esReader reads an eserver.cfg:
//
//	file    = *( line eol )            eol: LF or CRLF; a byte order mark in front is ignored
//	line    = [ comment | setting ]    blanks around it are ignored
//	comment = ( "//" | "#" | ";" ) *any    further on in a line these are data
//	setting = key "=" [value]          blanks around both are ignored; no value: not set
//	value   = *any                     \\ is one backslash; any other backslash stands for itself, with a warning
//
// Blanks are spaces, tabs, and the no-break spaces that a copy from a manual brings. Keys are case-insensitive. The text is UTF-8, or else ISO 8859-1. The keys are those of esKeys; besides, Engine_NAME is the
// command line of a type of engine, and KEY_MODE the value of a key in one mode, where no mode is JD3.
type esReader struct {
	*loader
	file   string
	values map[string][]esValue // by lower-case key, of KEY_ with the mode: procedure_-1
	order  []string             // the keys in the order of the file
}

const esBlanks = " \t\u00a0"

// esValue is what one line says.
type esValue struct {
	text string
	from origin // the key as it is written, and its place
}

// loadEServer reads an eserver.cfg into the Config.
func (l *loader) loadEServer(path string) {
	if !l.from.has("engine") {
		l.from["engine"] = origin{where{path, 1, 1}, "engine"} // even an empty file asks for engines
	}
	text, ok := l.read(path, where{})
	if !ok {
		return
	}
	r := &esReader{loader: l, file: path, values: map[string][]esValue{}}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	latin := !utf8.Valid(text)
	line := 0
	for raw := range bytes.Lines(text) {
		line++
		s := string(raw)
		if latin {
			s = fromLatin1(raw)
		}
		s = strings.TrimRight(s, esBlanks+"\r\n")
		trimmed := strings.TrimLeft(s, esBlanks)
		r.line(trimmed, where{path, line, 1 + len(s) - len(trimmed)})
	}
	r.apply()
	if v, set := r.last("encoding"); set && latin && normalEncoding(v.text) == "UTF8" {
		r.warn(v.from.where, "field %q: value %q: this file is not in UTF-8: it was read as ISO 8859-1", v.from.name, v.text)
	}
}

// fromLatin1 returns b, which is ISO 8859-1, in UTF-8.
func fromLatin1(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

// line handles one line, less the blanks around it.
func (r *esReader) line(text string, at where) {
	if text == "" || text[0] == '#' || text[0] == ';' || strings.HasPrefix(text, "//") {
		return
	}
	if bad := strings.IndexFunc(text, func(c rune) bool { return isControl(c) && c != '\t' }); bad >= 0 {
		at.col += bad
		r.fail(at, "a control character: this is no text, or not in UTF-8 or ISO 8859-1")
		return
	}
	key, value, found := strings.Cut(text, "=")
	key = strings.TrimRight(key, esBlanks)
	switch {
	case !found: // the text is not shown: it may be what is left of a secret
		r.fail(at, "neither a comment, which starts with //, nor Key=Value")
	case key == "":
		r.fail(at, "no key in front of the =")
	default:
		r.setting(key, r.unescape(key, strings.TrimLeft(value, esBlanks), at), at)
	}
}

// unescape returns a value with one backslash for two.
func (r *esReader) unescape(key, value string, at where) string {
	var out strings.Builder
	single := false
	for i := 0; i < len(value); i++ {
		out.WriteByte(value[i])
		if value[i] != '\\' {
			continue
		}
		if i+1 < len(value) && value[i+1] == '\\' {
			i++
		} else {
			single = true
		}
	}
	if single {
		r.warn(at, `field %q: a single backslash: it stands for itself; write \\ for one`, key)
	}
	return out.String()
}

// setting keeps a value under the key that it belongs to.
func (r *esReader) setting(key, value string, at where) {
	id, known := esID(key)
	if !known {
		base, _, _ := strings.Cut(id, "_")
		what := "unknown"
		if k, ok := esKeys[base]; ok && k.byMode {
			what = "unknown; the modes are -1, 0, 1, 2 and 3"
		} else if ok {
			what = "cannot be set for one mode"
		}
		if r.Strict {
			r.fail(at, "field %q: %s", key, what)
		} else {
			r.warn(at, "field %q: %s: ignored", key, what)
		}
		return
	}
	v := esValue{value, origin{at, key}}
	before, twice := r.values[id]
	switch {
	case !twice:
		r.order = append(r.order, id)
	case !esCollects(id):
		r.warn(at, "field %q: set before in line %d: the last one holds", key, before[0].from.line)
		before = nil
	}
	r.values[id] = append(before, v)
}

// esID returns the key of a value in esReader.values, and whether there is such a key.
func esID(key string) (id string, known bool) {
	id = strings.ToLower(key)
	if _, ok := esKeys[id]; ok {
		return id, true
	}
	if _, name := esTypeName(key); name {
		return id, true
	}
	if strings.HasPrefix(id, esConnection) {
		return id, true
	}
	cut := strings.LastIndexByte(id, '_')
	if cut < 0 {
		return id, false
	}
	mode := id[cut+1:]
	if mode == "" {
		mode = "-1"
	}
	k := esKeys[id[:cut]]
	return id[:cut] + "_" + mode, k.byMode && slices.Contains([]string{"-1", "0", "1", "2", "3"}, mode)
}

const esConnection = "webserverconnection_" // and a name

// esTypeName returns the name of the type of engine whose command line key is.
func esTypeName(key string) (name string, ok bool) {
	const prefix = "engine_"
	if len(key) <= len(prefix) || !strings.EqualFold(key[:len(prefix)], prefix) {
		return "", false
	}
	return key[len(prefix):], true
}

// esCollects tells whether each line of a key adds to it.
func esCollects(id string) bool {
	k := esKeys[id]
	return k.how == esList || k.how == esRuns || strings.HasPrefix(id, esConnection)
}

// last returns the value of a key that has one.
func (r *esReader) last(id string) (esValue, bool) {
	all := r.values[id]
	if len(all) == 0 || all[len(all)-1].text == "" {
		return esValue{}, false
	}
	return all[len(all)-1], true
}

// apply moves what the file says into the Config.
func (r *esReader) apply() {
	for _, id := range r.order {
		for _, v := range r.values[id] {
			if v.text != "" {
				r.applyValue(id, v)
			}
		}
	}
	r.applyPorts()
	r.applyControl()
	r.applyOthers()
	r.applyPreset()
}

func (r *esReader) applyValue(id string, v esValue) {
	if name, ok := esTypeName(v.from.name); ok && esKeys[id].name == "" {
		r.addType(name, v)
		return
	}
	base, mode, ofMode := strings.Cut(id, "_")
	k, known := esKeys[id]
	if !known {
		k = esKeys[base]
	}
	switch {
	case strings.HasPrefix(id, esConnection) || k.how == esNothing:
		r.warn(v.from.where, "field %q: has no effect yet", v.from.name)
	case k.how == esElsewhere:
	case !known && ofMode:
		table, path := r.mode(mode, v.from)
		f, _ := lookup(table, strings.TrimPrefix(k.field, "engine.defaults."))
		r.assign(k, f, path+f.name, v)
	default:
		f, ok := r.key(k.field)
		if !ok && k.how != esRuns {
			panic("BUG: config: no field " + k.field)
		}
		r.assign(k, f, k.field, v)
	}
}

// assign sets the field at path to what v is in the unit of k.
func (r *esReader) assign(k esKey, f field, path string, v esValue) {
	switch k.how {
	case esRuns:
		r.addRuns(k.field, v)
		return
	case esList:
		r.addList(f, path, v)
		return
	}
	text, want := k.how.convert(v.text)
	if want != "" {
		r.fail(v.from.where, "field %q: value %s: %s", v.from.name, quote(f.unit, v.text), want)
		return
	}
	r.set(f, path, scalar{text: text}, v.from)
}

// mode returns the [[engine.mode]] of a mode, which may be a new one, and its path.
func (r *esReader) mode(name string, from origin) (table reflect.Value, path string) {
	modes := reflect.ValueOf(&r.cfg.Engine.Modes).Elem()
	i := slices.IndexFunc(r.cfg.Engine.Modes, func(m EngineMode) bool { return m.Mode == name })
	if i < 0 {
		_, i = appendDefault(modes)
		r.cfg.Engine.Modes[i].Mode = name
		r.from[fmt.Sprintf("engine.mode[%d]", i)] = origin{from.where, "engine.mode"}
	}
	return modes.Index(i), fmt.Sprintf("engine.mode[%d].", i)
}

// addType adds a type of engine, or replaces the command line of one.
func (r *esReader) addType(name string, v esValue) {
	types := &r.cfg.Engine.Types
	i := slices.IndexFunc(*types, func(t EngineType) bool { return strings.EqualFold(t.Name, name) })
	if i < 0 {
		i = len(*types)
		*types = append(*types, EngineType{Name: name})
		r.from[fmt.Sprintf("engine.type[%d].name", i)] = v.from
	}
	(*types)[i].Command = v.text
	r.from[fmt.Sprintf("engine.type[%d]", i)] = origin{v.from.where, "engine.type"}
	r.from[fmt.Sprintf("engine.type[%d].command", i)] = v.from
}

// addRuns adds procedure,application,user,password{;...}.
func (r *esReader) addRuns(when string, v esValue) {
	for entry := range strings.SplitSeq(v.text, ";") {
		parts := strings.Split(entry, ",")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		if len(parts) == 1 && parts[0] == "" {
			continue // a semicolon at the end
		}
		if len(parts) > 4 || parts[0] == "" { // not shown: there is a password in it
			r.fail(v.from.where, "field %q: procedure,application,user,password with ; between several", v.from.name)
			return
		}
		parts = append(parts, "", "", "")
		run := DefaultEngineRun()
		run.When, run.Procedure, run.Application, run.UserName, run.Password = when, parts[0], parts[1], parts[2], parts[3]
		i := len(r.cfg.Engine.Runs)
		r.cfg.Engine.Runs = append(r.cfg.Engine.Runs, run)
		path := fmt.Sprintf("engine.run[%d]", i)
		for _, key := range []string{"", ".when", ".procedure", ".application", ".user_name", ".password"} {
			r.from[path+key] = v.from
		}
	}
}

// addList adds entries with ; between them. What an earlier source has put there goes.
func (r *esReader) addList(f field, path string, v esValue) {
	var items []string
	for item := range strings.SplitSeq(v.text, ";") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	if r.from[path].file == r.file { // an earlier line
		for i := range f.value.Len() {
			items = slices.Insert(items, i, fmt.Sprint(f.value.Index(i).Interface()))
		}
	}
	if want := assignList(f.value, items); want != "" {
		r.fail(v.from.where, "field %q: value %s: %s", v.from.name, quote(f.unit, v.text), want)
		return
	}
	r.from[path] = v.from
}

package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// endSection moves what the section says into the Config.
func (r *rsReader) endSection() {
	kind := r.kind
	if kind != nil {
		table, path := reflect.ValueOf(r.cfg).Elem(), ""
		if kind.tables != "" {
			tables, _ := lookup(reflect.ValueOf(&r.cfg.Relay).Elem(), kind.tables)
			element, i := appendDefault(tables.value)
			path = fmt.Sprintf("relay.%s[%d]", kind.tables, i)
			r.from[path] = origin{r.opened, "[" + kind.name + "]"}
			table, path = element, path+"."
		}
		if i := slices.Index(r.order, "start"); i > 0 { // the other properties say more exactly what options of its command say, too
			r.order = slices.Insert(slices.Delete(r.order, i, i+1), 0, "start")
		}
		for _, name := range r.order {
			r.apply(kind, table, path, name)
		}
		r.checkThreads()
	}
	r.kind, r.inSection, r.set, r.order = nil, false, nil, nil
}

// apply checks one property and sets its field.
func (r *rsReader) apply(kind *rsSection, table reflect.Value, path, name string) {
	v := r.set[name]
	p, known := kind.properties[name]
	if known && !r.expand(name, &v, p.secret) {
		return
	}
	r.set[name] = v
	switch {
	case !known && r.Strict && !strings.HasPrefix(name, "x_"):
		r.fail(v.at, "field %q: unknown in [%s]", name, kind.name)
	case !known:
		r.warn(v.at, "field %q: unknown in [%s]: ignored", name, kind.name)
	case v.text == "" && name == "token":
		r.warn(v.at, "field %q: empty: none will be demanded; write token = ! if that is meant", name)
	case v.text == "" || strings.EqualFold(v.text, p.unset):
	case p.judge != nil && p.judge(v.text) != "":
		r.fail(v.at, "field %q: value %s: %s", name, quote("", v.text), p.judge(v.text))
	case p.idle != "":
		r.warn(v.at, "field %q: has no effect: %s", name, p.idle)
	default:
		if p.field != "" {
			f, ok := find(table, p.field)
			if !ok {
				panic("BUG: config: no field " + p.field)
			}
			text := v.text
			if p.as != nil {
				text = p.as(text)
			}
			if _, err := strconv.ParseUint(text, 10, 32); err == nil && f.value.Type() == reflect.TypeFor[time.Duration]() {
				text += "s" // times in an rs.config are seconds
			}
			r.outside[path+p.field] = v.variable
			r.loader.set(f, path+p.field, scalar{text: text}, origin{v.at, name})
		}
		if p.apply != nil {
			p.apply(r, v)
		}
	}
}

// checkThreads looks at the two numbers of threads, which must fit each other.
func (r *rsReader) checkThreads() {
	least, errLeast := strconv.Atoi(r.set["min_thread"].text)
	most, errMost := strconv.Atoi(r.set["max_thread"].text)
	if errLeast == nil && errMost == nil && most <= least {
		r.fail(r.set["max_thread"].at, "field %q: value %q: more than min_thread, which is %d", "max_thread", r.set["max_thread"].text, least)
	}
}

// verbosity notes that the file asks for more than errors, and so for a record of each request.
func (r *rsReader) verbosity(v rsValue) { r.asksRecords = v.text != "0" }

// start takes from the command that the original starts its state manager with what says something about the log.
func (r *rsReader) start(v rsValue) {
	if want := judgeText(v.text); want != "" {
		r.fail(v.at, "field %q: value %s: %s", "start", quote("", v.text), want)
		return
	}
	keys := map[string]string{"-o": "log.file", "-ot": "log.file", "-os": "log.max_size", "-v": "log.verbosity"}
	words := cutWords(v.text)
	for i := 0; i < len(words); i++ {
		key := keys[words[i]]
		if key == "" {
			continue
		}
		if i+1 == len(words) {
			r.fail(v.at, "field %q: option %q: no value", "start", words[i])
			return
		}
		f, _ := r.key(key)
		i++
		r.loader.set(f, key, scalar{text: words[i]}, origin{v.at, "start"})
		switch words[i-1] {
		case "-ot":
			r.warn(v.at, "field %q: option %q: the file is appended to, as with -o", "start", "-ot")
		case "-v":
			r.verbosity(rsValue{text: words[i], at: v.at})
		}
	}
}

// cutWords cuts a command at blanks, but not between double quotes.
func cutWords(s string) (words []string) {
	for s = strings.TrimLeft(s, " \t"); s != ""; s = strings.TrimLeft(s, " \t") {
		var word string
		word, s, _ = cutWord(s)
		words = append(words, word)
	}
	return words
}

// expand puts the values of variables in the place of ${NAME} and ${NAME:-DEFAULT}, if that is asked for. The value of a secret is a
// variable as a whole, or text in which ${ has no meaning. False: it has reported why it cannot.
func (r *rsReader) expand(name string, v *rsValue, secret bool) bool {
	whole := strings.HasPrefix(v.text, "${") && strings.IndexByte(v.text, '}') == len(v.text)-1
	if !r.ExpandEnv || !strings.Contains(v.text, "${") || secret && !whole {
		return true
	}
	var out strings.Builder
	rest := v.text
	for {
		before, after, found := strings.Cut(rest, "${")
		out.WriteString(before)
		if !found {
			break
		}
		variable, behind, closed := strings.Cut(after, "}")
		variable, byDefault, hasDefault := strings.Cut(variable, ":-")
		if !closed || !isName(variable) {
			r.fail(v.at, "field %q: ${ without a name and } after it: write ${NAME} or ${NAME:-DEFAULT}", name)
			return false
		}
		value := r.variable(variable)
		switch {
		case value == "" && !hasDefault:
			r.fail(v.at, "field %q: variable %q: not set; write ${%s:-} if nothing is meant then", name, variable, variable)
			return false
		case value == "":
			value = byDefault
		}
		out.WriteString(value)
		rest = behind
	}
	v.variable = true
	if v.text = strings.TrimSpace(out.String()); strings.ContainsFunc(v.text, notRS) {
		r.fail(v.at, "field %q: a variable in it has other bytes than printable 7-bit ASCII and tabs", name)
		return false
	}
	return true
}

// variable returns the value of an environment variable; the last one of a name holds.
func (r *rsReader) variable(name string) (value string) {
	for _, pair := range r.Environ {
		if rest, ok := strings.CutPrefix(pair, name+"="); ok {
			value = rest
		}
	}
	return value
}

func judgeText(s string) string {
	return wantUnless(len(s) <= maxText, fmt.Sprintf("at most %d bytes", maxText))
}

func judgeSize(s string) string {
	n, ok := parseSize(s)
	return wantUnless(ok && n <= maxSize, "a size in bytes of at most 4g, as 65536 or 64k")
}

func judgeCount(s string) string {
	_, err := strconv.ParseUint(s, 10, 31)
	return wantUnless(err == nil, "a whole number of 0 or more")
}

func judgeThreads(s string) string {
	_, err := strconv.ParseUint(s, 10, 16)
	return wantUnless(err == nil || strings.EqualFold(s, "auto"), "auto, or 0 to 65535")
}

// noneIfAuto says auto in numbers.
func noneIfAuto(s string) string {
	if strings.EqualFold(s, "auto") {
		return "0"
	}
	return s
}

// commasForMarks writes the list of addresses as other sources do; a mark at its start or end separates nothing.
func commasForMarks(s string) string { return strings.ReplaceAll(s, "!", ",") }

// judgeMACs judges one address or several with ! between them.
func judgeMACs(s string) string { return wantUnless(parseMACs(s) != nil, wantMACs) }

const wantMACs = "six pairs of hexadecimal digits, as 01-23-45-67-89-ab, with ! between several"

// parseMACs returns addresses that have ! between them, in lower case; nil: one is wrong.
func parseMACs(s string) []string {
	macs := strings.Split(strings.Trim(strings.ToLower(s), "! \t"), "!")
	for i := range macs {
		if macs[i] = strings.Trim(macs[i], " \t"); !isMAC(macs[i]) {
			return nil
		}
	}
	return macs
}

// isMAC tells whether s is six pairs of hexadecimal digits with hyphens between them.
func isMAC(s string) bool {
	pairs := strings.Split(s, "-")
	ok := len(pairs) == 6
	for _, pair := range pairs {
		_, err := strconv.ParseUint(pair, 16, 8)
		ok = ok && len(pair) == 2 && err == nil
	}
	return ok
}

func wantUnless(ok bool, want string) string {
	if ok {
		return ""
	}
	return want
}

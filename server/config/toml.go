package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable" // the only part of the library that tells the place of every value
)

// loadTOML reads a TOML file into the Config.
func (l *loader) loadTOML(path string) {
	text, ok := l.read(path, where{})
	if !ok {
		return
	}
	doc := blankSyntaxErrors(l.problems, path, text)
	// The parser below sees one expression at a time; what contradicts an earlier one, such as a key twice, is found here.
	var whole map[string]any
	var decodeErr *toml.DecodeError
	if err := toml.Unmarshal(doc, &whole); errors.As(err, &decodeErr) {
		line, col := decodeErr.Position()
		l.fail(where{path, line, col}, "%s", strings.TrimPrefix(decodeErr.Error(), "toml: "))
	} else if err != nil {
		l.fail(where{file: path}, "%v", err)
	}
	r := newTOMLReader(l, path, doc)
	root := tomlTable{value: reflect.ValueOf(l.cfg).Elem()}
	table := root
	for r.NextExpression() {
		switch e := r.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = r.enter(root, e)
		case unstable.KeyValue:
			r.keyValue(table, e)
		}
	}
}

const maxSyntaxErrors = 10 // an unclosed bracket can make every line after it look wrong

// blankSyntaxErrors reports the lines of doc that are no TOML and returns a copy in which they are blank, so that what
// stands after them is read as well.
func blankSyntaxErrors(found *problems, file string, doc []byte) []byte {
	doc = bytes.Clone(doc)
	var p unstable.Parser
	for range maxSyntaxErrors {
		p.Reset(doc)
		for p.NextExpression() {
			continue
		}
		var parseErr *unstable.ParserError
		if !errors.As(p.Error(), &parseErr) {
			return doc
		}
		offset := min(cap(doc)-cap(parseErr.Highlight), len(doc)) // Highlight is a part of doc
		start := bytes.LastIndexByte(doc[:offset], '\n') + 1
		found.fail(where{file, 1 + bytes.Count(doc[:start], []byte("\n")), offset - start + 1}, "%s", parseErr.Message)
		end := len(doc)
		if n := bytes.IndexByte(doc[offset:], '\n'); n >= 0 {
			end = offset + n
		}
		if len(bytes.TrimSpace(doc[start:end])) == 0 { // nothing left to take away: the mistake spans lines
			return doc[:start]
		}
		copy(doc[start:end], bytes.Repeat([]byte(" "), end-start))
	}
	return nil
}

// tomlTable is the table that keys belong to. An invalid value is a table that does not exist: it has been reported.
type tomlTable struct {
	value reflect.Value
	path  string // relay.farm[0]. with the dot, empty for the root
}

type tomlReader struct {
	unstable.Parser
	*loader
	file   string
	starts []int // of the lines, as offsets
}

func newTOMLReader(l *loader, file string, doc []byte) *tomlReader {
	r := &tomlReader{loader: l, file: file, starts: []int{0}}
	for i, c := range doc {
		if c == '\n' {
			r.starts = append(r.starts, i+1)
		}
	}
	r.Reset(doc)
	return r
}

// where returns the place of a node that has a range of its own: keys and scalars do.
func (r *tomlReader) where(n *unstable.Node) where {
	offset := int(n.Raw.Offset)
	line := sort.SearchInts(r.starts, offset+1)
	return where{r.file, line, offset - r.starts[line-1] + 1}
}

// enter finds the table of a [header] or adds one for a [[header]].
func (r *tomlReader) enter(t tomlTable, header *unstable.Node) tomlTable {
	for keys := header.Key(); keys.Next(); {
		f, ok := r.find(t, keys.Node())
		if !ok {
			return tomlTable{}
		}
		isList, last := isTables(f.value), keys.IsLast()
		switch {
		case isList && last && header.Kind == unstable.ArrayTable:
			return r.add(t, f, r.where(keys.Node()))
		case isList && !last && f.value.Len() > 0: // a table of the last element
			i := f.value.Len() - 1
			t = tomlTable{f.value.Index(i), fmt.Sprintf("%s%s[%d].", t.path, f.name, i)}
		case f.value.Kind() == reflect.Struct && !(last && header.Kind == unstable.ArrayTable):
			t = tomlTable{f.value, t.path + f.name + "."}
			path := strings.TrimSuffix(t.path, ".")
			r.from[path] = origin{r.where(keys.Node()), plainPath(path)}
		default:
			want := fmt.Sprintf("a value: write %s = ...", f.name)
			if isList {
				want = fmt.Sprintf("a list of tables: write [[%s]]", plainPath(t.path)+f.name)
			} else if f.value.Kind() == reflect.Struct {
				want = fmt.Sprintf("one table: write [%s]", plainPath(t.path)+f.name)
			}
			r.fail(r.where(keys.Node()), "field %q: %s", plainPath(t.path)+f.name, want)
			return tomlTable{}
		}
	}
	return t
}

// add appends an element to a list of tables.
func (r *tomlReader) add(t tomlTable, f field, at where) tomlTable {
	element, i := appendDefault(f.value)
	path := fmt.Sprintf("%s%s[%d]", t.path, f.name, i)
	r.from[path] = origin{at, t.path + f.name}
	return tomlTable{element, path + "."}
}

// find looks a key up in a table and reports it when it is not there.
func (r *tomlReader) find(t tomlTable, key *unstable.Node) (field, bool) {
	if !t.value.IsValid() {
		return field{}, false
	}
	name := string(key.Data)
	f, ok := lookup(t.value, name)
	if !ok {
		r.fail(r.where(key), "field %q: unknown; there are %s", plainPath(t.path)+name, names(t.value))
	}
	return f, ok
}

// keyValue reads name = value, where name may be dotted.
func (r *tomlReader) keyValue(t tomlTable, kv *unstable.Node) {
	for keys := kv.Key(); keys.Next(); {
		f, ok := r.find(t, keys.Node())
		if !ok {
			return
		}
		at := r.where(keys.Node())
		switch {
		case keys.IsLast():
			r.value(t, f, kv.Value(), at)
		case f.value.Kind() != reflect.Struct:
			r.fail(at, "field %q: not a table", plainPath(t.path)+f.name)
			return
		}
		t = tomlTable{f.value, t.path + f.name + "."}
	}
}

// value assigns a node to a field: a table, a list of tables, a list or a scalar.
func (r *tomlReader) value(t tomlTable, f field, v *unstable.Node, at where) {
	name := plainPath(t.path) + f.name
	switch {
	case f.value.Kind() == reflect.Struct || isTables(f.value):
		r.tables(t, f, v, at)
	case v.Kind == unstable.Array && f.value.Kind() == reflect.Slice:
		r.list(f, v, t.path+f.name, origin{at, name})
	default:
		s := scalarOf(v)
		if v.Raw.Length > 0 {
			at = r.where(v)
		}
		r.set(f, t.path+f.name, s, origin{at, name})
	}
}

// tables reads the inline forms: relay = { ... } and farm = [{ ... }].
func (r *tomlReader) tables(t tomlTable, f field, v *unstable.Node, at where) {
	fill := func(into tomlTable, table *unstable.Node) {
		for kvs := table.Children(); kvs.Next(); {
			r.keyValue(into, kvs.Node())
		}
	}
	switch {
	case f.value.Kind() == reflect.Struct && v.Kind == unstable.InlineTable:
		fill(tomlTable{f.value, t.path + f.name + "."}, v)
	case f.value.Kind() != reflect.Struct && v.Kind == unstable.Array:
		for items := v.Children(); items.Next(); {
			if items.Node().Kind != unstable.InlineTable {
				r.fail(at, "field %q: a list of tables: write [[%s]]", t.path+f.name, t.path+f.name)
				return
			}
			fill(r.add(t, f, at), items.Node())
		}
	default:
		r.fail(at, "field %q: a table, not a value", plainPath(t.path)+f.name)
	}
}

// list reads a list of texts.
func (r *tomlReader) list(f field, v *unstable.Node, path string, from origin) {
	items := []string{}
	for nodes := v.Children(); nodes.Next(); {
		if n := nodes.Node(); n.Kind != unstable.String {
			r.fail(from.where, "field %q: value %q: a text in quotes in every place of the list", from.name, n.Data)
			return
		}
		items = append(items, string(nodes.Node().Data))
	}
	if want := assignList(f.value, items); want != "" {
		r.fail(from.where, "field %q: value %q: %s", from.name, items, want)
		return
	}
	r.from[path] = from
}

func scalarOf(n *unstable.Node) scalar {
	kinds := map[unstable.Kind]kind{
		unstable.String: kindText, unstable.Integer: kindNumber, unstable.Bool: kindBool,
	}
	k, ok := kinds[n.Kind]
	if !ok {
		k = kindOther
	}
	return scalar{string(n.Data), k}
}

// plainPath is a path as files spell it, without the numbers of list elements.
func plainPath(path string) string {
	for {
		from := strings.IndexByte(path, '[')
		if from < 0 {
			return path
		}
		to := from + strings.IndexByte(path[from:], ']')
		path = path[:from] + path[to+1:]
	}
}

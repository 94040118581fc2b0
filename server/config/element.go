package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// elementKey names one setting of an element of a list of tables, as the environment and --set do: relay.farm[0].id, or
// ROUNDHOUSE_RELAY_FARM_0_ID. Elements of files come first; the number after the last one adds one.
type elementKey struct {
	list  string // relay.farm
	index int
	key   string // id, limits.max_rps
}

// listsOf returns the lists of tables by their paths.
func listsOf(cfg *Config) map[string]reflect.Value {
	lists := map[string]reflect.Value{}
	var add func(prefix string, table reflect.Value)
	add = func(prefix string, table reflect.Value) {
		for f := range fieldsOf(table) {
			switch {
			case f.value.Kind() == reflect.Struct:
				add(prefix+f.name+".", f.value)
			case isTables(f.value):
				lists[prefix+f.name] = f.value
			}
		}
	}
	add("", reflect.ValueOf(cfg).Elem())
	return lists
}

// newElement returns an element of a list with its defaults, to look its fields up in.
func newElement(list reflect.Value) reflect.Value {
	element, _ := appendDefault(reflect.New(list.Type()).Elem())
	return element
}

// elementOfVariable reads the name of a variable.
func elementOfVariable(lists map[string]reflect.Value, name string) (elementKey, bool) {
	for path, list := range lists {
		rest, ok := strings.CutPrefix(name, field{name: path}.env()+"_")
		digits, rest, more := strings.Cut(rest, "_")
		index, right := elementIndex(digits)
		if !ok || !more || !right {
			continue
		}
		for _, f := range appendKeys(nil, "", newElement(list)) {
			if strings.TrimPrefix(f.env(), envPrefix) == rest {
				return elementKey{path, index, f.name}, true
			}
		}
	}
	return elementKey{}, false
}

// elementOfKey reads the name of an assignment.
func elementOfKey(lists map[string]reflect.Value, name string) (elementKey, bool) {
	path, rest, _ := strings.Cut(name, "[")
	digits, key, closed := strings.Cut(rest, "].")
	index, right := elementIndex(digits)
	list, known := lists[path]
	if !known || !closed || !right {
		return elementKey{}, false
	}
	_, there := find(newElement(list), key)
	return elementKey{path, index, key}, there
}

// elementIndex reads a number as it is written in one way only.
func elementIndex(digits string) (int, bool) {
	n, err := strconv.ParseUint(digits, 10, 16)
	return int(n), err == nil && strconv.FormatUint(n, 10) == digits
}

// elementValue is what is to be set in an element.
type elementValue struct {
	elementKey
	text string
	from origin
}

// namesElements tells whether the environment or an assignment sets something in a list of tables, which says as much as a file.
func (l *loader) namesElements() bool {
	lists := listsOf(l.cfg)
	names := func(of func(map[string]reflect.Value, string) (elementKey, bool)) func(string) bool {
		return func(pair string) bool {
			name, _, _ := strings.Cut(pair, "=")
			_, ok := of(lists, name)
			return ok
		}
	}
	return slices.ContainsFunc(l.Environ, names(elementOfVariable)) || slices.ContainsFunc(l.Set, names(elementOfKey))
}

// setElements sets all values of one source, by their lists and numbers: their order means nothing, but that the last one of a key holds.
func (l *loader) setElements(values []elementValue) {
	lists := listsOf(l.cfg)
	slices.SortStableFunc(values, func(a, b elementValue) int {
		return cmp.Or(strings.Compare(a.list, b.list), cmp.Compare(a.index, b.index))
	})
	for _, v := range values {
		list, path := lists[v.list], fmt.Sprintf("%s[%d]", v.list, v.index)
		switch n := list.Len(); {
		case v.index > n:
			l.fail(v.from.where, "field %q: number %d of %s: there are %d, so the next one is %d", v.from.name, v.index, v.list, n, n)
			continue
		case v.index == n:
			appendDefault(list)
			l.from[path] = origin{v.from.where, path}
		}
		f, ok := find(list.Index(v.index), v.key)
		if !ok {
			panic("BUG: config: no field " + v.key)
		}
		l.set(f, path+"."+v.key, scalar{text: v.text}, v.from)
	}
}

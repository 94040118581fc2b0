package message

import (
	"fmt"
	"strconv"
	"strings"
)

// Type tells a receiver what a message is. A server need not know a type to route it.
type Type int32

// Definition is what is known of a type.
type Definition struct {
	Type    Type
	Name    string // an identifier in lower case: ValidTypeName
	Grammar string // as in a text file; "verbose" when the fields say themselves what they are
}

// MaxTypeName is the most bytes of the name of a type.
const MaxTypeName = 63

var (
	byType = indexTypes(func(d *Definition) Type { return d.Type })
	byName = indexTypes(func(d *Definition) string { return d.Name })
)

// indexTypes makes a map from a key to each standard type. It is not changed after the start of the program.
func indexTypes[K comparable](key func(*Definition) K) map[K]*Definition {
	index := make(map[K]*Definition, len(standard)+len(monitoring))
	for _, list := range [][]Definition{standard, monitoring} {
		for i := range list {
			index[key(&list[i])] = &list[i]
		}
	}
	return index
}

// String returns the name of a standard type, and the number of any other.
func (t Type) String() string {
	if d := byType[t]; d != nil {
		return d.Name
	}
	return strconv.Itoa(int(t))
}

// Grammar returns the kinds of the fields of a standard type, as they stand in a text file, and "verbose" for any other type.
// It is for text files and readers only: no message is ever checked against it.
func (t Type) Grammar() string {
	if d := byType[t]; d != nil {
		return d.Grammar
	}
	return grammarVerbose
}

// TypeByName returns the standard type of a name, in whatever case.
func TypeByName(name string) (Type, bool) {
	if d := byName[strings.ToLower(name)]; d != nil {
		return d.Type, true
	}
	return 0, false
}

// ValidTypeName tells whether name can be that of a type: a letter or '_', then letters, digits, '%' and '_', at most MaxTypeName.
func ValidTypeName(name string) bool {
	if name == "" || len(name) > MaxTypeName {
		return false
	}
	for i := range len(name) {
		c := name[i]
		letter := c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || c != '%' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// Types are the types that a Reader or a Writer knows: the standard ones and those that were defined. The zero value and nil
// have the standard ones. Not safe for concurrent use while Define runs.
type Types struct {
	byType map[Type]*Definition
	byName map[string]*Definition
}

// Define adds a type of the user, or changes its grammar. Errors name what is wrong: a number below 1, a name or a number that
// another type has, a name or a grammar that is none.
func (ts *Types) Define(t Type, name, grammar string) error {
	if !ValidTypeName(name) {
		return fmt.Errorf("message: type name %q: not an identifier of at most %d characters", name, MaxTypeName)
	}
	name = strings.ToLower(name)
	switch old := ts.byName[name]; {
	case t <= 0:
		return fmt.Errorf("message: type %d: numbers below 1 are reserved", t)
	case byName[name] != nil || old != nil && old.Type != t:
		return fmt.Errorf("message: type name %q: another type has it", name)
	case ts.byType[t] != nil && ts.byType[t].Name != name:
		return fmt.Errorf("message: type %d: it is %q already", t, ts.byType[t].Name)
	}
	if ts.byType == nil {
		ts.byType, ts.byName = map[Type]*Definition{}, map[string]*Definition{}
	}
	d := &Definition{t, name, grammar}
	ts.byType[t], ts.byName[name] = d, d
	return nil
}

// ByType returns what is known of t.
func (ts *Types) ByType(t Type) (Definition, bool) {
	if d := byType[t]; d != nil {
		return *d, true
	}
	if ts != nil && ts.byType[t] != nil {
		return *ts.byType[t], true
	}
	return Definition{}, false
}

// ByName returns what is known of the type of that name, in whatever case.
func (ts *Types) ByName(name string) (Definition, bool) {
	name = strings.ToLower(name)
	if d := byName[name]; d != nil {
		return *d, true
	}
	if ts != nil && ts.byName[name] != nil {
		return *ts.byName[name], true
	}
	return Definition{}, false
}

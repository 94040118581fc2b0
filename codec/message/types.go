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

// typeInfo is a Definition with its grammar taken apart.
type typeInfo struct {
	Definition
	grammar grammar
}

// The standard types. Nothing writes to these after the start of the program.
var (
	byType = map[Type]*typeInfo{}
	byName = map[string]*typeInfo{}
)

func init() {
	for _, list := range [][]Definition{standard, monitoring} {
		for _, d := range list {
			g, err := parseGrammar(d.Grammar)
			if err != nil {
				panic("BUG: " + err.Error())
			}
			info := &typeInfo{d, g}
			byType[d.Type], byName[d.Name] = info, info
		}
	}
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
	byType map[Type]*typeInfo
	byName map[string]*typeInfo
}

// Define adds a type of the user, or changes its grammar. Errors name what is wrong: a number below 1, a name or a number that
// another type has, a name or a grammar that is none.
func (ts *Types) Define(t Type, name, grammar string) error {
	if _, keyword := layoutByName(strings.ToLower(name)); keyword || !ValidTypeName(name) {
		return fmt.Errorf("message: type name %q: a keyword, or not an identifier of at most %d characters", name, MaxTypeName)
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
	g, err := parseGrammar(grammar)
	if err != nil {
		return fmt.Errorf("message: type %q: %w", name, err)
	}
	if ts.byType == nil {
		ts.byType, ts.byName = map[Type]*typeInfo{}, map[string]*typeInfo{}
	}
	info := &typeInfo{Definition{t, name, grammar}, g}
	ts.byType[t], ts.byName[name] = info, info
	return nil
}

// ByType returns what is known of t.
func (ts *Types) ByType(t Type) (Definition, bool) {
	if info := ts.find(t); info != nil {
		return info.Definition, true
	}
	return Definition{}, false
}

// ByName returns what is known of the type of that name, in whatever case.
func (ts *Types) ByName(name string) (Definition, bool) {
	if info := ts.findName(name); info != nil {
		return info.Definition, true
	}
	return Definition{}, false
}

// find is nil for a type that is not known.
func (ts *Types) find(t Type) *typeInfo {
	if info := byType[t]; info != nil || ts == nil {
		return info
	}
	return ts.byType[t]
}

func (ts *Types) findName(name string) *typeInfo {
	name = strings.ToLower(name)
	if info := byName[name]; info != nil || ts == nil {
		return info
	}
	return ts.byName[name]
}

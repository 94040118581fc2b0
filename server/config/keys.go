package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// field is one setting of a table: its name in files, what a number of it stands for, and its place in a Config.
type field struct {
	name, unit string // the name is dotted where the field comes from keysOf: relay.listen
	value      reflect.Value
	index      int // of the field in its struct
}

// env returns the name in the environment of a field from keysOf.
func (f field) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(f.name, ".", "_"))
}

const envPrefix = "ROUNDHOUSE_"

// keysOf returns what every source can set, in the order of cfg's fields: all but the lists of tables.
func keysOf(cfg *Config) []field {
	return appendKeys(nil, "", reflect.ValueOf(cfg).Elem())
}

func appendKeys(keys []field, prefix string, table reflect.Value) []field {
	for f := range fieldsOf(table) {
		f.name = prefix + f.name
		switch {
		case f.value.Kind() == reflect.Struct:
			keys = appendKeys(keys, f.name+".", f.value)
		case !isTables(f.value):
			keys = append(keys, f)
		}
	}
	return keys
}

// fieldsOf yields the fields of a struct that have a name in files.
func fieldsOf(table reflect.Value) func(yield func(field) bool) {
	return func(yield func(field) bool) {
		for i := range table.NumField() {
			tag := table.Type().Field(i).Tag
			if name := tag.Get("toml"); name != "-" && !yield(field{name, tag.Get("unit"), table.Field(i), i}) {
				return
			}
		}
	}
}

// lookup returns the field of a table by its name in files.
func lookup(table reflect.Value, name string) (field, bool) {
	for f := range fieldsOf(table) {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// names lists what a table may hold, for messages.
func names(table reflect.Value) string {
	var all []string
	for f := range fieldsOf(table) {
		all = append(all, f.name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// isTables tells a list of tables, such as [[relay.farm]], from a scalar or a list of texts.
func isTables(v reflect.Value) bool {
	switch v.Interface().(type) {
	case []RelayServer, []Farm, []Backend, []EngineMode, []EngineType, []EngineRun,
		[]RouterAlias, []RouterSubscription, []AccessUser, []AccessGroup, []AccessPermission:
		return true
	}
	return false
}

// appendDefault adds an element with the defaults of its kind to a list of tables and returns it and its index.
// The element stays valid until the next call.
func appendDefault(tables reflect.Value) (reflect.Value, int) {
	var element any
	switch tables.Interface().(type) {
	case []RelayServer:
		element = DefaultRelayServer()
	case []Farm:
		element = DefaultFarm()
	case []Backend:
		element = DefaultBackend()
	case []EngineMode:
		element = EngineMode{} // what is not set is as in engine.defaults
	case []EngineType:
		element = EngineType{}
	case []EngineRun:
		element = DefaultEngineRun()
	case []RouterAlias:
		element = RouterAlias{}
	case []RouterSubscription:
		element = DefaultRouterSubscription()
	case []AccessUser:
		element = AccessUser{}
	case []AccessGroup:
		element = AccessGroup{}
	case []AccessPermission:
		element = DefaultAccessPermission()
	default:
		panic(fmt.Sprintf("BUG: config: %s is no list of tables", tables.Type()))
	}
	tables.Set(reflect.Append(tables, reflect.ValueOf(element)))
	last := tables.Len() - 1
	return tables.Index(last), last
}

// quote returns a value for a message: what fits a line of it, and a mask where it is a secret.
func quote(unit, value string) string {
	const most = 80 // bytes
	switch {
	case unit == "secret" && value != "":
		value = mask
	case len(value) > most:
		return fmt.Sprintf("%q... (%d bytes)", value[:most], len(value))
	}
	return strconv.Quote(value)
}

const mask = "***"

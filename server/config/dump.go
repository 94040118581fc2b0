package config

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Dump writes cfg to w as a TOML file that Load reads back, but for the tokens, which are masked and will be refused.
// The error is that of w.
func Dump(w io.Writer, cfg *Config) error {
	out := bufio.NewWriter(w)
	dumpTable(out, "", reflect.ValueOf(cfg).Elem())
	return out.Flush() // errors of earlier writes stick
}

// dumpTable writes the values of a table, then the tables in it.
func dumpTable(out *bufio.Writer, path string, table reflect.Value) {
	mode, ofMode := table.Addr().Interface().(*EngineMode)
	for f := range fieldsOf(table) {
		if ofMode && path == "engine.mode." && f.name != "mode" && !mode.holds(f.index) {
			continue // as in engine.defaults
		}
		if f.value.Kind() != reflect.Struct && !isTables(f.value) {
			fmt.Fprintf(out, "%s = %s\n", f.name, formatTOML(f))
		}
	}
	for f := range fieldsOf(table) {
		name := path + f.name
		switch {
		case f.value.Kind() == reflect.Struct:
			fmt.Fprintf(out, "\n[%s]\n", name)
			dumpTable(out, name+".", f.value)
		case isTables(f.value):
			for i := range f.value.Len() {
				fmt.Fprintf(out, "\n[[%s]]\n", name)
				dumpTable(out, name+".", f.value.Index(i))
			}
		}
	}
}

// formatTOML returns a value as TOML.
func formatTOML(f field) string {
	switch v := f.value.Interface().(type) {
	case string:
		if f.unit == "secret" && v != "" {
			v = mask
		}
		return quoteTOML(v)
	case bool:
		return strconv.FormatBool(v)
	case time.Duration:
		return quoteTOML(formatDuration(v))
	case []string:
		return listTOML(v)
	case []netip.Prefix:
		items := make([]string, len(v))
		for i, p := range v {
			items[i] = p.String()
		}
		return listTOML(items)
	}
	n := f.value.Int()
	switch {
	case f.unit == "bytes" && n >= 1<<10 && n%(1<<10) == 0:
		return quoteTOML(formatSize(n))
	case f.unit == "verbosity" && n == inherit:
		return quoteTOML("inherit")
	case f.unit == "port" && n == 0:
		return quoteTOML("off")
	}
	return strconv.FormatInt(n, 10)
}

// formatDuration is d without the zeros that its String ends with.
func formatDuration(d time.Duration) string {
	s := d.String()
	if short, ok := strings.CutSuffix(s, "m0s"); ok {
		s = short + "m"
	}
	if short, ok := strings.CutSuffix(s, "h0m"); ok {
		s = short + "h"
	}
	return s
}

func listTOML(items []string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = quoteTOML(item)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// quoteTOML returns s as a basic string of TOML 1.0.
func quoteTOML(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

package config

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Dump writes cfg to w as a TOML file that Load reads back, but for the secrets, which are masked and will be refused.
// The error is that of w.
func Dump(w io.Writer, cfg *Config) error {
	d := dumper{out: bufio.NewWriter(w)}
	d.table("", reflect.ValueOf(cfg).Elem(), reflect.Value{})
	return d.out.Flush() // errors of earlier writes stick
}

// Export writes to w what of cfg is not as in Default, as a TOML file that Load reads as cfg, secrets in clear: a line at its start says so
// if there are any. The error is that of w, or of a cfg that no such file can express: then what was written is not to be used.
func Export(w io.Writer, cfg *Config) error {
	var text bytes.Buffer
	d := dumper{out: bufio.NewWriter(&text), clear: true, always: map[string]bool{
		// What Load chooses where nothing is said depends on other keys.
		"relay.listen": true, "engine.listen": true, "router.listen": true, "relay.access_log": cfg.Log.Format == "rs",
	}}
	d.table("", reflect.ValueOf(cfg).Elem(), reflect.ValueOf(Default()).Elem())
	_ = d.out.Flush() // a bytes.Buffer takes everything
	const name = "export"
	again, _, err := Load(Sources{TOML: name, ReadFile: func(string) ([]byte, error) { return text.Bytes(), nil }})
	if err != nil {
		return fmt.Errorf("config: this cannot be said in TOML: %w", err)
	}
	want := *cfg
	want.Demo = false
	if !reflect.DeepEqual(*again, want) {
		return errors.New("config: this cannot be said in TOML") // Load has derived it from something that is gone
	}
	if d.secrets {
		if _, err := io.WriteString(w, "# Tokens and passwords stand here in clear text: nobody else may read this file.\n"); err != nil {
			return err
		}
	}
	_, err = w.Write(bytes.TrimLeft(text.Bytes(), "\n"))
	return err
}

// dumper writes tables as TOML.
type dumper struct {
	out     *bufio.Writer
	clear   bool            // secrets are not masked
	always  map[string]bool // keys that are written although they are as in the defaults
	secrets bool            // a secret has been written
}

// table writes the values of a table, then the tables in it; those that are as in defaults are left out, unless there are none.
func (d *dumper) table(path string, table, defaults reflect.Value) {
	mode, ofMode := table.Addr().Interface().(*EngineMode)
	for f := range fieldsOf(table) {
		if ofMode && path == "engine.mode." && f.name != "mode" && !mode.holds(f.index) {
			continue // as in engine.defaults
		}
		if f.value.Kind() != reflect.Struct && !isTables(f.value) && d.differs(path, f, defaults, ofMode) {
			d.secrets = d.secrets || f.unit == "secret" && f.value.String() != ""
			if f.unit == "secret" && d.clear {
				f.unit = ""
			}
			fmt.Fprintf(d.out, "%s = %s\n", f.name, formatTOML(f))
		}
	}
	for f := range fieldsOf(table) {
		name := path + f.name
		var inner reflect.Value // the defaults of f
		if defaults.IsValid() {
			inner = defaults.Field(f.index)
		}
		switch {
		case f.value.Kind() == reflect.Struct:
			if d.anyDiffers(name+".", f.value, inner) {
				fmt.Fprintf(d.out, "\n[%s]\n", name)
			}
			d.table(name+".", f.value, inner)
		case isTables(f.value):
			for i := range f.value.Len() {
				fmt.Fprintf(d.out, "\n[[%s]]\n", name)
				var element reflect.Value
				if defaults.IsValid() {
					element, _ = appendDefault(reflect.New(f.value.Type()).Elem())
				}
				d.table(name+".", f.value.Index(i), element)
			}
		}
	}
}

// differs tells whether a value is to be written. Of a mode, what is written is what it holds.
func (d *dumper) differs(path string, f field, defaults reflect.Value, ofMode bool) bool {
	return !defaults.IsValid() || ofMode && path == "engine.mode." || d.always[path+f.name] ||
		!reflect.DeepEqual(f.value.Interface(), defaults.Field(f.index).Interface())
}

// anyDiffers tells whether a table has values of its own to write.
func (d *dumper) anyDiffers(path string, table, defaults reflect.Value) bool {
	for f := range fieldsOf(table) {
		if f.value.Kind() != reflect.Struct && !isTables(f.value) && d.differs(path, f, defaults, false) {
			return true
		}
	}
	return false
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

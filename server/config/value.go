package config

import (
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// kind is what a source says about a scalar. Only TOML tells; elsewhere everything is written the same way.
type kind uint8

const (
	kindPlain  kind = iota // environment, flags, rs.config
	kindText               // TOML string
	kindNumber             // TOML integer
	kindBool               // TOML boolean
	kindOther              // dates, floats, tables: right for no field
)

// scalar is one value as a source writes it.
type scalar struct {
	text string
	kind kind
}

const maxText = 2048 // bytes of an id, a token or a description

// assign parses s into the field v, whose tag unit is unit. It returns "" or, leaving v as it is, what would be right.
func assign(v reflect.Value, unit string, s scalar) string {
	switch v.Interface().(type) {
	case bool:
		return assignBool(v, s)
	case string:
		if s.kind != kindPlain && s.kind != kindText {
			return "a text in quotes"
		}
		if unit == "security" {
			s.text = securityOf(s.text)
		}
		v.SetString(s.text)
		return ""
	case time.Duration:
		return assignDuration(v, s)
	case []string, []netip.Prefix:
		if s.kind != kindPlain {
			return "a list, as [\"a\", \"b\"]"
		}
		return assignList(v, splitList(s.text))
	}
	return assignNumber(v, unit, s)
}

// securityOf writes a demand for HTTPS in the one way that a Config has it: on, off, or another word in lower case.
func securityOf(s string) string {
	on, ok := parseBool(s)
	switch {
	case !ok:
		return strings.ToLower(s)
	case on:
		return "on"
	}
	return "off"
}

func assignBool(v reflect.Value, s scalar) string {
	b, ok := parseBool(s.text)
	switch {
	case s.kind == kindPlain && !ok:
		return "yes, no, on, off, true, false, 1 or 0"
	case s.kind != kindPlain && s.kind != kindBool:
		return "true or false, without quotes"
	}
	v.SetBool(b)
	return ""
}

func assignDuration(v reflect.Value, s scalar) string {
	d, err := time.ParseDuration(s.text)
	if err != nil || (s.kind != kindPlain && s.kind != kindText) {
		return `a duration, as "10s" or "1m30s"`
	}
	v.SetInt(int64(d))
	return ""
}

func assignNumber(v reflect.Value, unit string, s scalar) string {
	var n int64
	var ok bool
	want := "a whole number"
	switch unit {
	case "bytes":
		want = "a size in bytes, as 65536 or 64k"
		n, ok = parseSize(s.text)
	case "port":
		want = "a port from 1 to 65535, or off"
		n, ok = parsePort(s.text)
	case "verbosity":
		want = "0 to 5, or inherit for a farm or a server"
		if ok = strings.EqualFold(s.text, "inherit"); ok {
			n = inherit
		}
	}
	if !ok && s.kind != kindText {
		n, ok = parseInt(s)
		ok = ok && (unit != "verbosity" || n >= 0) // -1 is how inherit is kept, not how it is written
	}
	if !ok || s.kind == kindBool || s.kind == kindOther || v.OverflowInt(n) {
		return want
	}
	v.SetInt(n)
	return ""
}

// assignList parses items into a list field. Like assign it returns what would be right.
// An empty list is kept as nil.
func assignList(v reflect.Value, items []string) string {
	if len(items) == 0 {
		v.SetZero()
		return ""
	}
	if v.Type() == reflect.TypeFor[[]string]() {
		v.Set(reflect.ValueOf(items))
		return ""
	}
	prefixes := make([]netip.Prefix, 0, len(items))
	for _, item := range items {
		p, err := netip.ParsePrefix(item)
		if addr, addrErr := netip.ParseAddr(item); addrErr == nil && addr.Zone() == "" {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return "networks as 192.0.2.0/24, or addresses"
		}
		if p = p.Masked(); p.Addr().Is4In6() { // addresses of peers are written as those of IPv4
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		prefixes = append(prefixes, p)
	}
	v.Set(reflect.ValueOf(prefixes))
	return ""
}

// splitList cuts a list that is written in one line: at commas and blanks.
func splitList(s string) []string {
	return append([]string{}, strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })...)
}

func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "yes", "on", "true", "1":
		return true, true
	case "no", "off", "false", "0":
		return false, true
	}
	return false, false
}

func parseInt(s scalar) (int64, bool) {
	base := 10
	if s.kind == kindNumber {
		base = 0 // TOML: 0x, 0o, 0b and 1_000
	}
	n, err := strconv.ParseInt(s.text, base, 64)
	return n, err == nil
}

// ParseSize reads a size in bytes as files have it: digits, and k, m or g for powers of 1024.
func ParseSize(s string) (sizeBytes int64, ok bool) { return parseSize(s) }

// parseSize reads digits and k, m or g, in powers of 1024; kb and kib are the same.
func parseSize(s string) (int64, bool) {
	digits := strings.TrimRight(s, "bBiIkKmMgG")
	shift, ok := map[string]uint{
		"": 0, "b": 0, "k": 10, "kb": 10, "kib": 10, "m": 20, "mb": 20, "mib": 20, "g": 30, "gb": 30, "gib": 30,
	}[strings.ToLower(s[len(digits):])]
	n, err := strconv.ParseUint(digits, 10, 63)
	if !ok || err != nil || n > math.MaxInt64>>shift {
		return 0, false
	}
	return int64(n) << shift, true
}

func parsePort(s string) (int64, bool) {
	if strings.EqualFold(s, "off") {
		return 0, true
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return int64(n), err == nil
}

// formatSize is the shortest text that parseSize reads as n.
func formatSize(n int64) string {
	for _, u := range []struct {
		shift uint
		name  string
	}{{30, "g"}, {20, "m"}, {10, "k"}} {
		if n != 0 && n%(1<<u.shift) == 0 {
			return strconv.FormatInt(n>>u.shift, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

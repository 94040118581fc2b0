package frame

import (
	"bytes"
	"slices"
	"testing"
)

// fieldRows are joined by AppendField and taken apart by Cut; with SubDelimiter the same holds for AppendSub and CutSub.
var fieldRows = []struct {
	name   string
	fields []string
	bytes  string
}{
	{"none", nil, ""},
	{"one", []string{"a"}, "a\x01"},
	{"an empty one", []string{""}, "\x01"},
	{"two empty ones", []string{"", ""}, "\x01\x01"},
	{"several", []string{"list", "", "C:\\a b", "é\x00\xff"}, "list\x01\x01C:\\a b\x01é\x00\xff\x01"},
	{"neighbours of the delimiters", []string{"\x00", "\x03"}, "\x00\x01\x03\x01"},
}

func TestFields(t *testing.T) {
	for _, row := range fieldRows {
		t.Run(row.name, func(t *testing.T) {
			checkFields(t, row.fields, row.bytes, AppendField, Cut)
			sub := string(bytes.ReplaceAll([]byte(row.bytes), []byte{Delimiter}, []byte{SubDelimiter}))
			checkFields(t, row.fields, sub, AppendSub, CutSub)
		})
	}
}

func checkFields(t *testing.T, fields []string, joined string, add func(dst, f []byte) []byte, cut func([]byte) (f, rest []byte, found bool)) {
	t.Helper()
	var dst []byte
	for _, f := range fields {
		dst = add(dst, []byte(f))
	}
	if string(dst) != joined {
		t.Errorf("appended %q, want %q", dst, joined)
	}
	var got []string
	for rest := []byte(joined); len(rest) > 0; {
		f, after, found := cut(rest)
		if !found || cap(f) != len(f) {
			t.Fatalf("cut(%q): found %v, length %d, capacity %d", rest, found, len(f), cap(f))
		}
		got, rest = append(got, string(f)), after
	}
	if !slices.Equal(got, fields) {
		t.Errorf("cut %q, want %q", got, fields)
	}
	for i := range joined {
		if _, _, found := cut([]byte(joined[:i])); found && i < len(fields[0])+1 {
			t.Errorf("cut(%q) finds a delimiter", joined[:i])
		}
	}
}

func TestCutWithoutDelimiter(t *testing.T) {
	for _, in := range []string{"", "a", "last field", "\x02\x02"} {
		if f, rest, found := Cut([]byte(in)); string(f) != in || rest != nil || found {
			t.Errorf("Cut(%q) = %q, %q, %v", in, f, rest, found)
		}
	}
	if f, rest, found := CutSub([]byte("a\x01b")); string(f) != "a\x01b" || rest != nil || found {
		t.Errorf("CutSub takes the other delimiter: %q, %q, %v", f, rest, found)
	}
}

func TestClean(t *testing.T) {
	for c := range 256 {
		if got, want := Clean([]byte{'a', byte(c), 'b'}), c != 1 && c != 2; got != want {
			t.Errorf("Clean with byte %d: %v", c, got)
		}
	}
	if !Clean(nil) {
		t.Error("Clean(nil) = false")
	}
}

package config

import (
	"strings"
	"testing"
)

// shortSalt is right but for its salt of four bytes: RFC 7914, section 11, the first half of the second vector.
const shortSalt = "{pbkdf2-sha256}i=80000$TmFDbA$TdzY9guYviGDDO5e8icB+WQaRBjQTAQUrv8Ih2s0q1Y"

// hashOfFoo was made by Python's hashlib.pbkdf2_hmac("sha256", b"foo", b"saltsalt", 1000).
const hashOfFoo = "{pbkdf2-sha256}i=1000$c2FsdHNhbHQ$/StyEDMtcNPBVMiGa+8/qppU9CjfAiYcMYx6mMu9lWY"

func TestCheckSecret(t *testing.T) {
	for _, row := range []struct {
		configured, given string
		want              bool
	}{
		{"", "", false}, {"", "x", false},
		{"foo", "foo", true}, {"foo", "Foo", false}, {"foo", "", false}, {"foo", "foo ", false},
		{"{foo", "{foo", true}, {"{}foo", "{}foo", true}, {"{Foo}", "{Foo}", true},
		{hashOfFoo, "foo", true}, {hashOfFoo, "fo", false}, {hashOfFoo, "", false}, {hashOfFoo, hashOfFoo, false},
		{shortSalt, "Password", false},
		{"{pbkdf2-sha256}", "{pbkdf2-sha256}", false}, {"{argon2id}x", "{argon2id}x", false},
	} {
		if got := CheckSecret(row.configured, row.given); got != row.want {
			t.Errorf("configured %q, given %q: %v", row.configured, row.given, got)
		}
	}
}

func TestHashSecret(t *testing.T) {
	a, err := HashSecret("foo")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := HashSecret("foo") // the error would be the same
	if a == b || !CheckSecret(a, "foo") || CheckSecret(a, "bar") || judgeSecret(a, true) != "" {
		t.Errorf("%s and %s", a, b)
	}
}

// TestHashedForm has every part of the form at and over its limits.
func TestHashedForm(t *testing.T) {
	const hash = "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	salt := func(bytes int) string { return "$" + strings.Repeat("A", (bytes*8+5)/6) }
	for text, want := range map[string]bool{
		"i=1000" + salt(8) + hash: true, "i=999" + salt(8) + hash: false,
		"i=10000000" + salt(8) + hash: true, "i=10000001" + salt(8) + hash: false,
		"i=1000" + salt(7) + hash: false, "i=1000" + salt(64) + hash: true, "i=1000" + salt(65) + hash: false,
		"i=1000" + salt(8) + hash + "A": false, "i=1000" + salt(8) + hash[:len(hash)-1]: false, "i=1000" + salt(8) + hash[:len(hash)-1] + "B": false,
		"i=1000" + salt(8) + hash + "=": false, "i=1000" + salt(8) + hash + "$": false, "i=1000" + salt(8): false,
		"i=x" + salt(8) + hash: false, "i=-1000" + salt(8) + hash: false, "1000" + salt(8) + hash: false, "": false,
	} {
		if got := judgeSecret(hashScheme+text, true) == ""; got != want {
			t.Errorf("%s: accepted: %v", text, got)
		}
	}
	if judgeSecret("{other}x", false) != "" || judgeSecret("{other}x", true) == "" || judgeSecret(mask, false) == "" {
		t.Error("what cannot be hashed is just a text; an unknown scheme and the mask of a dump are none")
	}
}

package proc

import (
	"slices"
	"testing"
)

var testValues = map[string]string{"app": "shop", "user": "J. Doe", "loc": "/srv/a b", "engine": "E0001"}

func TestCommand(t *testing.T) {
	for line, want := range map[string][]string{
		"a":                       {"a"},
		"  a\tb \r\n c  ":         {"a", "b", "c"},
		`'a b' "c d"`:             {"a b", "c d"},
		`a'b'"c"d`:                {"abcd"},
		`x '' ""`:                 {"x", "", ""},
		`'a\b' "a\b" a\b`:         {`a\b`, `a\b`, "ab"},
		`"a\"b\\c" 'it'\''s'`:     {`a"b\c`, "it's"},
		`a\ b \' \" \\`:           {"a b", "'", `"`, `\`},
		"$HOME *.txt `x` >f | ;":  {"$HOME", "*.txt", "`x`", ">f", "|", ";"},
		"run --user={user} {loc}": {"run", "--user=J. Doe", "/srv/a b"},
		`'{app}'-"{engine}"`:      {"shop-E0001"},
		`{app}{app}`:              {"shopshop"},
		`x {{app} {{{app}}`:       {"x", "{app}", "{shop}"},
		`x {} { {a {1} '{"a":1}'`: {"x", "{}", "{", "{a", "{1}", `{"a":1}`},
		`x {\app} é`:              {"x", "shop", "é"},
	} {
		if got, err := Command(line, testValues); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", line, got, err)
		}
	}
	// A value is put in after the splitting, and is not looked at again.
	got, err := Command("x {user}", map[string]string{"user": `a "b {app} {{`})
	if err != nil || !slices.Equal(got, []string{"x", `a "b {app} {{`}) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestCommandErrors(t *testing.T) {
	for line, want := range map[string]string{
		"":         "proc: the command line is empty",
		" \n ":     "proc: the command line is empty",
		"'' x":     "proc: the command line starts with an empty program name",
		"a 'b":     "proc: the quote at column 3 of the command line is not closed",
		`é "b\"`:   "proc: the quote at column 3 of the command line is not closed",
		`ab\`:      "proc: the backslash at column 3 of the command line has nothing after it",
		"a\x00":    "proc: there is a zero byte at column 2 of the command line",
		"a '\x00":  "proc: there is a zero byte at column 4 of the command line",
		"a {apps}": "proc: placeholder {apps} of the command line is unknown; there are {app} {engine} {loc} {user}",
	} {
		if got, err := Command(line, testValues); err == nil || err.Error() != want {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
	_, err := Command("a {user}", map[string]string{"user": "a\x00b"})
	if err == nil || err.Error() != "proc: the value of {user} in the command line holds a zero byte" {
		t.Error(err)
	}
}

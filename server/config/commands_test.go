package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseCommands(t *testing.T) {
	for text, want := range map[string][]string{ // each command as "line: its words, with | between them"
		"":                              nil,
		" \t\r\n;;\n":                   nil,
		"echo":                          {"1: echo"},
		"ECHO Hello":                    {"1: ECHO|Hello"},
		"echo a;echo b\necho c":         {"1: echo|a", "1: echo|b", "2: echo|c"},
		"echo a\r\necho b\r\n":          {"1: echo|a", "2: echo|b"},
		"setopt o a, b ,c,d":            {"1: setopt|o|a|b|c|d"},
		`setopt o "a, b; // c" d`:       {"1: setopt|o|a, b; // c|d"},
		`echo "" "a\"b" "a\\b" "a\b"`:   {`1: echo||a"b|a\b|a\b`},
		"echo a // b; c":                {"1: echo|a"},
		"// all of it":                  nil,
		"/* a\n b */ echo (* c; d *) e": {"2: echo|e"},
		"echo a /* x\n\n */ b":          {"1: echo|a|b"},
		"subscribe p /a/* /a//b":        {"1: subscribe|p|/a/*|/a//b"},
		`subscribe p "/*"`:              {"1: subscribe|p|/*"},
		"echo ä \u00a0":                 {"1: echo|ä|\u00a0"},
		"echo \"a\tb\"":                 {"1: echo|a\tb"},
		"echo a\\":                      {`1: echo|a\`},
		"cost=5:tcp:a:1":                {"1: cost=5:tcp:a:1"},
	} {
		commands, problems := ParseCommands(text)
		var got []string
		for _, c := range commands {
			got = append(got, fmt.Sprintf("%d: %s", c.Line, strings.Join(c.Words, "|")))
		}
		if !slices.Equal(got, want) || len(problems) > 0 {
			t.Errorf("%q: got %q, problems %v\nwant %q", text, got, problems, want)
		}
		for _, c := range commands {
			again, problems := ParseCommands(c.String())
			if c.Line = 1; len(problems) > 0 || !reflect.DeepEqual(again, []Command{c}) {
				t.Errorf("%q: %q is written as %q", text, c.Words, c)
			}
		}
	}
}

// TestWrongCommands has, beside each mistake, the commands that are left.
func TestWrongCommands(t *testing.T) {
	for text, want := range map[string]string{
		`echo "a`:                               "1:6: a quoted text that does not end in its line",
		"echo \"a\nb\"":                         "1:6: a quoted text that does not end in its line|2:2: a quote in the middle of a word",
		`echo "a\"`:                             "1:6: a quoted text that does not end in its line",
		`echo "a"b; echo c`:                     "1:9: a blank, a comma or a semicolon behind a quoted text",
		`echo a"b"`:                             "1:7: a quote in the middle of a word",
		"; , b\nok":                             "1:3: a comma in front of a command",
		"echo, a\nok":                           "1:5: a comma behind the name of a command",
		"echo a,, b":                            "1:8: a comma behind a comma",
		"echo a,\nok":                           "1:8: nothing behind the last comma",
		"echo a, ; ok":                          "1:9: nothing behind the last comma",
		"echo a /* b\nc":                        "1:8: a comment that does not end",
		"echo\n (* b *":                         "2:2: a comment that does not end",
		"echo \x00\nok":                         "1:6: a control character, or what is not UTF-8",
		"echo \"\x7f\"":                         "1:6: a control character",
		"echo \xff":                             "1:6: a control character, or what is not UTF-8",
		`"" a`:                                  "1:1: no name of a command",
		"/*\n\n*/ echo \"":                      "3:9: a quoted text",
		strings.Repeat("a,", 3):                 "1:2: a comma behind the name of a command",
		strings.Repeat("x", maxWord+1):          "1:1: a word of 8193 bytes, at most 8192",
		strings.Repeat("x ", maxWords+1):        "1:2049: more than 1024 words",
		strings.Repeat("x;", maxCommandCount+1): "1:20002: more than 10000 commands",
		strings.Repeat(" ", maxCommandText+1):   "1:1: at most 1048576 bytes of commands; there are 1048577",
	} {
		commands, problems := ParseCommands(text)
		var got []string
		for _, p := range problems {
			got = append(got, fmt.Sprintf("%d:%d: %s", p.Line, p.Col, p.Text))
		}
		wants := strings.Split(want, "|")
		if !slices.EqualFunc(got, wants, strings.HasPrefix) {
			t.Errorf("%.40q:\ngot  %q\nwant %q", text, got, wants)
		}
		left := 0
		if strings.HasSuffix(text, "ok") || strings.HasPrefix(text, "echo\n") {
			left = 1
		} else if strings.HasPrefix(text, "x;") {
			left = maxCommandCount
		}
		if len(commands) != left {
			t.Errorf("%.40q: %d commands are left, want %d", text, len(commands), left)
		}
	}
	if _, problems := ParseCommands(strings.Repeat("a\"\n", 1000)); len(problems) != maxSyntax {
		t.Errorf("%d problems, want no more than %d", len(problems), maxSyntax)
	}
}

// command parses one command.
func command(t *testing.T, text string) Command {
	t.Helper()
	commands, problems := ParseCommands(text)
	if len(commands) != 1 || len(problems) > 0 {
		t.Fatalf("%q: %v, %v", text, commands, problems)
	}
	return commands[0]
}

func TestCommandParts(t *testing.T) {
	c := command(t, `Echo a,"b  c" d`)
	if c.Name() != "echo" || c.Text() != "a, b  c d" || !slices.Equal(c.Args(), []string{"a", "b  c", "d"}) {
		t.Errorf("%q %q %q", c.Name(), c.Text(), c.Args())
	}
	for text, want := range map[string]string{
		"setopt":              ` [] true <nil>`,
		"setopt a":            `a [] true <nil>`,
		"setopt a UNKNOWN":    `a [] false <nil>`,
		"setopt a unknown":    `a [] false <nil>`,
		`setopt a "UNKNOWN"`:  `a [UNKNOWN] false <nil>`,
		"setopt a b, c":       `a [b c] false <nil>`,
		"setopt a b c":        `config: option "a": a comma between two values, or quotes around a value with blanks`,
		"setopt a, b":         `config: option "a": a comma behind its name`,
		"setopt a b, UNKNOWN": `config: option "a": UNKNOWN stands alone`,
	} {
		name, values, err := command(t, text).Option()
		got := fmt.Sprintln(name, values, values == nil, err)
		if !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestAliases(t *testing.T) {
	var r Router
	for _, text := range []string{`alias say "echo one; echo two"`, "alias twice say again", `alias q quit force`, "alias Loop loop", "alias a b", `alias b "a;a"`} {
		if err := r.SetAlias(command(t, text)); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		"echo x":   "[echo x]",
		"SAY":      "[echo one echo two]",
		"say x, y": "[echo one echo two x, y]",
		"twice x":  "[echo one echo two again x]",
		"q":        "[quit force]",
		"loop":     "at most 16 aliases deep",
		"a":        "at most 16 aliases deep",
	} {
		got, err := r.Expand(command(t, text))
		if s := fmt.Sprint(got, err); !strings.Contains(s, want) {
			t.Errorf("%s: got %s, want %s", text, s, want)
		}
	}
	before := slices.Clone(r.Aliases)
	shared := r.Aliases
	for text, want := range map[string]string{
		"alias x":           "write alias NAME COMMAND",
		"alias x, y z":      "write alias NAME COMMAND",
		"alias setopt echo": "a name that is not that of a command",
		"alias x/y echo":    "1 to 64 letters",
		`alias x ""`:        "one or more commands",
		`alias x "echo a,"`: "nothing behind the last comma",
	} {
		if err := r.SetAlias(command(t, text)); err == nil || !strings.Contains(withoutColumns(err), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if err := r.SetAlias(command(t, "alias SAY echo three")); err != nil || r.Aliases[0].Text != "echo three" {
		t.Errorf("%v, %v", r.Aliases, err)
	}
	if err := r.UnsetAlias(command(t, "unalias Q nobody a")); err == nil || withoutColumns(err) != `config: unalias: no alias "nobody"` || len(r.Aliases) != len(before)-2 {
		t.Errorf("%v, %v", r.Aliases, err)
	}
	if !slices.Equal(shared, before) {
		t.Errorf("a list that is in use was changed: %v", shared)
	}
}

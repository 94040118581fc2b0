package fuzz

import (
	"slices"
	"strings"
	"testing"

	"roundhouse/enginepool/proc"
)

// quotings write an argument so that Command reads it again. A brace is doubled, so that it is none of a placeholder.
var quotings = []func(string) string{
	func(s string) string {
		return "'" + strings.ReplaceAll(strings.ReplaceAll(s, "{", "{{"), "'", `'\''`) + "'"
	},
	func(s string) string {
		return `"` + strings.NewReplacer("{", "{{", `\`, `\\`, `"`, `\"`).Replace(s) + `"`
	},
	func(s string) string {
		if s == "" {
			return "''"
		}
		var b strings.Builder
		for i := range len(s) {
			if s[i] == '{' {
				b.WriteString(`\{`)
			}
			b.WriteByte('\\')
			b.WriteByte(s[i])
		}
		return b.String()
	},
}

// FuzzEngineCommand splits a line, and if that is right its arguments quoted in any way, which gives the same. The line is also
// taken as a list of arguments, one a line.
func FuzzEngineCommand(f *testing.F) {
	values := map[string]string{"app": "shop", "user": `it's "me" {user}`, "loc": "", "engine": "E0001"}
	f.Fuzz(func(t *testing.T, line string) {
		argv, err := proc.Command(line, values)
		if (err == nil) != (len(argv) > 0) {
			t.Fatalf("%q, %v", argv, err)
		}
		for _, args := range [][]string{argv, strings.Split(line, "\n")} {
			if len(args) == 0 || args[0] == "" || strings.Contains(line, "\x00") {
				continue
			}
			for i := range quotings {
				var b strings.Builder
				for j, arg := range args {
					b.WriteString(quotings[(i+j)%len(quotings)](arg))
					b.WriteByte(" \t\n"[j%3])
				}
				if again, err := proc.Command(b.String(), values); err != nil || !slices.Equal(again, args) {
					t.Fatalf("%q was written %q and read as %q, %v", args, b.String(), again, err)
				}
			}
		}
	})
}

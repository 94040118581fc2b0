package fuzz

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"roundhouse/server/config"
)

// FuzzPattern matches patterns of certificates. It agrees with a regular expression of the same meaning, and a text is what it stands for itself
// once its stars are written as such.
func FuzzPattern(f *testing.F) {
	for _, row := range [][2]string{
		{`CN = \*.example.com, *`, "CN=*.example.com,O=a"}, {"*a?b*", "xaxbx"}, {"a*a", "a"}, {`\\?*`, `\é`}, {`a\`, `a\`},
	} {
		f.Add(row[0], row[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if itself := strings.NewReplacer("*", `\*`, "?", `\?`, `\`, `\\`).Replace(text); !config.MatchPattern(itself, text) {
			t.Errorf("%q is not %q", text, itself)
		}
		got := config.MatchPattern(pattern, text)
		if !utf8.ValidString(pattern) || !utf8.ValidString(text) || strings.ContainsAny(pattern+text, " \t") || len(pattern) > 500 {
			return
		}
		var expression strings.Builder
		for i := 0; i < len(pattern); {
			_, n := utf8.DecodeRuneInString(pattern[i:])
			switch rest := pattern[i+n:]; {
			case pattern[i] == '*':
				expression.WriteString(".*")
			case pattern[i] == '?':
				expression.WriteString(".")
			case pattern[i] == '\\' && rest != "" && strings.Contains(`*?\`, rest[:1]):
				expression.WriteString(regexp.QuoteMeta(rest[:1]))
				n++
			default:
				expression.WriteString(regexp.QuoteMeta(pattern[i : i+n]))
			}
			i += n
		}
		if want := regexp.MustCompile(`(?s)\A` + expression.String() + `\z`).MatchString(text); got != want {
			t.Errorf("%q, %q: got %v, want %v", pattern, text, got, want)
		}
	})
}

package proc

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func atoi(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// zombie tells whether a process has ended and was not reaped by who adopted it.
func zombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestLines(t *testing.T) {
	e := shell(t, `printf 'a\r\n\nb c\nunended'; printf 'one\ntwo\n' >&2; exit 1`)
	x := e.exit()
	if want := []string{"a", "", "b c", "unended"}; !slices.Equal(e.said("stdout"), want) {
		t.Errorf("%q", e.said("stdout"))
	}
	if want := []string{"one", "two"}; !slices.Equal(e.said("stderr"), want) || !slices.Equal(x.Stderr, want) {
		t.Errorf("%q %q", e.said("stderr"), x.Stderr)
	}
}

// TestLongLines looks at lines about the limit, cut at no character.
func TestLongLines(t *testing.T) {
	for _, row := range []struct {
		line string
		want []int // bytes of the pieces
	}{
		{strings.Repeat("a", maxLine-1), []int{maxLine - 1}},
		{strings.Repeat("a", maxLine), []int{maxLine}},
		{strings.Repeat("a", maxLine+1), []int{maxLine, 1}},
		{strings.Repeat("a", 2*maxLine+7), []int{maxLine, maxLine, 7}},
		{strings.Repeat("a", maxLine-1) + "ü", []int{maxLine - 1, 2}},
		{strings.Repeat("a", maxLine-3) + "€" + "b", []int{maxLine, 1}},
		{strings.Repeat("a", maxLine-2) + "€", []int{maxLine - 2, 3}},
		{strings.Repeat("a", maxLine-3) + "🚂", []int{maxLine - 3, 4}},
	} {
		for _, end := range []string{"\n", "\r\n", ""} {
			at := t.TempDir() + "/text"
			if err := os.WriteFile(at, []byte(row.line+end), 0o600); err != nil {
				t.Fatal(err)
			}
			e := run(t, Spec{Argv: []string{"cat", at}})
			e.exit()
			var got []int
			for _, line := range e.said("stdout") {
				got = append(got, len(line))
			}
			if end == "\r\n" && len(row.line) == maxLine {
				continue // the carriage return may be a piece of its own
			}
			if !slices.Equal(got, row.want) || strings.Join(e.said("stdout"), "") != row.line {
				t.Errorf("%d bytes and %q come as %v, want %v", len(row.line), end, got, row.want)
			}
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain text":         "plain text",
		`C:\a "quoted" 'x'`:  `C:\a "quoted" 'x'`,
		"grün 東京":            "grün 東京",
		"\x1b[31mred\a":      `\x1b[31mred\a`,
		"a\rlevel=ERROR":     `a\rlevel=ERROR`,
		"tab\tnul\x00":       `tab\tnul\x00`,
		"\xff\xfe":           `\xff\xfe`,
		"\u202eright\u2028l": `\u202eright\u2028l`,
		"":                   "",
	} {
		if got := string(appendPrintable(nil, []byte(in))); got != want {
			t.Errorf("%q is written %q, want %q", in, got, want)
		}
	}
}

// TestFlood: a flood is cut and counted, and its end is kept for the report of the exit.
func TestFlood(t *testing.T) {
	const n = 5000
	e := shell(t, "seq 1 "+itoa(n)+" >&2; exit 9")
	x := e.exit()
	if len(x.Stderr) != lastLines || x.Stderr[lastLines-1] != itoa(n) || x.Stderr[0] != itoa(n-lastLines+1) {
		t.Errorf("the last lines are %q", x.Stderr)
	}
	passed, left := counts(t, e.said("stderr"))
	if passed+left != n || left == 0 {
		t.Errorf("%d lines passed, %d counted", passed, left)
	}
}

// counts returns how many lines came and how many are said to be left out.
func counts(t *testing.T, lines []string) (passed, left int) {
	for _, line := range lines {
		n, ok := strings.CutSuffix(line, " lines left out: more than 200 came within 1s)")
		if ok {
			left += atoi(t, strings.TrimPrefix(n, "("))
		} else {
			passed++
		}
	}
	return passed, left
}

// TestFloodThenSilence: what was left out is told though no more lines come, and then lines pass again.
func TestFloodThenSilence(t *testing.T) {
	e := shell(t, "seq 1 1000; read x <&3; echo later; read x <&3")
	eventually(t, "all are counted", func() bool {
		passed, left := counts(t, e.said("stdout"))
		return passed+left == 1000 && left > 0
	})
	if _, err := e.socket.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	e.says("later")
}

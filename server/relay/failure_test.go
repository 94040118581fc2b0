package relay

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestFailuresDocumented holds the table of codes in docs/relay.md against the code: each failure has its row, each row its failure.
func TestFailuresDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/relay.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (RS[EF]_\w+) \| (\d+) \| ([^|]*) \| [^|]+ \|$`).FindAllStringSubmatch(string(text), -1) {
		rows[m[1]] = m[2:]
	}
	for _, f := range failures {
		row := rows[f.name]
		if row == nil || row[0] != strconv.Itoa(f.number) || !strings.Contains(row[1], strconv.Itoa(f.status)) {
			t.Errorf("%s, %d, %d: the row is %q", f.name, f.number, f.status, row)
		}
		delete(rows, f.name)
	}
	for name := range rows {
		t.Errorf("%s is in docs/relay.md only", name)
	}
}

// TestFailureText checks that a text, which may be an enabler's, cannot break out of its field.
func TestFailureText(t *testing.T) {
	b := appendFailure(nil, failBackendDown, answer{status: 502, minor: 1}, "no\r\nroute: \x00\u00fc"+strings.Repeat("x", 1000))
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(b))), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // it is in memory
	got := resp.Header.Get("Ias-Rs-Error-Text")
	if !strings.HasPrefix(got, "no??route: ??x") || len(got) > 256 || resp.Header.Get("Ias-Rs-Error") != fmt.Sprint(failBackendDown.number) {
		t.Errorf("fields are %v", resp.Header)
	}
}

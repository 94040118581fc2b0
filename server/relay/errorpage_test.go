package relay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pagesIn writes files into a directory of their own.
func pagesIn(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestErrorPages checks which page stands for which answer, and what is put into it. A redirection has none.
func TestErrorPages(t *testing.T) {
	p, err := readErrorPages(pagesIn(t, map[string]string{
		"503.html": "<p>{{text}}|{{ status }}|{{reason}}|{{code}}|{{name}}|{{nothing}}|{{{text}}|{{text", "5xx.html": "five", "error.html": "any",
		"5xx.json": `{"t":"{{text}}"}`, "logo.svg": "not a page",
	}))
	if err != nil {
		t.Fatal(err)
	}
	const text = "a<b>\"c\"\n\x01é"
	filled := "<p>a&lt;b&gt;&#34;c&#34;\n\x01é|503|Service Unavailable|1101|RSE_NO_BACKEND|{{nothing}}|{a&lt;b&gt;&#34;c&#34;\n\x01é|{{text"
	for _, row := range []struct {
		status       int
		accept, want string // empty: the relay's own
	}{
		{503, "text/html", filled}, {503, "*/*", filled}, {503, "", filled}, {502, "text/html,*/*", "five"}, {404, "text/*", "any"},
		{503, "text/plain", ""}, {308, "text/html", ""}, {503, "application/json", `{"t":"a\u003cb\u003e\"c\"\n\u0001é"}`}, {404, "application/json", ""},
	} {
		f := failNoBackend
		_, body, ok := p.body(f, &answer{status: row.status, accept: []byte(row.accept)}, text)
		if ok != (row.want != "") || body != row.want {
			t.Errorf("%d, %q: %q", row.status, row.accept, body)
		}
		whole := appendFailure(nil, f, answer{status: row.status, minor: 1, accept: []byte(row.accept), pages: p}, text)
		if row.want != "" && !bytes.HasSuffix(whole, []byte("\r\n\r\n"+row.want)) {
			t.Errorf("%d, %q: the answer is %q", row.status, row.accept, whole)
		}
		if want := fmt.Sprintf("HTTP/1.1 %d %s\r\n", row.status, http.StatusText(row.status)); !bytes.HasPrefix(whole, []byte(want)) {
			t.Errorf("the answer is %q", whole)
		}
	}
}

// TestBuiltInJSON has a text that no JSON string may hold as it is.
func TestBuiltInJSON(t *testing.T) {
	_, body := builtIn(failBackendDown, &answer{accept: []byte("application/json")}, "\x00\x7f\"\xff")
	var got struct {
		Error, Text string
		Code        int
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || got.Code != 1103 || got.Error != "RSE_BACKEND_DOWN" || got.Text != "\x00\x7f\"\ufffd" {
		t.Errorf("%q: %v, %+v", body, err, got)
	}
}

// TestErrorPagesRefused has directories that are mistakes.
func TestErrorPagesRefused(t *testing.T) {
	many := map[string]string{}
	for i := range maxPages + 1 {
		many[fmt.Sprintf("%d.txt", i)] = ""
	}
	for want, dir := range map[string]string{
		"no such file":           filepath.Join(t.TempDir(), "none"),
		"no page":                pagesIn(t, map[string]string{"a.txt": ""}),
		"more than 128 files":    pagesIn(t, many),
		"longer than":            pagesIn(t, map[string]string{"503.html": strings.Repeat("x", maxPageBytes+1)}),
		"more than 64 place":     pagesIn(t, map[string]string{"503.html": strings.Repeat("{{text}}", maxHolders+1)}),
		"50x.html: the name":     pagesIn(t, map[string]string{"50x.html": ""}),
		"200.html: the name":     pagesIn(t, map[string]string{"200.html": ""}),
		"index.json: the name":   pagesIn(t, map[string]string{"index.json": ""}),
		"+503.html: the name of": pagesIn(t, map[string]string{"+503.html": ""}),
	} {
		if _, err := readErrorPages(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if p, err := readErrorPages(""); p != nil || err != nil {
		t.Error(p, err)
	}
	if _, err := readErrorPages(pagesIn(t, map[string]string{"503.html": strings.Repeat("x", maxPageBytes)})); err != nil {
		t.Error(err)
	}
}

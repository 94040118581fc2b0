package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// errorPages are the pages of one directory (config.Farm.ErrorPages): they are read when a configuration is, and stand for the
// relay's own answers of a farm. Immutable.
type errorPages struct {
	html, json map[string]page // by "503", "5xx" or "error"
}

// page is a text with placeholders: literal text, and what each placeholder between stands for. len(text) == len(holders)+1.
type page struct {
	text    []string
	holders []holder
}

type holder uint8

const (
	holdStatus holder = iota // 503
	holdReason               // Service Unavailable
	holdCode                 // 1101
	holdName                 // RSE_NO_BACKEND
	holdText                 // what is wrong
)

var holders = map[string]holder{"status": holdStatus, "reason": holdReason, "code": holdCode, "name": holdName, "text": holdText}

// Bounds of a directory of pages: more is a mistake of the configuration.
const (
	maxPages     = 128
	maxPageBytes = 64 << 10
	maxHolders   = 64 // in one page
)

// readErrorPages reads the pages of a directory; nil when dir is empty. It reads files: not for loops.
func readErrorPages(dir string) (*errorPages, error) {
	if dir == "" {
		return nil, nil
	}
	p := &errorPages{html: map[string]page{}, json: map[string]page{}}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	entries, err := f.ReadDir(maxPages + 1)
	switch {
	case err != nil && !errors.Is(err, io.EOF): // EOF: it is empty
		return nil, err
	case len(entries) > maxPages:
		return nil, fmt.Errorf("%s: more than %d files", dir, maxPages)
	}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		into := map[string]map[string]page{".html": p.html, ".json": p.json}[ext]
		if into == nil || e.IsDir() {
			continue
		}
		name := strings.TrimSuffix(e.Name(), ext)
		if !pageName(name) {
			return nil, fmt.Errorf("%s: the name of a page is a status, as 503, a class of them, as 5xx, or error", filepath.Join(dir, e.Name()))
		}
		if into[name], err = readPage(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	if len(p.html)+len(p.json) == 0 {
		return nil, fmt.Errorf("%s: no page in it", dir)
	}
	return p, nil
}

// CheckErrorPages reads the pages of a directory as a farm does, and says what is wrong with them.
func CheckErrorPages(dir string) error {
	_, err := readErrorPages(dir)
	return err
}

// pageName tells whether a page may have a name: error, 4xx, 5xx, or a status from 400 to 599.
func pageName(name string) bool {
	if name == "error" || name == "4xx" || name == "5xx" {
		return true
	}
	n, err := strconv.Atoi(name)
	return err == nil && len(name) == 3 && n >= 400 && n <= 599
}

func readPage(path string) (page, error) {
	f, err := os.Open(path)
	if err != nil {
		return page{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	if s, err := f.Stat(); err != nil || !s.Mode().IsRegular() {
		return page{}, fmt.Errorf("%s: not a file: %v", path, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPageBytes+1))
	switch {
	case err != nil:
		return page{}, err
	case len(b) > maxPageBytes:
		return page{}, fmt.Errorf("%s: longer than %d bytes", path, maxPageBytes)
	}
	p := parsePage(string(b))
	if len(p.holders) > maxHolders {
		return page{}, fmt.Errorf("%s: more than %d placeholders", path, maxHolders)
	}
	return p, nil
}

// parsePage finds the placeholders, as {{text}}. Braces around anything else are text.
func parsePage(s string) (p page) {
	const longest = 16 // of what stands between braces
	literal, at := 0, 0
	for {
		begin := strings.Index(s[at:], "{{")
		if begin < 0 {
			p.text = append(p.text, s[literal:])
			return p
		}
		begin += at
		at = begin + 1 // of {{{text}} the last two count
		name, _, closed := strings.Cut(s[begin+2:min(len(s), begin+2+longest)], "}}")
		if h, ok := holders[strings.TrimSpace(name)]; ok && closed {
			p.text = append(p.text, s[literal:begin])
			p.holders = append(p.holders, h)
			literal = begin + len("{{") + len(name) + len("}}")
			at = literal
		}
	}
}

// fill replaces the placeholders by values that were escaped.
func (p *page) fill(status int, f *failure, text string, escape func(string) string) string {
	values := [...]string{
		holdStatus: strconv.Itoa(status), holdReason: escape(http.StatusText(status)), holdCode: strconv.Itoa(f.number),
		holdName: f.name, holdText: escape(text),
	}
	var b strings.Builder
	for i, h := range p.holders {
		b.WriteString(p.text[i])
		b.WriteString(values[h])
	}
	b.WriteString(p.text[len(p.text)-1])
	return b.String()
}

// readPages reads the error pages of the farm.
func (f *farmView) readPages() (err error) {
	if f.pages, err = readErrorPages(f.conf.ErrorPages); err != nil {
		return fmt.Errorf("relay: error pages of the farm %q: %w", f.conf.ID, err)
	}
	return nil
}

// find returns the page for a status: its own, that of its class, or that for all.
func find(pages map[string]page, status int) (page, bool) {
	for _, name := range [...]string{strconv.Itoa(status), strconv.Itoa(status/100) + "xx", "error"} {
		if p, ok := pages[name]; ok {
			return p, true
		}
	}
	return page{}, false
}

// body is the page for an answer, with its media type. ok is false when there is none for it.
func (e *errorPages) body(f *failure, a *answer, text string) (kind, body string, ok bool) {
	if e == nil || a.status < 400 { // a redirection is no error
		return "", "", false
	}
	switch likes := parseAccept(a.accept); {
	case likes.wantsJSON():
		if p, ok := find(e.json, a.status); ok {
			return "application/json", p.fill(a.status, f, text, jsonText), true
		}
	case likes.takesHTML():
		if p, ok := find(e.html, a.status); ok {
			return "text/html; charset=utf-8", p.fill(a.status, f, text, html.EscapeString), true
		}
	}
	return "", "", false
}

// jsonText is s as it stands between the quotes of a JSON string.
func jsonText(s string) string {
	b, _ := json.Marshal(s) // of a string it never fails
	return string(b[1 : len(b)-1])
}

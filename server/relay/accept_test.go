package relay

import "testing"

// TestAccept has Accept fields as programs and browsers send them, and the form in which each is told of a failure.
func TestAccept(t *testing.T) {
	for _, row := range []struct {
		field, builtIn string
		takesHTML      bool
	}{
		{"", "text", true},
		{"*/*", "text", true},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", "html", true},
		{"application/json, text/plain, */*", "json", true},
		{"Application/JSON", "json", false},
		{"application/problem+json", "json", false},
		{"application/*;q=0.5", "json", false},
		{"text/html, application/json", "html", true},
		{"application/json, text/html", "json", true},
		{"text/html, application/json;q=0.5", "html", true},
		{"text/html ; level=1 ; q=0.2 , application/json;q=0.5", "json", true},
		{"application/json;q=0, text/html", "html", true},
		{"application/json;q=0", "text", false},
		{"application/json;q=x", "json", false},
		{"application/json;q=2;q=0.1, text/html", "html", true},
		{"image/png", "text", false},
		{",;,q=1,text/html;", "html", true},
	} {
		a := parseAccept([]byte(row.field))
		got := "text"
		switch {
		case a.wantsJSON():
			got = "json"
		case a.wantsHTML():
			got = "html"
		}
		if got != row.builtIn || a.takesHTML() != row.takesHTML {
			t.Errorf("%q: %s, takes HTML %v; want %s, %v", row.field, got, a.takesHTML(), row.builtIn, row.takesHTML)
		}
	}
}

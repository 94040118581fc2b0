// Package statuspage shows what a relay server knows of its farms, as a page or as JSON.
//
// Who asks fills a Report with what its reader may see; the package leaves nothing out but empty values. Nothing of a Report is trusted:
// ids and descriptions are escaped. There is no secret in a Report, and no place for one.
package statuspage

import (
	"bytes"
	_ "embed" // for page.html
	"encoding/json"
	"html/template"
	"regexp"
	"strings"
	"time"
)

// The states of what a report is about.
const (
	Available   = "available"   // everything that was configured and enabled works
	Degraded    = "degraded"    // a part of it does
	Unavailable = "unavailable" // nothing does
)

// Report is what one page tells. Times are shown in UTC; a zero one is left out.
type Report struct {
	State       string    `json:"state"`                 // of what was asked for; one of the constants
	Relay       string    `json:"relay,omitempty"`       // name of the relay server
	Version     string    `json:"version,omitempty"`     // of its program
	Description string    `json:"description,omitempty"` // of the relay server
	Time        time.Time `json:"time"`
	Since       time.Time `json:"since,omitzero"`       // when the process began
	Generation  int64     `json:"generation,omitempty"` // of the configuration in force; 0: not shown
	NeedStart   []string  `json:"need_start,omitempty"` // keys that were changed and wait for a new start
	Asked       string    `json:"asked,omitempty"`      // the farm, or FARM / SERVER, that the page is about
	Counts      []Count   `json:"counts,omitempty"`     // of the whole relay server
	Farms       []Farm    `json:"farms,omitempty"`      // none: no names are shown
	Refresh     int       `json:"-"`                    // seconds after which the page reloads itself; 0: never
	Full        bool      `json:"-"`                    // has the page show what only an administrator of the relay wants to know
	Links       bool      `json:"-"`                    // makes the names of farms and servers lead to their own pages
}

// Farm is one farm of a report.
type Farm struct {
	ID          string   `json:"id"`
	Description string   `json:"description,omitempty"`
	Enabled     bool     `json:"enabled"`
	State       string   `json:"state"`
	Up          int      `json:"up"`    // servers that can take requests
	Total       int      `json:"total"` // servers that are configured
	Counts      []Count  `json:"counts,omitempty"`
	Servers     []Server `json:"servers,omitempty"`
}

// Server is one back-end server of a farm.
type Server struct {
	ID          string    `json:"id"`
	Description string    `json:"description,omitempty"`
	Enabled     bool      `json:"enabled"`
	Connected   bool      `json:"connected"` // its enabler has a lane to this relay server
	BackendUp   bool      `json:"backend_up"`
	Ejected     bool      `json:"ejected,omitempty"` // it gets no requests for a while, because it failed
	Drained     bool      `json:"drained,omitempty"` // it gets no requests until an administrator says otherwise
	Since       time.Time `json:"since,omitzero"`    // of the connection
	RTT         float64   `json:"rtt_ms,omitempty"`  // to the enabler, in milliseconds; 0: not known
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	Detail      *Detail   `json:"detail,omitempty"`
}

// Detail is what only an administrator of the relay sees of a back-end server.
type Detail struct {
	Token    bool     `json:"token"`             // one is demanded
	MACs     []string `json:"macs,omitempty"`    // of which the enabler must have one
	Version  string   `json:"version,omitempty"` // of the enabler
	Remote   []string `json:"remote,omitempty"`  // addresses that its lanes come from
	Lanes    int      `json:"lanes"`
	Draining int      `json:"draining"` // of these, that take no new requests
	InFlight int      `json:"in_flight"`
	// Connections of the enabler to the back end, by their state, active or idle; nil: it does not tell.
	Junctions map[string]int64 `json:"junctions,omitempty"`
}

// Count is a number with its name.
type Count struct {
	Name  string `json:"name"`
	Value int64  `json:"value"`
}

// ContentType is that of an answer; Policy belongs into its Content-Security-Policy: a page loads nothing and runs nothing.
const (
	HTMLType = "text/html; charset=utf-8"
	JSONType = "application/json"
	Policy   = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"linked": linked, "yesno": yesno, "utc": utc, "join": strings.Join,
}).Parse(pageText))

// HTML renders a report as a page.
func HTML(r *Report) ([]byte, error) {
	var b bytes.Buffer
	err := page.Execute(&b, r)
	return b.Bytes(), err
}

// JSON renders a report as a JSON object.
func JSON(r *Report) ([]byte, error) {
	b, err := json.MarshalIndent(r, "", " ")
	return append(b, '\n'), err
}

// mailAddress finds what a description says to write to, with mailto: in front or not.
var mailAddress = regexp.MustCompile(`(?:mailto:)?[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+`)

// linked escapes a text and makes links of the mail addresses in it.
func linked(text string) template.HTML {
	var b strings.Builder
	at := 0
	for _, m := range mailAddress.FindAllStringIndex(text, -1) {
		b.WriteString(template.HTMLEscapeString(text[at:m[0]]))
		addr := strings.TrimPrefix(text[m[0]:m[1]], "mailto:")
		shown := template.HTMLEscapeString(addr) // of the characters that the expression lets through, none changes
		b.WriteString(`<a href="mailto:` + strings.ReplaceAll(shown, "%", "%25") + `">` + shown + "</a>")
		at = m[1]
	}
	b.WriteString(template.HTMLEscapeString(text[at:]))
	return template.HTML(b.String())
}

func yesno(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func utc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

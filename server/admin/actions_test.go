package admin

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"roundhouse/server/config"
)

// TestActions: what an action says becomes the answer, whether the form stands in the query or in the body.
func TestActions(t *testing.T) {
	s, err := New(config.Admin{}, slog.New(slog.DiscardHandler), Sources{Actions: []Action{{Name: "things/do", About: "does", Do: func(r Request) (string, error) {
		switch what := r.Values.Get("what"); what {
		case "wrong":
			return "", errors.Join(errors.New("what is wrong"), ErrUsage)
		case "late":
			return "", errors.New("too late")
		default:
			return "did " + what, nil
		}
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		query, body string
		status      int
		text        string
	}{
		{"?what=a+b", "", http.StatusOK, "did a b\n"},
		{"", "what=c", http.StatusOK, "did c\n"},
		{"?what=wrong", "", http.StatusBadRequest, "what is wrong\n"},
		{"?what=late", "", http.StatusConflict, "too late\n"},
		{"?%zz", "", http.StatusBadRequest, "the form cannot be read\n"},
		{"", "what=" + strings.Repeat("a", maxForm), http.StatusBadRequest, "the form cannot be read\n"},
	} {
		r := httptest.NewRequest(http.MethodPost, "/api/things/do"+row.query, strings.NewReader(row.body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.mux.ServeHTTP(w, r)
		if b, _ := io.ReadAll(w.Body); w.Code != row.status || string(b) != row.text {
			t.Errorf("%s %.20s: %d %q", row.query, row.body, w.Code, b)
		}
	}
}

// TestFromHere: the headers of browsers.
func TestFromHere(t *testing.T) {
	for _, row := range []struct {
		host, origin, site string
		ok                 bool
	}{
		{"127.0.0.1:8081", "", "", true}, // no browser
		{"admin.example:8081", "", "", true},
		{"127.0.0.1:8081", "http://127.0.0.1:8081", "same-origin", true},
		{"[::1]:8081", "http://[::1]:8081", "same-origin", true},
		{"localhost:8081", "http://localhost:8081", "same-origin", true},
		{"127.0.0.1:8081", "", "none", true}, // typed by a person
		{"127.0.0.1:8081", "http://evil.example", "cross-site", false},
		{"127.0.0.1:8081", "http://evil.example", "", false},
		{"127.0.0.1:8081", "", "cross-site", false},
		{"127.0.0.1:8081", "", "same-site", false},
		{"127.0.0.1:8081", "null", "", false},
		{"evil.example:8081", "http://evil.example:8081", "same-origin", false},
		{"evil.example", "http://evil.example", "", false},
	} {
		r := httptest.NewRequest(http.MethodPost, "/api/x", nil)
		r.Host = row.host
		for name, value := range map[string]string{"Origin": row.origin, "Sec-Fetch-Site": row.site} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if err := new(Server).fromHere(r); (err == nil) != row.ok {
			t.Errorf("%+v: %v", row, err)
		}
	}
}

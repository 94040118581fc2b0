package outbound

import (
	"testing"

	"roundhouse/codec/http1"
	"roundhouse/server/config"
)

// TestCutOwnHost has places as a back end names them that knows itself by its own host alone.
func TestCutOwnHost(t *testing.T) {
	for _, row := range []struct {
		https       bool
		name, value string
		want        string
	}{
		{false, "Location", "http://inside:3000/a?b#c", "/a?b#c"},
		{false, "content-location", "HTTP://INSIDE:3000/a", "/a"},
		{false, "Location", "http://inside:3000", "/"},
		{false, "Location", "http://inside:3000?b", "/?b"},
		{false, "Location", "http://inside:3000//evil/a", "http://inside:3000//evil/a"},
		{false, "Location", `http://inside:3000/\evil/a`, `http://inside:3000/\evil/a`},
		{false, "Location", "http://inside:3001/a", "http://inside:3001/a"},
		{false, "Location", "http://inside/a", "/a"},
		{false, "Location", "http://insider/a", "http://insider/a"},
		{false, "Location", "https://inside:3000/a", "https://inside:3000/a"},
		{false, "Location", "//inside:3000/a", "//inside:3000/a"},
		{false, "Location", "/a", "/a"},
		{false, "Location", "http://u@inside:3000/a", "http://u@inside:3000/a"},
		{false, "Link", "http://inside:3000/a", "http://inside:3000/a"},
		{true, "Location", "https://inside:3000/a", "/a"},
		{true, "Location", "http://inside:3000/a", "http://inside:3000/a"},
	} {
		cfg := &config.Enabler{Backend: config.BackendAddr{TLS: config.TLS{HTTPS: row.https}, Host: "inside", Port: 3000}}
		var r http1.Response
		head := "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n" + row.name + ": " + row.value + "\r\n\r\n"
		lim := http1.DefaultLimits()
		if _, err := r.Parse([]byte(head), &lim, false); err != nil {
			t.Fatal(err)
		}
		for _, own := range []bool{true, false} {
			cfg.Backend.OwnHost = own
			want := row.want
			if !own {
				want = row.value
			}
			fields := append([]http1.Field{}, r.Fields...)
			(&manner{ownHost: ownHost(&cfg.Backend)}).cutOwnHost(fields, &cfg.Backend)
			if got := string(fields[1].Value); got != want {
				t.Errorf("https %v, own %v, %s: %s: got %q, want %q", row.https, own, row.name, row.value, got, want)
			}
		}
	}
}

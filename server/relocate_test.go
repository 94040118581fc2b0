package server_test

import (
	"net/netip"
	"strings"
	"testing"

	"roundhouse/server/config"
)

// relocateRows have a request, for the host h:81 if it names none; lines of the answer that the back end gives; and what the client gets.
var relocateRows = []struct{ name, path, fields, given, want string }{
	{"path", "$F/a", "", "Location: /x/y?z#w", "Location: /cli/iarelayserver/f/x/y?z#w"},
	{"root", "$F", "", "location: /", "location: /cli/iarelayserver/f/"},
	{"other prefix", "/rs16/client/rs_client.dll/f/a", "", "LOCATION: /x", "LOCATION: /rs16/client/rs_client.dll/f/x"},
	{"encoded name", "/cli/iarelayserver/%66/a", "", "Location: /x", "Location: /cli/iarelayserver/%66/x"},
	{"content", "$F/a", "", "Content-Location: /x", "Content-Location: /cli/iarelayserver/f/x"},
	{"leads here already", "$F/a", "", "Location: $F/x|Content-Location: $F", "Location: $F/x|Content-Location: $F"},
	{"begins like it", "$F/a", "", "Location: $Fx", "Location: $F$Fx"},
	{"backslash", "$F/a", "", "Location: /\\evil", "Location: $F/\\evil"},
	{"relative", "$F/a", "", "Location: x|Content-Location: ../x/|Location: ?q|Location: #f|Location: ", "Location: x|Content-Location: ../x/|Location: ?q|Location: #f|Location: "},
	{"absolute", "$F/a", "", "Location: http://h:81/x", "Location: http://h:81$F/x"},
	{"absolute, no path", "$F/a", "", "Location: http://H:81|Content-Location: http://h:81?q", "Location: http://h:81$F|Content-Location: http://h:81$F?q"},
	{"absolute, already", "$F/a", "", "Location: http://h:81$F/x", "Location: http://h:81$F/x"},
	{"its own port", "$F/a", "", "Location: http://h:3000/x|Content-Location: http://h/x", "Location: http://h:81$F/x|Content-Location: http://h:81$F/x"},
	{"scheme left out", "$F/a", "", "Location: //h/x|Location: //i/x", "Location: //h:81$F/x|Location: //i/x"},
	{"to https", "$F/a", "", "Location: https://h/x", "Location: https://h$F/x"},
	{"came by https", "$F/a", "X-Forwarded-Proto: https|", "Location: http://h:3000/x|Location: https://h/x", "Location: https://h:81$F/x|Location: https://h:81$F/x"},
	{"first proxy's host", "$F/a", "X-Forwarded-Host: p, q|", "Location: http://p/x|Location: http://q/x", "Location: http://p$F/x|Location: http://q/x"},
	{"address", "$F/a", "Host: [::1]:81|", "Location: http://[::1]/x|Location: http://[::2]/x", "Location: http://[::1]:81$F/x|Location: http://[::2]/x"},
	{"elsewhere", "$F/a", "", "Location: http://hh/x|Location: http://u@h/x|Location: http:///x|Location: ftp://h/x|Location: mailto:h|Content-Location: http:/x",
		"Location: http://hh/x|Location: http://u@h/x|Location: http:///x|Location: ftp://h/x|Location: mailto:h|Content-Location: http:/x"},
	{"other fields", "$F/a", "", "Link: </x>|Locations: /x|X-Location: /x", "Link: </x>|Locations: /x|X-Location: /x"},
	{"cookie", "$F/a", "", "Set-Cookie: a=b; path=/x; Secure|Set-Cookie: a=b;PATH = /|Set-Cookie: c=d; Path=/;HttpOnly",
		"Set-Cookie: a=b; Path=$F/x; Secure|Set-Cookie: a=b; Path=$F|Set-Cookie: c=d; Path=$F;HttpOnly"},
	{"cookie, nothing to do", "$F/a", "", "Set-Cookie: a=b|Set-Cookie: path=/|Set-Cookie: a=b; Path|Set-Cookie: a=b; Path=|Set-Cookie: a=b; Path=x|Set-Cookie: a=b; Path=$F/x; X=/|Set-Cookie: |Set-Cookie: ;",
		"Set-Cookie: a=b|Set-Cookie: path=/|Set-Cookie: a=b; Path|Set-Cookie: a=b; Path=|Set-Cookie: a=b; Path=x|Set-Cookie: a=b; Path=$F/x; X=/|Set-Cookie: |Set-Cookie: ;"},
	{"two paths", "$F/a", "", "Set-Cookie: a=b; Path=/x; Path=/y;", "Set-Cookie: a=b; Path=$F/x; Path=$F/y;"},
	{"host cookie", "$F/a", "", "Set-Cookie: __Host-a=b; Secure; Path=/|Set-Cookie: __Secure-a=b; Path=/", "Set-Cookie: __Host-a=b; Secure; Path=/|Set-Cookie: __Secure-a=b; Path=$F"},
	{"semicolon in the name", "/cli/iarelayserver/g;h/a", "", "Location: /x|Set-Cookie: a=b; Path=/x", "Location: /cli/iarelayserver/g;h/x|Set-Cookie: a=b; Path=/cli/iarelayserver"},
	{"by a host name", "/a", "Host: f.example|", "Location: /x|Set-Cookie: a=b; Path=/", "Location: /x|Set-Cookie: a=b; Path=/"},
	{"by a field", "/a", "Ias-Rs-Farm: f|", "Location: /x|Set-Cookie: a=b; Path=/", "Location: /x|Set-Cookie: a=b; Path=/"},
	{"not asked for", "/cli/iarelayserver/off/a", "", "Location: /x|Set-Cookie: a=b; Path=/", "Location: /x|Set-Cookie: a=b; Path=/"},
}

// TestRelocate has a back end that knows nothing of prefixes: with rewrite_location, what it says of places leads to the farm.
func TestRelocate(t *testing.T) {
	r := startRelay(t, func(cfg *config.Config) {
		cfg.Loops = 1
		cfg.Relay.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		f := &cfg.Relay.Farms[0]
		f.RewriteLocation, f.Hosts = true, []string{"f.example"}
		other, off, backend := *f, *f, cfg.Relay.Backends[0]
		other.ID, other.Hosts = "g;h", nil
		off.ID, off.Hosts, off.RewriteLocation = "off", nil, false
		cfg.Relay.Farms = append(cfg.Relay.Farms, other, off)
		for _, farm := range []string{"g;h", "off"} {
			backend.Farm = farm
			cfg.Relay.Backends = append(cfg.Relay.Backends, backend)
		}
	})
	backend := startRawBackend(t, func(c *rawConn) {
		for {
			head, _, err := c.message()
			if err != nil {
				return
			}
			_, given, _ := strings.Cut(head, "|X-Give: ")
			given, _, _ = strings.Cut(given, "|")
			c.write("HTTP/1.1 302 Found|" + strings.ReplaceAll(given, "^", "|") + "|Content-Length: 0||")
		}
	})
	startEnabler(t, r, "s1", backend)
	for _, farm := range []string{"g;h", "off"} {
		runEnablerWith(t, r, "s1", backend, "secret", func(cfg *config.Enabler) { cfg.Farm = farm })
		eventually(t, "lane up", func() bool { return strings.Contains(r.log.text(), `msg="lane up" farm=`+farm) })
	}
	c := r.client()
	for _, row := range relocateRows {
		if !strings.Contains("|"+row.fields, "|Host: ") {
			row.fields += "Host: h:81|"
		}
		c.send("GET " + row.path + " HTTP/1.1|" + row.fields + "X-Give: " + strings.ReplaceAll(row.given, "|", "^") + "||")
		got := c.head()
		got = strings.TrimSuffix(strings.TrimPrefix(got, "HTTP/1.1 302 Found|"), "|Content-Length: 0|Via: 1.1 roundhouse||")
		if want := short(wire(row.want)); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", row.name, got, want)
		}
	}
}

// TestRelocateBound has cookies of a farm with a long name that would make a head of twice what may be rewritten: those behind the bound come
// as they were given.
func TestRelocateBound(t *testing.T) {
	const cookies, size = 90, 2000
	name, path := strings.Repeat("n", size), "/cli/iarelayserver/"+strings.Repeat("%6e", size)
	r := startRelay(t, func(cfg *config.Config) {
		cfg.Loops = 1
		f := &cfg.Relay.Farms[0]
		f.ID, f.RewriteLocation = name, true
		for i := range cfg.Relay.Backends {
			cfg.Relay.Backends[i].Farm = name
		}
	})
	backend := startRawBackend(t, func(c *rawConn) {
		for {
			if _, _, err := c.message(); err != nil {
				return
			}
			c.write("HTTP/1.1 200 OK|Content-Length: 0|" + strings.Repeat("Set-Cookie: a=b; Path=/|", cookies) + "|")
		}
	})
	runEnablerWith(t, r, "s1", backend, "secret", func(cfg *config.Enabler) { cfg.Farm = name })
	eventually(t, "lane up", func() bool { return r.log.has(`msg="lane up"`) })
	c := r.client()
	for range 2 {
		c.send("GET " + path + "/ HTTP/1.1|Host: h||")
		head := c.head()
		all, moved := strings.Count(head, "|Set-Cookie: a=b; Path=/"), strings.Count(head, "Set-Cookie: a=b; Path="+path+"|")
		if least := (256 << 10) / len(path+"a=b; Path="); all != cookies || moved < least || moved > least*12/10 {
			t.Errorf("%d cookies, %d of them rewritten", all, moved)
		}
	}
}

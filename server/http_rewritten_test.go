package server_test

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"roundhouse/server/config"
)

// identity is what the relay adds to a request for the host h.
const identity = "X-Forwarded-For: 127.0.0.1|X-Forwarded-Host: h|X-Forwarded-Proto: http|Forwarded: for=127.0.0.1;host=h;proto=http|Via: 1.1 roundhouse|"

// requestRows are requests that are passed on: what is sent, and what the back end sees: head, blank, body.
var requestRows = []struct{ name, in, want string }{
	{"plain", "GET $F/ok HTTP/1.1|Host: h||", "GET /ok HTTP/1.1|Host: h|" + identity + "| "},
	{"empty line before", "|GET $F/ok HTTP/1.1|Host: h||", "GET /ok HTTP/1.1|Host: h|" + identity + "| "},
	{"bytes above 0x7F", "GET $F/ok HTTP/1.1|Host: h|A: \x80\xff é||", "GET /ok HTTP/1.1|Host: h|A: \x80\xff é|" + identity + "| "},
	{"empty value", "GET $F/ok HTTP/1.1|Host: h|A:||", "GET /ok HTTP/1.1|Host: h|A: |" + identity + "| "},
	{"absolute form", "GET http://H$F/ok?a HTTP/1.1|Host: h||", "GET /ok?a HTTP/1.1|Host: h|" + identity + "| "},
	{"order, case and blanks", "GET $F/ok HTTP/1.1|b: 1|HOST: h|A:\t x  y |B: 2||", "GET /ok HTTP/1.1|Host: h|b: 1|A: x  y|B: 2|" + identity + "| "},
	{"hop by hop", "GET $F/ok HTTP/1.1|Host: h|Connection: keep-alive|Keep-Alive: a|Proxy-Connection: a|Proxy-Authenticate: a|Proxy-Authorization: a|TE: gzip|Trailer: a||",
		"GET /ok HTTP/1.1|Host: h|" + identity + "| "},
	{"named by Connection", "GET $F/ok HTTP/1.1|Host: h|Connection: x-a, X-B|X-A: 1|x-b: 2|X-C: 3||", "GET /ok HTTP/1.1|Host: h|X-C: 3|" + identity + "| "},
	{"protected from Connection", "POST $F/ok HTTP/1.1|Host: h|Connection: Host, Content-Length, Authorization, Cookie|Authorization: a|Cookie: b|X-Forwarded-Port: 1|Content-Length: 1||x",
		"POST /ok HTTP/1.1|Host: h|Authorization: a|Cookie: b|Content-Length: 1|" + identity + "| x"},
	{"te trailers", "GET $F/ok HTTP/1.1|Host: h|Connection: TE|TE: trailers, deflate||", "GET /ok HTTP/1.1|Host: h|TE: trailers|" + identity + "| "},
	{"length", "POST $F/ok HTTP/1.1|Host: h|content-length: 0003||abc", "POST /ok HTTP/1.1|Host: h|Content-Length: 3|" + identity + "| abc"},
	{"post without a body", "POST $F/ok HTTP/1.1|Host: h||", "POST /ok HTTP/1.1|Host: h|Content-Length: 0|" + identity + "| "},
	{"body of a GET", "GET $F/ok HTTP/1.1|Host: h|Content-Length: 1||x", "GET /ok HTTP/1.1|Host: h|Content-Length: 1|" + identity + "| x"},
	{"chunks", "POST $F/ok HTTP/1.1|Host: h|Transfer-Encoding: Chunked||3|abc|0A|0123456789|00||",
		"POST /ok HTTP/1.1|Host: h|Transfer-Encoding: chunked|" + identity + "| abc0123456789"},
	{"sizes in upper and lower case", "POST $F/ok HTTP/1.1|Host: h|Transfer-Encoding: chunked||A|0123456789|a|0123456789|0000000000000000||",
		"POST /ok HTTP/1.1|Host: h|Transfer-Encoding: chunked|" + identity + "| 01234567890123456789"},
	{"extensions", "POST $F/ok HTTP/1.1|Host: h|Transfer-Encoding: chunked||1;a;b=c;d=\"e;\\\"f\"|x|0;g||",
		"POST /ok HTTP/1.1|Host: h|Transfer-Encoding: chunked|" + identity + "| x"},
	{"no chunk", "POST $F/ok HTTP/1.1|Host: h|Transfer-Encoding: chunked||0||", "POST /ok HTTP/1.1|Host: h|Transfer-Encoding: chunked|" + identity + "| "},
	{"trailer", "POST $F/ok HTTP/1.1|Host: h|Trailer: A, B|Transfer-Encoding: chunked||1|x|0|A: b|B:  c||",
		"POST /ok HTTP/1.1|Host: h|Trailer: A, B|Transfer-Encoding: chunked|" + identity + "| x[A: b|B: c|]"},
	{"trailer that must not be one", "POST $F/ok HTTP/1.1|Host: h|Transfer-Encoding: chunked||1|x|0|Host: i|Content-Length: 1|Content_Length: 1|Authorization: a|Cookie: a|X-Forwarded-For: a|x_forwarded_for: a|Via: a|A: b||",
		"POST /ok HTTP/1.1|Host: h|Transfer-Encoding: chunked|" + identity + "| x[A: b|]"},
	{"fields of the relay", "GET $F/ok HTTP/1.1|Host: h|Ias-Rs-Farm: a|IAS-RS-Token: b|ias_rs_op: c|ias-rs-sessionid: d||", "GET /ok HTTP/1.1|Host: h|ias-rs-sessionid: d|" + identity + "| "},
	{"PROPFIND", "PROPFIND $F/ok HTTP/1.1|Host: h|Depth: 1||", "PROPFIND /ok HTTP/1.1|Host: h|Depth: 1|" + identity + "| "},
	{"own method", "x-!#$%&'*+.^_`~9 $F/ok HTTP/1.1|Host: h||", "x-!#$%&'*+.^_`~9 /ok HTTP/1.1|Host: h|" + identity + "| "},
	{"odd target", "GET $F/ok/../%2e%2E//a%2Fb;c=d?e=%zz&f={\"\\^`}?g HTTP/1.1|Host: h||", "GET /ok/../%2e%2E//a%2Fb;c=d?e=%zz&f={\"\\^`}?g HTTP/1.1|Host: h|" + identity + "| "},
	{"Upgrade in HTTP/1.0", "GET $F/ok HTTP/1.0|Host: h|Connection: keep-alive, Upgrade|Upgrade: h2c||", "GET /ok HTTP/1.1|Host: h|" + identity + "| "},
	{"Expect in HTTP/1.0", "POST $F/ok HTTP/1.0|Host: h|Connection: keep-alive|Expect: 100-continue|Content-Length: 1||x", "POST /ok HTTP/1.1|Host: h|Content-Length: 1|" + identity + "| x"},
	{"HTTP/1.0 without Host", "GET $F/ok HTTP/1.0|Connection: keep-alive||",
		strings.ReplaceAll(strings.ReplaceAll("GET /ok HTTP/1.1|Host: h|"+identity+"| ", "=h;", "=f;"), "Host: h|", "Host: f|")},
}

// TestHTTPAccepted sends every row at every split of its bytes, and then again over the same connection.
func TestHTTPAccepted(t *testing.T) {
	r := startScript(t, nil, mirror)
	for _, row := range requestRows {
		for i, c := range sendSplit(r, wire(row.in)) {
			for range 2 {
				if _, body := c.expect(200); body != row.want {
					t.Errorf("%s, split at %d: the back end saw\n%q, want\n%q", row.name, i, body, row.want)
				}
				c.send(row.in)
			}
			c.Close()
		}
	}
}

// TestHTTPPipelined sends all rows at once, over and over, in one write and cut in many places: the answers come in order.
func TestHTTPPipelined(t *testing.T) {
	r := startScript(t, nil, mirror)
	var in strings.Builder
	for range 3 {
		for _, row := range requestRows {
			in.WriteString(wire(row.in))
		}
	}
	all := in.String()
	for _, step := range []int{len(all), 1000, 333, 7} {
		c := r.client()
		go func() { // ends when everything is written or the connection is closed
			for rest := all; len(rest) > 0; rest = rest[min(step, len(rest)):] {
				_, _ = io.WriteString(c, rest[:min(step, len(rest))])
			}
		}()
		for i := range 3 * len(requestRows) {
			row := requestRows[i%len(requestRows)]
			if _, body := c.expect(200); body != row.want {
				t.Fatalf("%s, answer %d in steps of %d: %q", row.name, i, step, body)
			}
		}
	}
}

// responseRows are answers of a back end and what an HTTP/1.1 client sees of them.
var responseRows = []struct{ name, in, want string }{
	{"length", "HTTP/1.1 200 OK|Content-Length: 2||ok", "HTTP/1.1 200 OK|Content-Length: 2|Via: 1.1 roundhouse||ok"},
	{"order and case", "HTTP/1.1 200 Fine|b: 1|DATE: x|A:  2|Server: y|B: 3|content-length: 02||ok", "HTTP/1.1 200 Fine|b: 1|DATE: x|A: 2|Server: y|B: 3|Content-Length: 2|Via: 1.1 roundhouse||ok"},
	{"no reason", "HTTP/1.1 299|Content-Length: 0||", "HTTP/1.1 299 |Content-Length: 0|Via: 1.1 roundhouse||"},
	{"chunks", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||2;a=b|ok|0||", "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Via: 1.1 roundhouse||2|ok|0||"},
	{"trailer", "HTTP/1.1 200 OK|Trailer: A|Transfer-Encoding: chunked||2|ok|0|A: b|Set-Cookie: c||", "HTTP/1.1 200 OK|Trailer: A|Transfer-Encoding: chunked|Via: 1.1 roundhouse||2|ok|0|A: b||"},
	{"hop by hop", "HTTP/1.1 200 OK|Connection: keep-alive, X-A|Keep-Alive: timeout=5|X-A: 1|Proxy-Authenticate: a|Upgrade: h2c|Content-Length: 0||", "HTTP/1.1 200 OK|Content-Length: 0|Via: 1.1 roundhouse||"},
	{"via", "HTTP/1.1 200 OK|Via: 1.0 a|Content-Length: 0||", "HTTP/1.1 200 OK|Content-Length: 0|Via: 1.0 a, 1.1 roundhouse||"},
	{"204", "HTTP/1.1 204 No Content||", "HTTP/1.1 204 No Content|Via: 1.1 roundhouse||"},
	{"304", "HTTP/1.1 304 Not Modified|ETag: \"a\"|Content-Length: 99||", "HTTP/1.1 304 Not Modified|ETag: \"a\"|Content-Length: 99|Via: 1.1 roundhouse||"},
	{"early hints", "HTTP/1.1 103 Early Hints|Link: </a>||HTTP/1.1 200 OK|Content-Length: 0||", "HTTP/1.1 103 Early Hints|Link: </a>||HTTP/1.1 200 OK|Content-Length: 0|Via: 1.1 roundhouse||"},
	{"100 that was not asked for", "HTTP/1.1 100 Continue||HTTP/1.1 200 OK|Content-Length: 0||", "HTTP/1.1 200 OK|Content-Length: 0|Via: 1.1 roundhouse||"},
	{"HTTP/1.0, kept", "HTTP/1.0 200 OK|Connection: keep-alive|Content-Length: 2||ok", "HTTP/1.1 200 OK|Content-Length: 2|Via: 1.1 roundhouse||ok"},
	{"closed by the back end", "HTTP/1.1 200 OK|Connection: close|Content-Length: 2||ok", "HTTP/1.1 200 OK|Content-Length: 2|Via: 1.1 roundhouse||ok"},
}

// TestHTTPResponses has the back end send each row, at every split of its bytes, over the same client connection.
func TestHTTPResponses(t *testing.T) {
	var row, split int // of the request that is made; the requests follow one another
	r := startScript(t, nil, func(c *rawConn) {
		for {
			if _, _, err := c.message(); err != nil {
				return
			}
			in := wire(responseRows[row].in)
			_, _ = io.WriteString(c, in[:split])
			_, _ = io.WriteString(c, in[split:])
			if strings.Contains(in, "Connection: close") {
				return
			}
		}
	})
	c := r.client()
	for row = range responseRows {
		want := wire(responseRows[row].want)
		for split = range len(wire(responseRows[row].in)) {
			c.send("GET $F/ HTTP/1.1|Host: h||")
			got := make([]byte, len(want))
			n, err := io.ReadFull(c.r, got)
			if err != nil || string(got) != want {
				// A chunk that came in two parts is sent on in two.
				if merged := strings.Replace(string(got[:n]), "1\r\no\r\n1\r\nk\r\n", "2\r\nok\r\n", 1); err == nil && strings.HasPrefix(want, merged) {
					_, _ = c.r.Discard(len(want) - len(merged))
					continue
				}
				t.Fatalf("%s, split at %d: %v, got\n%q, want\n%q", responseRows[row].name, split, err, short(string(got[:n])), responseRows[row].want)
			}
		}
	}
}

// TestHTTPSmuggling sends what another parser could take for more than one request, and then a canary that goes over the same
// connection to the back end: it must see exactly the messages that the relay has read.
func TestHTTPSmuggling(t *testing.T) {
	seen := make(chan string, 100)
	r := startScript(t, nil, func(c *rawConn) {
		for {
			head, body, err := c.message()
			if err != nil {
				return
			}
			line, _, _ := strings.Cut(head, "|")
			seen <- fmt.Sprintf("%d: %s %s", c.number, line, body)
			c.reply("x")
		}
	})
	const hidden = "GET $F/hidden HTTP/1.1|Host: h||"
	for _, row := range []struct{ name, in, want string }{
		{"request in a body", fmt.Sprintf("POST $F/a HTTP/1.1|Host: h|Content-Length: %d||", len(wire(hidden))) + hidden, "POST /a HTTP/1.1 " + wire(hidden)},
		{"request in a chunk", fmt.Sprintf("POST $F/a HTTP/1.1|Host: h|Transfer-Encoding: chunked||%x|", len(wire(hidden))) + hidden + "|0||", "POST /a HTTP/1.1 " + wire(hidden)},
		{"request in an extension", "POST $F/a HTTP/1.1|Host: h|Transfer-Encoding: chunked||1;a=\"GET $F/hidden HTTP/1.1\"|x|0||", "POST /a HTTP/1.1 x"},
		{"request in a trailer", "POST $F/a HTTP/1.1|Host: h|Transfer-Encoding: chunked||0|GET: /hidden HTTP/1.1||", "POST /a HTTP/1.1 [GET: /hidden HTTP/1.1|]"},
		{"body of a GET", fmt.Sprintf("GET $F/a HTTP/1.1|Host: h|Content-Length: %d||", len(wire(hidden))) + hidden, "GET /a HTTP/1.1 " + wire(hidden)},
		{"body of a HEAD", fmt.Sprintf("DELETE $F/a HTTP/1.1|Host: h|Content-Length: %d||", len(wire(hidden))) + hidden, "DELETE /a HTTP/1.1 " + wire(hidden)},
		{"length that Connection names", "POST $F/a HTTP/1.1|Host: h|Connection: Content-Length|Content-Length: 3||abc", "POST /a HTTP/1.1 abc"},
		{"coding that Connection names", "POST $F/a HTTP/1.1|Host: h|Connection: Transfer-Encoding|Transfer-Encoding: chunked||3|abc|0||", "POST /a HTTP/1.1 abc"},
		{"coding in HTTP/1.0 by TE", "POST $F/a HTTP/1.0|Host: h|Connection: keep-alive|TE: chunked|Content-Length: 3||abc", "POST /a HTTP/1.1 abc"},
		{"length in a trailer", "POST $F/a HTTP/1.1|Host: h|Transfer-Encoding: chunked||1|x|0|Content-Length: 99|Transfer-Encoding: chunked||", "POST /a HTTP/1.1 x"},
		{"similar names", "POST $F/a HTTP/1.1|Host: h|XContent-Length: 9|Content-Length: 1|Transfer-Encodings: chunked||x", "POST /a HTTP/1.1 x"},
	} {
		c := r.client()
		c.send(row.in)
		c.expect(200)
		c.send("GET $F/canary HTTP/1.1|Host: h||")
		c.expect(200)
		if got := <-seen; got != "1: "+row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
		if got := <-seen; got != "1: GET /canary HTTP/1.1 " {
			t.Errorf("%s: the canary became %q", row.name, got)
		}
	}
	if len(seen) > 0 {
		t.Errorf("more has come: %q", <-seen)
	}
}

// forgeries are ways to pass for somebody else; each may come to the back end from a trusted proxy only.
func forgeries() []string {
	var all []string
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Via"} {
		all = append(all, name+": evil|", strings.ToLower(name)+": evil|", strings.ToUpper(name)+": evil|", name+":evil|"+name+":evil|",
			name+": |"+name+": evil|", name+": 127.0.0.1, evil|", name+": \"evil\";for=evil|", "Connection: "+strings.ToLower(name)+"|"+name+": evil|",
			"Connection: close, "+name+"|"+name+": evil|", "Cookie: a|"+name+":\t evil\t|")
	}
	for _, name := range []string{"X_Forwarded_For", "x_forwarded-for", "X-Forwarded_For", "X_Forwarded_Host", "X_FORWARDED_PROTO", "x-forwarded_proto"} {
		all = append(all, name+": evil|", "Connection: "+name+"|"+name+": evil|")
	}
	return all
}

// TestHTTPForgedIdentity sends all forgeries, in the head and as a trailer.
func TestHTTPForgedIdentity(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		r := startScript(t, func(cfg *config.Config) {
			if trusted {
				cfg.Relay.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			}
		}, mirror)
		for _, f := range forgeries() {
			c := r.client()
			c.send("GET $F/ HTTP/1.1|Host: h|" + f + "|")
			passes := trusted && !strings.Contains(strings.Split(f, ":")[0], "_") && !strings.Contains(f, "_")
			_, body := c.expect(200)
			if strings.Contains(body, "evil") != passes {
				t.Errorf("trusted %v: %q became %q", trusted, f, body)
			}
			if !trusted && !strings.HasSuffix(body, "|"+identity+"| ") {
				t.Errorf("%q: the relay's own word is missing: %q", f, body)
			}
			c = r.client()
			c.send("POST $F/ HTTP/1.1|Host: h|Transfer-Encoding: chunked||0|" + f + "|")
			if _, body := c.expect(200); strings.Contains(body, "evil") && !strings.HasPrefix(f, "Connection: close") {
				t.Errorf("trusted %v: the trailer %q became %q", trusted, f, body)
			}
		}
	}
}

// TestHTTPFoldedIdentity hides a field behind the end of another's line.
func TestHTTPFoldedIdentity(t *testing.T) {
	r := startScript(t, nil, mirror)
	for _, f := range []string{"A: b| X-Forwarded-For: evil|", "X-Forwarded-For:| evil|", "X-Forwarded-For : evil|", "A: b\rX-Forwarded-For: evil|", "A: b\nX-Forwarded-For: evil|", "X-Forwarded-For\x00: evil|"} {
		c := r.client()
		c.send("GET $F/ HTTP/1.1|Host: h|" + f + "|")
		c.expect(400)
		c.ends()
	}
}

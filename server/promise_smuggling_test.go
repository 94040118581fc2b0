package server_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

const chunkedPost = "POST $F/part HTTP/1.1|Host: h|Transfer-Encoding: chunked||"

// refusedRows are requests that are refused, with 400 unless want says something else. Those with /no in their path must not
// come to the back end at all, those with /part not as a whole.
var refusedRows = []struct {
	name, in string
	want     int
}{
	{"leading blank", " GET $F/no HTTP/1.1|Host: h||", 0},
	{"tabs", "GET\t$F/no\tHTTP/1.1|Host: h||", 0},
	{"doubled blank", "GET  $F/no HTTP/1.1|Host: h||", 0},
	{"blank after the version", "GET $F/no HTTP/1.1 |Host: h||", 0},
	{"blank in the target", "GET $F/no x HTTP/1.1|Host: h||", 0},
	{"bare LF", "GET $F/no HTTP/1.1\nHost: h||", 0},
	{"bare CR", "GET $F/no\rx HTTP/1.1|Host: h||", 0},
	{"NUL in the target", "GET $F/no\x00 HTTP/1.1|Host: h||", 0},
	{"control in the target", "GET $F/no\x01 HTTP/1.1|Host: h||", 0},
	{"DEL in the target", "GET $F/no\x7f HTTP/1.1|Host: h||", 0},
	{"0x80 in the target", "GET $F/no\x80 HTTP/1.1|Host: h||", 0},
	{"UTF-8 in the target", "GET $F/no/é HTTP/1.1|Host: h||", 0},
	{"method is no token", "G(T $F/no HTTP/1.1|Host: h||", 0},
	{"NUL in the method", "GE\x00T $F/no HTTP/1.1|Host: h||", 0},
	{"no method", "$F/no HTTP/1.1|Host: h||", 0},
	{"no target", "GET HTTP/1.1|Host: h||", 0},
	{"HTTP/0.9", "GET $F/no|Host: h||", 0},
	{"version 0.9", "GET $F/no HTTP/0.9|Host: h||", 505},
	{"version 1.2", "GET $F/no HTTP/1.2|Host: h||", 505},
	{"version 2.0", "GET $F/no HTTP/2.0|Host: h||", 505},
	{"preface of HTTP/2", "PRI * HTTP/2.0||SM||", 505},
	{"version in lower case", "GET $F/no http/1.1|Host: h||", 0},
	{"version with more", "GET $F/no HTTP/1.1x|Host: h||", 0},
	{"version with a zero", "GET $F/no HTTP/01.1|Host: h||", 0},
	{"fragment", "GET $F/no#x HTTP/1.1|Host: h||", 0},
	{"fragment after a query", "GET $F/no?a#x HTTP/1.1|Host: h||", 0},
	{"bad escape", "GET $F/no/%zz HTTP/1.1|Host: h||", 0},
	{"cut escape", "GET $F/no/%4 HTTP/1.1|Host: h||", 0},
	{"two empty lines", "||GET $F/no HTTP/1.1|Host: h||", 0},
	{"LF before the request", "\nGET $F/no HTTP/1.1|Host: h||", 0},
	{"comma in an authority", "GET http://h,i$F/no HTTP/1.1|Host: h,i||", 0},
	{"user in an authority", "GET http://u@h$F/no HTTP/1.1|Host: h||", 0},
	{"absolute form differs", "GET http://i$F/no HTTP/1.1|Host: h||", 0},
	{"absolute form differs in the port", "GET http://h:81$F/no HTTP/1.1|Host: h||", 0},
	{"absolute form of another scheme", "GET ftp://h$F/no HTTP/1.1|Host: h||", 0},
	{"authority form", "GET h:80 HTTP/1.1|Host: h||", 0},
	{"asterisk form", "GET * HTTP/1.1|Host: h||", 0},
	{"relative", "GET cli/iarelayserver/f/no HTTP/1.1|Host: h||", 0},
	{"CONNECT", "CONNECT h:80 HTTP/1.1|Host: h||", 405},
	{"CONNECT with a path", "CONNECT $F/no HTTP/1.1|Host: h||", 405},
	{"TRACE", "TRACE $F/no HTTP/1.1|Host: h||", 405},

	{"no Host", "GET $F/no HTTP/1.1||", 0},
	{"two Hosts", "GET $F/no HTTP/1.1|Host: h|Host: i||", 0},
	{"two equal Hosts", "GET $F/no HTTP/1.1|Host: h|host: h||", 0},
	{"empty Host", "GET $F/no HTTP/1.1|Host:||", 0},
	{"blank in Host", "GET $F/no HTTP/1.1|Host: a b||", 0},
	{"comma in Host", "GET $F/no HTTP/1.1|Host: a,b||", 0},
	{"user in Host", "GET $F/no HTTP/1.1|Host: a@b||", 0},
	{"path in Host", "GET $F/no HTTP/1.1|Host: a/b||", 0},
	{"bad port", "GET $F/no HTTP/1.1|Host: a:b||", 0},
	{"empty port", "GET $F/no HTTP/1.1|Host: a:||", 0},
	{"port too large", "GET $F/no HTTP/1.1|Host: a:65536||", 0},
	{"open bracket", "GET $F/no HTTP/1.1|Host: [::1||", 0},
	{"escape in Host", "GET $F/no HTTP/1.1|Host: a%41||", 0},

	{"no colon", "GET $F/no HTTP/1.1|Host: h|abc||", 0},
	{"empty name", "GET $F/no HTTP/1.1|Host: h|: a||", 0},
	{"blank before the colon", "GET $F/no HTTP/1.1|Host: h|A : b||", 0},
	{"tab before the colon", "GET $F/no HTTP/1.1|Host: h|A\t: b||", 0},
	{"blank before the colon of a length", "POST $F/no HTTP/1.1|Host: h|Content-Length : 1||x", 0},
	{"name is no token", "GET $F/no HTTP/1.1|Host: h|A(: b||", 0},
	{"NUL in a name", "GET $F/no HTTP/1.1|Host: h|A\x00: b||", 0},
	{"0x80 in a name", "GET $F/no HTTP/1.1|Host: h|A\x80: b||", 0},
	{"folding", "GET $F/no HTTP/1.1|Host: h|A: b| c||", 0},
	{"folding with a tab", "GET $F/no HTTP/1.1|Host: h|A: b|\tc||", 0},
	{"blank at the first line", "GET $F/no HTTP/1.1| Host: h||", 0},
	{"CR in a value", "GET $F/no HTTP/1.1|Host: h|A: b\rc||", 0},
	{"LF in a value", "GET $F/no HTTP/1.1|Host: h|A: b\nContent-Length: 5||", 0},
	{"NUL in a value", "GET $F/no HTTP/1.1|Host: h|A: b\x00||", 0},
	{"control in a value", "GET $F/no HTTP/1.1|Host: h|A: b\x0bc||", 0},
	{"end with LF alone", "GET $F/no HTTP/1.1|Host: h|A: b\n\n", 0},
	{"LF CR LF", "GET $F/no HTTP/1.1|Host: h|A: b\n|", 0},

	{"two lengths", "POST $F/no HTTP/1.1|Host: h|Content-Length: 1|Content-Length: 2||x", 0},
	{"two equal lengths", "POST $F/no HTTP/1.1|Host: h|Content-Length: 1|content-length: 1||x", 0},
	{"list of lengths", "POST $F/no HTTP/1.1|Host: h|Content-Length: 1, 1||x", 0},
	{"plus", "POST $F/no HTTP/1.1|Host: h|Content-Length: +1||x", 0},
	{"minus", "POST $F/no HTTP/1.1|Host: h|Content-Length: -1||x", 0},
	{"hexadecimal", "POST $F/no HTTP/1.1|Host: h|Content-Length: 0x1||x", 0},
	{"underscore", "POST $F/no HTTP/1.1|Host: h|Content-Length: 1_0||x", 0},
	{"blank in a length", "POST $F/no HTTP/1.1|Host: h|Content-Length: 1 0||x", 0},
	{"fraction", "POST $F/no HTTP/1.1|Host: h|Content-Length: 1.0||x", 0},
	{"empty length", "POST $F/no HTTP/1.1|Host: h|Content-Length:||x", 0},
	{"20 digits", "POST $F/no HTTP/1.1|Host: h|Content-Length: 00000000000000000001||x", 0},
	{"2^63", "POST $F/no HTTP/1.1|Host: h|Content-Length: 9223372036854775808||x", 0},
	{"alias of the length", "POST $F/no HTTP/1.1|Host: h|Content_Length: 1||x", 0},
	{"length, then coding", "POST $F/no HTTP/1.1|Host: h|Content-Length: 5|Transfer-Encoding: chunked||0||", 0},
	{"coding, then length", "POST $F/no HTTP/1.1|Host: h|Transfer-Encoding: chunked|Content-Length: 5||0||", 0},

	{"gzip", "POST $F/no HTTP/1.1|Host: h|Transfer-Encoding: gzip||", 501},
	{"gzip, chunked", "POST $F/no HTTP/1.1|Host: h|Transfer-Encoding: gzip, chunked||0||", 501},
	{"identity", "POST $F/no HTTP/1.1|Host: h|Transfer-Encoding: identity||", 501},
	{"xchunked", "POST $F/no HTTP/1.1|Host: h|Transfer-Encoding: xchunked||0||", 501},
	{"chunked, gzip", "POST $F/no HTTP/1.1|Host: h|Transfer-Encoding: chunked, gzip||0||", 0},
	{"chunked twice", "POST $F/no HTTP/1.1|Host: h|Transfer-Encoding: chunked, chunked||0||", 0},
	{"chunked in two lines", "POST $F/no HTTP/1.1|Host: h|Transfer-Encoding: chunked|Transfer-Encoding: chunked||0||", 0},
	{"empty coding", "POST $F/no HTTP/1.1|Host: h|Transfer-Encoding:||0||", 0},
	{"parameter", "POST $F/no HTTP/1.1|Host: h|Transfer-Encoding: chunked;q=1||0||", 0},
	{"quoted", "POST $F/no HTTP/1.1|Host: h|Transfer-Encoding: \"chunked\"||0||", 0},
	{"vertical tab", "POST $F/no HTTP/1.1|Host: h|Transfer-Encoding: \x0bchunked||0||", 0},
	{"coding in HTTP/1.0", "POST $F/no HTTP/1.0|Host: h|Transfer-Encoding: chunked||0||", 0},
	{"alias of the coding", "POST $F/no HTTP/1.1|Host: h|Transfer_Encoding: chunked||0||", 0},
	{"blank before the colon of a coding", "POST $F/no HTTP/1.1|Host: h|Transfer-Encoding : chunked||0||", 0},
	{"folded coding", "POST $F/no HTTP/1.1|Host: h|Transfer-Encoding:| chunked||0||", 0},
	{"announced length", "POST $F/no HTTP/1.1|Host: h|Transfer-Encoding: chunked|Trailer: Content-Length||0||", 0},

	{"h2c", "GET $F/no HTTP/1.1|Host: h|Connection: Upgrade, HTTP2-Settings|Upgrade: h2c|HTTP2-Settings: AAMAAABkAAQAAP__||", 0},
	{"upgrade of a POST", "POST $F/no HTTP/1.1|Host: h|Connection: Upgrade|Upgrade: websocket|Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|Sec-WebSocket-Version: 13||", 0},
	{"upgrade with a body", "GET $F/no HTTP/1.1|Host: h|Connection: Upgrade|Upgrade: websocket|Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|Sec-WebSocket-Version: 13|Content-Length: 1||x", 0},
	{"upgrade without a key", "GET $F/no HTTP/1.1|Host: h|Connection: Upgrade|Upgrade: websocket|Sec-WebSocket-Version: 13||", 0},
	{"upgrade with a bad key", "GET $F/no HTTP/1.1|Host: h|Connection: Upgrade|Upgrade: websocket|Sec-WebSocket-Key: abc|Sec-WebSocket-Version: 13||", 0},
	{"upgrade with a bad version", "GET $F/no HTTP/1.1|Host: h|Connection: Upgrade|Upgrade: websocket|Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|Sec-WebSocket-Version: 8||", 0},
	{"upgrade that Connection does not name", "GET $F/no HTTP/1.1|Host: h|Upgrade: websocket|Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|Sec-WebSocket-Version: 13||", 0},
	{"upgrade to two", "GET $F/no HTTP/1.1|Host: h|Connection: Upgrade|Upgrade: websocket, h2c|Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|Sec-WebSocket-Version: 13||", 0},
	{"unknown expectation", "POST $F/no HTTP/1.1|Host: h|Expect: 200-ok|Content-Length: 1||x", 417},
	{"two expectations", "POST $F/no HTTP/1.1|Host: h|Expect: 100-continue, 200-ok|Content-Length: 1||x", 417},
	{"33 connection options", "GET $F/no HTTP/1.1|Host: h|Connection: a" + strings.Repeat(",b", 32) + "||", 0},

	{"size is no number", chunkedPost + "x|", 0},
	{"empty size", chunkedPost + "|", 0},
	{"signed size", chunkedPost + "+1|x|0||", 0},
	{"negative size", chunkedPost + "-1|x|0||", 0},
	{"size with a prefix", chunkedPost + "0x1|x|0||", 0},
	{"size with an underscore", chunkedPost + "1_0|x|0||", 0},
	{"blank before a size", chunkedPost + " 1|x|0||", 0},
	{"blank after a size", chunkedPost + "1 |x|0||", 0},
	{"17 digits", chunkedPost + "00000000000000001|x|0||", 0},
	{"empty extension", chunkedPost + "1;|x|0||", 0},
	{"extension without a value", chunkedPost + "1;a=|x|0||", 0},
	{"open quotes", chunkedPost + "1;a=\"b|x|0||", 0},
	{"blank in an extension", chunkedPost + "1; a|x|0||", 0},
	{"LF after a size", chunkedPost + "1\nx|0||", 0},
	{"CR in a size line", chunkedPost + "1\rx|0||", 0},
	{"CR in an extension", chunkedPost + "1;a\rb|x|0||", 0},
	{"LF in quotes", chunkedPost + "1;a=\"\n\"|x|0||", 0},
	{"data too long", chunkedPost + "1|xy|0||", 0},
	{"data without CRLF", chunkedPost + "1|x0||", 0},
	{"data with LF", chunkedPost + "1|x\n0||", 0},
	{"folding in a trailer", chunkedPost + "0|A: b| c||", 0},
	{"trailer without a colon", chunkedPost + "0|abc||", 0},
	{"trailer with LF", chunkedPost + "0|A: b\n|", 0},
	{"last chunk and LF", chunkedPost + "0\n\n", 0},
}

// TestPromise10Smuggling sends every row at every split of its bytes, each time over a connection of its own, and after it a canary over a
// fresh one.
func TestPromise10Smuggling(t *testing.T) {
	var reached atomic.Pointer[string]
	r := startScript(t, nil, func(c *rawConn) {
		for {
			head, body, err := c.message()
			if strings.Contains(head, "/no") || strings.Contains(head, "/part") && err == nil {
				reached.Store(&head)
			}
			if err != nil {
				return
			}
			c.reply(head + body)
		}
	})
	sent, passed := 0, 0
	for _, row := range refusedRows {
		in, want := wire(row.in), row.want
		if want == 0 {
			want = 400
		}
		for i, c := range sendSplit(r, in) {
			checkRefused(c, fmt.Sprintf("%s, split at %d", row.name, i), want)
		}
		canaries(r, len(in))
		sent += len(in)
		if head := reached.Swap(nil); head != nil {
			passed++
			t.Errorf("%s: the back end has got %q", row.name, *head)
		}
	}
	t.Logf("%d rows: %d sent, %d reached the back end; as many canaries sent and answered", len(refusedRows), sent, passed)
}

// sendSplit sends in over one connection for each place where it can be cut in two. All first parts have come to the relay's loop
// before the second parts are sent.
func sendSplit(r *relayUnderTest, in string) []*rawClient {
	r.t.Helper()
	var all []*rawClient
	for i := range len(in) {
		c := r.client()
		c.send(in[:i])
		all = append(all, c)
	}
	canaries(r, 1) // comes to the loop after the first parts
	for i, c := range all {
		_, _ = io.WriteString(c, in[i:]) // fails when the first part was enough
	}
	return all
}

func checkRefused(c *rawClient, what string, want int) {
	c.t.Helper()
	defer c.Close()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Errorf("%s: %v", what, err)
		return
	}
	if _, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != want || !resp.Close || resp.Header.Get("Ias-Rs-Error") == "" {
		c.t.Errorf("%s: status %d, want %d: %v, %v", what, resp.StatusCode, want, resp.Header, err)
	}
	c.ends()
}

var canaryNumber atomic.Int64

// canaries sends n requests over fresh connections; each must get its own answer.
func canaries(r *relayUnderTest, n int) {
	r.t.Helper()
	all, paths := make([]*rawClient, n), make([]string, n)
	for i := range all {
		all[i], paths[i] = r.client(), fmt.Sprintf("/canary/%d", canaryNumber.Add(1))
		all[i].send("GET $F" + paths[i] + " HTTP/1.1|Host: h|Connection: close||")
	}
	for i, c := range all {
		if _, body := c.expect(200); !strings.HasPrefix(body, "GET "+paths[i]+" HTTP/1.1|") {
			r.t.Errorf("the canary %s got %q", paths[i], body)
		}
		c.ends()
		c.Close()
	}
}

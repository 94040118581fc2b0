package http1

import (
	"strings"
	"testing"
)

const fresh = "X-Forwarded-For: 192.0.2.1|X-Forwarded-Host: h|X-Forwarded-Proto: http|Forwarded: for=192.0.2.1;host=h;proto=http|Via: 1.1 rh|"

var forwardRows = []struct {
	name, in string
	f        Forward
	want     string // "|" stands for CRLF
}{
	{"plain", inField("Accept: */*"), Forward{}, "GET /p HTTP/1.1|Host: h|Accept: */*|" + fresh},
	{"order and case stay", inField("b: 1\r\nA:  x y\t\r\nB: 2"), Forward{}, "GET /p HTTP/1.1|Host: h|b: 1|A: x y|B: 2|" + fresh},
	{"hop by hop", inField("Connection: keep-alive\r\nKeep-Alive: 5\r\nProxy-Connection: a\r\nProxy-Authenticate: b\r\nProxy-Authorization: c\r\nTE: gzip\r\nTrailer: d"),
		Forward{}, "GET /p HTTP/1.1|Host: h|" + fresh},
	{"named by Connection", inField("Connection: X-A, x-b\r\nx-a: 1\r\nX-B: 2\r\nX-C: 3"), Forward{}, "GET /p HTTP/1.1|Host: h|X-C: 3|" + fresh},
	{"protected from Connection", inField("Connection: Host, Authorization, Cookie, X-Forwarded-Port, Ias-Rs-Sessionid, Content-Length\r\nAuthorization: a\r\nCookie: b\r\nX-Forwarded-Port: 1\r\nIas-Rs-Sessionid: s\r\nContent-Length: 0"),
		Forward{Trusted: true}, "GET /p HTTP/1.1|Host: h|Authorization: a|Cookie: b|X-Forwarded-Port: 1|Ias-Rs-Sessionid: s|Content-Length: 0|" + fresh},
	{"te trailers", inField("TE: deflate, Trailers"), Forward{}, "GET /p HTTP/1.1|Host: h|TE: trailers|" + fresh},
	{"length", post("content-length: 007\r\nA: b\r\n"), Forward{}, "POST /p HTTP/1.1|Host: h|A: b|Content-Length: 7|" + fresh},
	{"post without body", post(""), Forward{}, "POST /p HTTP/1.1|Host: h|Content-Length: 0|" + fresh},
	{"chunked", post("Transfer-Encoding: Chunked\r\nTrailer: A\r\n"), Forward{}, "POST /p HTTP/1.1|Host: h|Trailer: A|Transfer-Encoding: chunked|" + fresh},
	{"expect", post("Expect: 100-continue\r\nContent-Length: 1\r\n"), Forward{}, "POST /p HTTP/1.1|Host: h|Content-Length: 1|Expect: 100-continue|" + fresh},
	{"expect without body", inField("Expect: 100-continue"), Forward{}, "GET /p HTTP/1.1|Host: h|" + fresh},
	{"websocket", inField(strings.TrimSuffix(handshake, "\r\n")), Forward{},
		"GET /p HTTP/1.1|Host: h|Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|Sec-WebSocket-Version: 13|Connection: Upgrade|Upgrade: websocket|" + fresh},
	{"relay's own fields", inField("Ias-Rs-Farm: a\r\nias-rs-sessionid: b\r\nIas_Rs_Sessionid: c\r\nIAS-RS-Token: d"), Forward{}, "GET /p HTTP/1.1|Host: h|ias-rs-sessionid: b|" + fresh},
	{"identity, untrusted", inField("X-Forwarded-For: a\r\nx_forwarded_for: b\r\nX-Forwarded-Host: c\r\nX-Forwarded_Proto: d\r\nForwarded: for=e"), Forward{}, "GET /p HTTP/1.1|Host: h|" + fresh},
	{"identity, trusted", inField("X-Forwarded-For: a\r\nX-Forwarded-For: b, c\r\nX-Forwarded-Host: c\r\nX-Forwarded-Proto: https\r\nForwarded: for=e"), Forward{Trusted: true},
		"GET /p HTTP/1.1|Host: h|X-Forwarded-For: a, b, c, 192.0.2.1|X-Forwarded-Host: c|X-Forwarded-Proto: https|Forwarded: for=e, for=192.0.2.1;host=h;proto=http|Via: 1.1 rh|"},
	{"claims, untrusted", inField(claims), Forward{}, "GET /p HTTP/1.1|Host: h|" + fresh},
	{"claims, trusted", inField(claims), Forward{Trusted: true}, "GET /p HTTP/1.1|Host: h|X-Forwarded-Port: 1|Client-Cert: 5|X-Client-Cert: 7|" + fresh},
	{"claims, of a forwarder", inField(claims), Forward{ClientCert: true}, "GET /p HTTP/1.1|Host: h|Client-Cert: 5|X-Client-Cert: 7|SSL_CLIENT_CERT: 8|ssl_client_cert_chain_1: a|SSL_CIPHER: b|" + fresh},
	{"underscores, trusted", inField("X_Forwarded_For: a\r\nX-Forwarded-For:"), Forward{Trusted: true}, "GET /p HTTP/1.1|Host: h|" + fresh},
	{"via, trusted", inField("Via: 1.0 a\r\nvia: 1.1 b"), Forward{Trusted: true}, "GET /p HTTP/1.1|Host: h|" + strings.Replace(fresh, "1.1 rh", "1.0 a, 1.1 b, 1.1 rh", 1)},
	{"via, untrusted", inField("Via: 1.0 a\r\nvia: 1.1 b"), Forward{}, "GET /p HTTP/1.1|Host: h|" + fresh},
	{"IPv6 and port", "GET / HTTP/1.1\r\nHost: h:80\r\n\r\n", Forward{RemoteIP: []byte("2001:db8::1")},
		`GET /p HTTP/1.1|Host: h:80|X-Forwarded-For: 2001:db8::1|X-Forwarded-Host: h:80|X-Forwarded-Proto: http|Forwarded: for="[2001:db8::1]";host="h:80";proto=http|Via: 1.1 rh|`},
	{"no host", "GET / HTTP/1.0\r\n\r\n", Forward{DefaultHost: "h"}, "GET /p HTTP/1.1|Host: h|" + fresh},
	{"no host, and none to take for it", "GET / HTTP/1.0\r\n\r\n", Forward{DefaultHost: `a"b`},
		"GET /p HTTP/1.1|Host: invalid|" + strings.NewReplacer("Host: h|", "Host: invalid|", "host=h", "host=invalid").Replace(fresh)},
	{"absolute target", "GET http://h/x HTTP/1.1\r\nHost: h\r\n\r\n", Forward{}, "GET /p HTTP/1.1|Host: h|" + fresh},
	{"extra", inField("A: b"), Forward{Extra: []byte("X-Request-Id: 1\r\n")}, "GET /p HTTP/1.1|Host: h|A: b|" + fresh + "X-Request-Id: 1|"},
}

// claims are other names for who a client is, rightly spelled and in the other way.
const claims = "X-Forwarded-Port: 1\r\nX_Forwarded_Port: 2\r\nx-real-ip: 3\r\nX_REAL_IP: 4\r\nClient-Cert: 5\r\nCLIENT_CERT: 6\r\nX-Client-Cert: 7\r\n" +
	"SSL_CLIENT_CERT: 8\r\nSSL-Client-Cert: 9\r\nssl_client_cert_chain_1: a\r\nSSL_CIPHER: b\r\nSSL-Cipher-UseKeySize: c"

func TestAppendRequest(t *testing.T) {
	lim := DefaultLimits()
	for _, row := range forwardRows {
		t.Run(row.name, func(t *testing.T) {
			var r, again Request
			if _, err := r.Parse([]byte(row.in), &lim); err != nil {
				t.Fatal(err)
			}
			f := row.f
			f.Path, f.Proto, f.Via = []byte("/p"), "http", "1.1 rh"
			if f.RemoteIP == nil {
				f.RemoteIP = []byte("192.0.2.1")
			}
			out := AppendRequest([]byte("before"), &r, &f)
			if got := strings.ReplaceAll(strings.TrimPrefix(string(out), "before"), "\r\n", "|"); got != row.want+"|" {
				t.Errorf("got  %q\nwant %q", got, row.want+"|")
			}
			if n, err := again.Parse(out[len("before"):], &lim); n != len(out)-len("before") || err != nil {
				t.Errorf("parsed again: %d, %v", n, err)
			}
			if again.ContentLength != r.ContentLength || again.Chunked != r.Chunked || again.Upgrade != r.Upgrade || again.Expect100 != r.Expect100 {
				t.Errorf("%s became %s", describe(&r), describe(&again))
			}
		})
	}
}

// TestNoVia checks the form in which nothing of ours is added.
func TestNoVia(t *testing.T) {
	lim := DefaultLimits()
	var r Response
	if _, err := r.Parse([]byte(answer("Via: 1.1 a\r\nContent-Length: 0\r\n")), &lim, false); err != nil {
		t.Fatal(err)
	}
	const want = "HTTP/1.1 200 OK\r\nVia: 1.1 a\r\nContent-Length: 0\r\n\r\n"
	if got := string(AppendResponse(nil, &r, &Answer{Minor: 1})); got != want {
		t.Errorf("got %q", got)
	}
}

var answerRows = []struct {
	name, in string
	head     bool
	a        Answer
	want     string // "|" stands for CRLF
}{
	{"length", answer("Date: x\r\nServer: y\r\ncontent-length: 03\r\nA: b\r\n"), false, Answer{Minor: 1}, "HTTP/1.1 200 OK|Date: x|Server: y|A: b|Content-Length: 3|Via: 1.1 rh|"},
	{"no reason", "HTTP/1.0 404\r\nContent-Length: 0\r\n\r\n", false, Answer{Minor: 1}, "HTTP/1.1 404 |Content-Length: 0|Via: 1.1 rh|"},
	{"chunked", answer("Transfer-Encoding: chunked\r\nTrailer: A\r\n"), false, Answer{Minor: 1}, "HTTP/1.1 200 OK|Trailer: A|Transfer-Encoding: chunked|Via: 1.1 rh|"},
	{"chunked to 1.0", answer("Transfer-Encoding: chunked\r\nTrailer: A\r\n"), false, Answer{KeepAlive10: true}, "HTTP/1.1 200 OK|Connection: close|Via: 1.1 rh|"},
	{"until close", answer("Connection: close\r\n"), false, Answer{Minor: 1}, "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Via: 1.1 rh|"},
	{"until close to 1.0", answer("Connection: close\r\n"), false, Answer{}, "HTTP/1.1 200 OK|Connection: close|Via: 1.1 rh|"},
	{"length to 1.0", answer("Content-Length: 1\r\n"), false, Answer{}, "HTTP/1.1 200 OK|Content-Length: 1|Via: 1.1 rh|"},
	{"length to 1.0, kept", answer("Content-Length: 1\r\n"), false, Answer{KeepAlive10: true}, "HTTP/1.1 200 OK|Content-Length: 1|Connection: keep-alive|Via: 1.1 rh|"},
	{"close", answer("Content-Length: 1\r\n"), false, Answer{Minor: 1, Close: true}, "HTTP/1.1 200 OK|Content-Length: 1|Connection: close|Via: 1.1 rh|"},
	{"head", answer("Content-Length: 5\r\n"), true, Answer{Minor: 1}, "HTTP/1.1 200 OK|Content-Length: 5|Via: 1.1 rh|"},
	{"head chunked", answer("Transfer-Encoding: chunked\r\n"), true, Answer{Minor: 1}, "HTTP/1.1 200 OK|Via: 1.1 rh|"},
	{"304", "HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", false, Answer{Minor: 1}, "HTTP/1.1 304 x|Content-Length: 5|Via: 1.1 rh|"},
	{"204", "HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n", false, Answer{Minor: 1}, "HTTP/1.1 204 x|Via: 1.1 rh|"},
	{"100", "HTTP/1.1 100 x\r\n\r\n", false, Answer{Minor: 1, Close: true}, "HTTP/1.1 100 x|Via: 1.1 rh|"},
	{"103", "HTTP/1.1 103 x\r\nLink: a\r\n\r\n", false, Answer{Minor: 1}, "HTTP/1.1 103 x|Link: a|Via: 1.1 rh|"},
	{"101", switching + "Sec-WebSocket-Accept: a\r\n\r\n", false, Answer{Minor: 1}, "HTTP/1.1 101 Switching Protocols|Sec-WebSocket-Accept: a|Connection: Upgrade|Upgrade: websocket|Via: 1.1 rh|"},
	{"hop by hop", answer("Connection: keep-alive, X-A\r\nX-A: 1\r\nKeep-Alive: 5\r\nProxy-Authenticate: b\r\nUpgrade: h2\r\nContent-Length: 0\r\n"), false, Answer{Minor: 1}, "HTTP/1.1 200 OK|Content-Length: 0|Via: 1.1 rh|"},
	{"protected", answer("Connection: Set-Cookie, Content-Length\r\nSet-Cookie: a\r\nContent-Length: 0\r\n"), false, Answer{Minor: 1}, "HTTP/1.1 200 OK|Set-Cookie: a|Content-Length: 0|Via: 1.1 rh|"},
	{"via and extra", answer("Via: 1.1 a\r\nContent-Length: 0\r\n"), false, Answer{Minor: 1, Extra: []byte("X: y\r\n")}, "HTTP/1.1 200 OK|Content-Length: 0|Via: 1.1 a, 1.1 rh|X: y|"},
}

func TestAppendResponse(t *testing.T) {
	lim := DefaultLimits()
	for _, row := range answerRows {
		t.Run(row.name, func(t *testing.T) {
			var r, again Response
			if _, err := r.Parse([]byte(row.in), &lim, row.head); err != nil {
				t.Fatal(err)
			}
			a := row.a
			a.Via = "1.1 rh"
			out := AppendResponse(nil, &r, &a)
			if got := strings.ReplaceAll(string(out), "\r\n", "|"); got != row.want+"|" {
				t.Errorf("got  %q\nwant %q", got, row.want+"|")
			}
			if n, err := again.Parse(out, &lim, row.head); n != len(out) || err != nil {
				t.Errorf("parsed again: %d, %v", n, err)
			}
			if again.Status != r.Status || r.Body == BodyLength && again.ContentLength != r.ContentLength {
				t.Errorf("%s became %s", describeResponse(&r), describeResponse(&again))
			}
			if CloseDelimited(&r, &a) != (again.Body == BodyUntilClose) {
				t.Errorf("CloseDelimited says %v of %s", CloseDelimited(&r, &a), describeResponse(&again))
			}
		})
	}
}

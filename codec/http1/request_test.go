package http1

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"roundhouse/codec"
)

const handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

// acceptedRequests: in, and what it means.
var acceptedRequests = []struct{ name, in, want string }{
	{"plain", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / 1.1 host=h len=0 keep idem | Host: h"},
	{"empty line first", "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / 1.1 host=h len=0 keep idem | Host: h"},
	{"query", "GET /a%20b?c=%zz&d=? HTTP/1.1\r\nHost: h:80\r\n\r\n", "GET /a%20b?c=%zz&d=? 1.1 host=h:80 len=0 keep idem | Host: h:80"},
	{"odd bytes in the target", "GET /{a}|\"b\"<>^` HTTP/1.1\r\nHost: h\r\n\r\n", "GET /{a}|\"b\"<>^` 1.1 host=h len=0 keep idem | Host: h"},
	{"two slashes", "GET //x HTTP/1.1\r\nHost: h\r\n\r\n", "GET //x 1.1 host=h len=0 keep idem | Host: h"},
	{"no blanks after the colon", "GET / HTTP/1.1\r\nHost:h\r\nA:\r\nB:\t b \t\r\n\r\n", "GET / 1.1 host=h len=0 keep idem | Host: h | A: | B: b"},
	{"high bytes in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: \x80\xff\r\n\r\n", "GET / 1.1 host=h len=0 keep idem | Host: h | A: \x80\xff"},
	{"tab within a value", "GET / HTTP/1.1\r\nHost: h\r\nA: 12345\t789\r\n\r\n", "GET / 1.1 host=h len=0 keep idem | Host: h | A: 12345\t789"},
	{"unknown method", "M-SEARCH / HTTP/1.1\r\nHost: h\r\n\r\n", "M-SEARCH / 1.1 host=h len=0 keep | Host: h"},
	{"lower-case method is another one", "connect / HTTP/1.1\r\nHost: h\r\n\r\n", "connect / 1.1 host=h len=0 keep | Host: h"},
	{"head", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", "HEAD / 1.1 host=h len=0 keep head idem | Host: h"},
	{"close", "GET / HTTP/1.1\r\nHost: h\r\nConnection: a, Close\r\n\r\n", "GET / 1.1 host=h len=0 idem | Host: h | Connection: a, Close"},
	{"1.0", "GET / HTTP/1.0\r\n\r\n", "GET / 1.0 host= len=0 idem"},
	{"1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET / 1.0 host= len=0 keep idem | Connection: keep-alive"},
	{"1.0 keep-alive and close", "GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", "GET / 1.0 host= len=0 idem | Connection: keep-alive | Connection: close"},
	{"1.0 ignores expect and upgrade", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\n", "POST / 1.0 host= len=1 | Expect: 100-continue | Upgrade: x | Content-Length: 1"},
	{"length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 007\r\n\r\n", "POST / 1.1 host=h len=7 keep | Host: h | Content-Length: 007"},
	{"longest length", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775807\r\n\r\n", "PUT / 1.1 host=h len=9223372036854775807 keep idem | Host: h | Content-Length: 9223372036854775807"},
	{"chunked", "POST / HTTP/1.1\r\nHost: h\r\ntransfer-encoding: CHUNKED \r\nTrailer: A, B\r\n\r\n", "POST / 1.1 host=h len=-1 chunked keep | Host: h | transfer-encoding: CHUNKED | Trailer: A, B"},
	{"expect", "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n", "POST / 1.1 host=h len=1 keep expect | Host: h | Expect: 100-Continue | Content-Length: 1"},
	{"expect without a body", "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n", "POST / 1.1 host=h len=0 keep | Host: h | Expect: 100-continue"},
	{"websocket", "GET / HTTP/1.1\r\nHost: h\r\n" + handshake + "\r\n", "GET / 1.1 host=h len=0 keep upgrade idem | Host: h | Connection: Upgrade | Upgrade: websocket | Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ== | Sec-WebSocket-Version: 13"},
	{"option upgrade alone", "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n\r\n", "GET / 1.1 host=h len=0 keep idem | Host: h | Connection: upgrade"},
	{"absolute", "GET HTTP://H.x:8/a?b HTTP/1.1\r\nHost: h.X:8\r\n\r\n", "GET /a?b 1.1 host=h.X:8 len=0 keep idem | Host: h.X:8"},
	{"absolute without a path", "GET https://h HTTP/1.1\r\nHost: h\r\n\r\n", "GET / 1.1 host=h len=0 keep idem | Host: h"},
	{"absolute in 1.0", "GET http://[::1]:8/ HTTP/1.0\r\n\r\n", "GET / 1.0 host=[::1]:8 len=0 idem"},
	{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * 1.1 host=h len=0 keep idem | Host: h"},
	{"asterisk, empty host", "OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n", "OPTIONS * 1.1 host= len=0 keep idem | Host:"},
	{"asterisk, absolute", "OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * 1.1 host=h len=0 keep idem | Host: h"},
	{"options of a path", "OPTIONS http://h/a HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS /a 1.1 host=h len=0 keep idem | Host: h"},
}

// inField is a request with one more line after Host.
func inField(line string) string { return "GET / HTTP/1.1\r\nHost: h\r\n" + line + "\r\n\r\n" }

func post(lines string) string { return "POST / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n" }

func withHost(host string) string { return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n" }

func withTarget(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n" }

type refusedRow struct{ name, in, reason string }

var refusedRequests = []refusedRow{
	{"leading blank", " GET / HTTP/1.1\r\nHost: h\r\n\r\n", "start-line"},
	{"leading tab", "\tGET / HTTP/1.1\r\nHost: h\r\n\r\n", "method"},
	{"leading LF", "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "bare-lf"},
	{"leading CR", "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", "start-line"},
	{"two empty lines", "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "start-line"},
	{"two blanks after the method", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "start-line"},
	{"two blanks after the target", "GET /  HTTP/1.1\r\nHost: h\r\n\r\n", "start-line"},
	{"blank at the end", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", "start-line"},
	{"tab for a blank", "GET\t/\tHTTP/1.1\r\nHost: h\r\n\r\n", "start-line"},
	{"tab in the target", "GET /\ta HTTP/1.1\r\nHost: h\r\n\r\n", "target"},
	{"no version", "GET /\r\nHost: h\r\n\r\n", "start-line"},
	{"no target", "GET HTTP/1.1\r\nHost: h\r\n\r\n", "start-line"},
	{"bare LF after the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", "bare-lf"},
	{"bare LF after a field", "GET / HTTP/1.1\r\nHost: h\n\r\n", "bare-lf"},
	{"bare LF for the empty line", "GET / HTTP/1.1\r\nHost: h\r\n\n", "bare-lf"},
	{"bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: h\r\n\r\n", "target"},
	{"two CR after the request line", "GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", "start-line"},
	{"two CR for the empty line", "GET / HTTP/1.1\r\nHost: h\r\n\r\r\n", "no-colon"},
	{"NUL in the target", withTarget("/\x00"), "target"},
	{"DEL in the target", withTarget("/\x7f"), "target"},
	{"high byte in the target", withTarget("/\x80"), "target"},
	{"fragment", withTarget("/a#b"), "target"},
	{"fragment in the query", withTarget("/a?b#c"), "target"},
	{"open escape", withTarget("/a%2"), "target"},
	{"bad escape", withTarget("/a%g0"), "target"},
	{"method is no token", "G(T / HTTP/1.1\r\nHost: h\r\n\r\n", "method"},
	{"method with a high byte", "G\xc9T / HTTP/1.1\r\nHost: h\r\n\r\n", "method"},
	{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", "version"},
	{"HTTP/0.9", "GET / HTTP/0.9\r\n\r\n", "version"},
	{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "version"},
	{"HTTP/1.10", "GET / HTTP/1.10\r\nHost: h\r\n\r\n", "start-line"},
	{"http/1.1", "GET / http/1.1\r\nHost: h\r\n\r\n", "start-line"},
	{"HTTP/1,1", "GET / HTTP/1,1\r\nHost: h\r\n\r\n", "start-line"},
	{"connect", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "method-not-allowed"},
	{"trace", "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", "method-not-allowed"},
	{"authority form", withTarget("h:80"), "target-form"},
	{"asterisk for GET", withTarget("*"), "target-form"},
	{"relative", withTarget("a/b"), "target-form"},
	{"query alone", withTarget("?a"), "target-form"},
	{"another scheme", withTarget("ftp://h/"), "target-form"},
	{"scheme alone", withTarget("http://"), "target-form"},
	{"absolute, no authority", withTarget("http:///a"), "target"},
	{"absolute, user", withTarget("http://u@h/"), "target"},
	{"absolute, query at once", withTarget("http://h?a"), "target"},
	{"absolute, comma", withTarget("http://h,i/"), "target"},
	{"absolute, another host", withTarget("http://i/"), "host-differs"},
	{"absolute, another port", withTarget("http://h:80/"), "host-differs"},
	{"absolute, empty host", "GET http://h/ HTTP/1.1\r\nHost:\r\n\r\n", "host"},
	{"no host", "GET / HTTP/1.1\r\n\r\n", "no-host"},
	{"two hosts", "GET / HTTP/1.1\r\nHost: h\r\nhost: h\r\n\r\n", "two-hosts"},
	{"two hosts, one empty", "OPTIONS * HTTP/1.1\r\nHost:\r\nHost: h\r\n\r\n", "two-hosts"},
	{"empty host", withHost(""), "host"},
	{"comma in host", withHost("a,b"), "host"},
	{"blank in host", withHost("a b"), "host"},
	{"user in host", withHost("u@h"), "host"},
	{"slash in host", withHost("h/a"), "host"},
	{"first line starts with a blank", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", "line-folding"},
	{"folded with a tab", inField("A: b\r\n\tc"), "line-folding"},
	{"folded with a blank", inField("A: b\r\n c"), "line-folding"},
	{"no colon", inField("A"), "no-colon"},
	{"empty name", inField(": b"), "empty-name"},
	{"blank before the colon", inField("A : b"), "blank-before-colon"},
	{"tab before the colon", inField("A\t: b"), "blank-before-colon"},
	{"blank in a name", inField("A B: c"), "field-name"},
	{"high byte in a name", inField("\xc1: c"), "field-name"},
	{"CR in a name", inField("A\rB: c"), "field-name"},
	{"NUL in a value", inField("A: 1234567\x00"), "field-value"},
	{"CR in a value", inField("A: b\rc"), "field-value"},
	{"CR at the end of a value", inField("A: b\r"), "field-value"},
	{"DEL in a value", inField("A: 12345678\x7f2345678"), "field-value"},
	{"two lengths", post("Content-Length: 1\r\nContent-Length: 1\r\n"), "two-content-lengths"},
	{"list of lengths", post("Content-Length: 1, 1\r\n"), "content-length"},
	{"length with a sign", post("Content-Length: +1\r\n"), "content-length"},
	{"negative length", post("Content-Length: -1\r\n"), "content-length"},
	{"empty length", post("Content-Length:\r\n"), "content-length"},
	{"hexadecimal length", post("Content-Length: 0x1\r\n"), "content-length"},
	{"length of 20 digits", post("Content-Length: 00000000000000000001\r\n"), "content-length"},
	{"length above 2^63-1", post("Content-Length: 9223372036854775808\r\n"), "content-length"},
	{"length and coding", post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), "te-and-cl"},
	{"coding and length", post("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), "te-and-cl"},
	{"coding and length 0", post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), "te-and-cl"},
	{"two codings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "transfer-encoding"},
	{"chunked twice", post("Transfer-Encoding: chunked, chunked\r\n"), "transfer-encoding"},
	{"empty coding", post("Transfer-Encoding:\r\n"), "transfer-encoding"},
	{"coding with a parameter", post("Transfer-Encoding: chunked;a=b\r\n"), "transfer-encoding"},
	{"quoted coding", post("Transfer-Encoding: \"chunked\"\r\n"), "transfer-encoding"},
	{"vertical tab before chunked", post("Transfer-Encoding: \x0bchunked\r\n"), "field-value"},
	{"blank before the colon of the coding", post("Transfer-Encoding : chunked\r\n"), "blank-before-colon"},
	{"gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n"), "transfer-coding"},
	{"identity", post("Transfer-Encoding: identity\r\n"), "transfer-coding"},
	{"xchunked", post("Transfer-Encoding: xchunked\r\n"), "transfer-coding"},
	{"coding in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "te-in-1.0"},
	{"Transfer_Encoding", post("Transfer_Encoding: chunked\r\n"), "framing-alias"},
	{"Content_Length", post("Content_Length: 1\r\n"), "framing-alias"},
	{"trailer announces a length", post("Transfer-Encoding: chunked\r\nTrailer: a, content-length\r\n"), "trailer-names"},
	{"another upgrade", inField("Connection: upgrade\r\nUpgrade: h2c"), "upgrade"},
	{"websocket and another", inField("Connection: upgrade\r\nUpgrade: websocket, h2c"), "upgrade"},
	{"websocket without Connection", inField(strings.TrimSuffix(strings.TrimPrefix(handshake, "Connection: Upgrade\r\n"), "\r\n")), "upgrade"},
	{"websocket without key", inField("Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"), "upgrade"},
	{"websocket without version", inField("Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), "upgrade"},
	{"websocket, bad key", inField("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"), "upgrade"},
	{"websocket, key of other characters", inField("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ-=="), "upgrade"},
	{"websocket, version 8", inField("Sec-WebSocket-Version: 8"), "upgrade"},
	{"websocket by POST", post(handshake), "upgrade"},
	{"websocket with a body", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n" + handshake + "\r\n", "upgrade"},
	{"two upgrades", "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n" + handshake + "\r\n", "upgrade"},
	{"expect", inField("Expect: 200-ok"), "expect"},
	{"empty expect", inField("Expect:"), "expect"},
	{"33 connection options", inField("Connection: " + strings.Repeat("a,", 33)), "connection-options"},
}

// describe spells what r means.
func describe(r *Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s 1.%d host=%s len=%d", r.Method, r.Path, r.Minor, r.Host, r.ContentLength)
	for _, flag := range []struct {
		on   bool
		name string
	}{{r.Chunked, "chunked"}, {r.KeepAlive, "keep"}, {r.Expect100, "expect"}, {r.Upgrade, "upgrade"}, {r.Head, "head"}, {r.Idempotent, "idem"}} {
		if flag.on {
			b.WriteString(" " + flag.name)
		}
	}
	describeFields(&b, r.Fields)
	return b.String()
}

func describeFields(b *strings.Builder, fields []Field) {
	for _, f := range fields {
		b.WriteString(strings.TrimRight(fmt.Sprintf(" | %s: %s", f.Name, f.Value), " "))
	}
}

func TestRequestAccepted(t *testing.T) {
	lim := DefaultLimits()
	for _, row := range acceptedRequests {
		t.Run(row.name, func(t *testing.T) {
			var r Request
			for cut := range row.in {
				if n, err := r.Parse([]byte(row.in[:cut]), &lim); n != 0 || err != nil {
					t.Fatalf("first %d bytes: %d, %v", cut, n, err)
				}
			}
			n, err := r.Parse([]byte(row.in+"GET /next"), &lim)
			if n != len(row.in) || err != nil {
				t.Fatalf("%d, %v; want %d", n, err, len(row.in))
			}
			if got := describe(&r); got != row.want {
				t.Errorf("got  %q\nwant %q", got, row.want)
			}
		})
	}
}

func TestRequestRefused(t *testing.T) {
	lim := DefaultLimits()
	for _, row := range refusedRequests {
		t.Run(row.name, func(t *testing.T) {
			var r Request
			_, err := r.Parse([]byte(row.in), &lim)
			checkRefusal(t, err, row.reason)
			if err.(*Error).Status == 502 {
				t.Error("status of a response")
			}
			for cut := range row.in {
				n, early := r.Parse([]byte(row.in[:cut]), &lim)
				if n != 0 || early != nil && early != err {
					t.Fatalf("first %d bytes: %d, %v; whole: %v", cut, n, early, err)
				}
			}
			if _, late := r.Parse([]byte(row.in+"x: y\n\n\r\n\r\n"), &lim); late != err {
				t.Errorf("with more after it: %v; alone: %v", late, err)
			}
		})
	}
}

func checkRefusal(t *testing.T, err error, reason string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("err = %v, want %s", err, reason)
	}
	if e.Reason != reason || e.Text == "" {
		t.Fatalf("err = %v, want %s", err, reason)
	}
	if errors.Is(err, codec.ErrMalformed) == errors.Is(err, codec.ErrTooLarge) {
		t.Errorf("%v wraps none or both of the codec's errors", err)
	}
	if !errors.Is(err, e.Gateway()) || e.Gateway().Status != 502 {
		t.Errorf("%v and its gateway form differ", err)
	}
}

func TestStatus(t *testing.T) {
	special := map[string]int{"line-too-long": 414, "head-too-large": 431, "too-many-fields": 431,
		"method-not-allowed": 405, "version": 505, "transfer-coding": 501, "expect": 417}
	for _, e := range Refusals() {
		want := special[e.Reason]
		if want == 0 {
			want = 400
		}
		if e.Status != want {
			t.Errorf("%s: status %d, want %d", e.Reason, e.Status, want)
		}
	}
}

func TestEveryRefusalHasARow(t *testing.T) {
	covered := map[string]bool{}
	for _, rows := range [][]refusedRow{refusedRequests, refusedResponses, refusedBodies} {
		for _, row := range rows {
			covered[row.reason] = true
		}
	}
	for _, row := range requestLimits {
		covered[row.reason] = true
	}
	for _, row := range bodyLimits {
		covered[row.reason] = true
	}
	seen := map[string]bool{}
	for _, e := range Refusals() {
		if !covered[e.Reason] {
			t.Errorf("%s: no row", e.Reason)
		}
		if seen[e.Reason] {
			t.Errorf("%s: declared twice", e.Reason)
		}
		seen[e.Reason] = true
	}
}

// requestLimits: the input is below, at and one over the limit, by size.
var requestLimits = []struct {
	name, reason string
	lim          Limits
	limit        int
	make         func(size int) string
}{
	{"request line", "line-too-long", Limits{RequestLine: 40, Head: 1000, Fields: 5}, 40, func(size int) string {
		return "GET /" + strings.Repeat("a", size-len("GET / HTTP/1.1")) + " HTTP/1.1\r\nHost: h\r\n\r\n"
	}},
	{"request line above the head", "head-too-large", Limits{RequestLine: 1000, Head: 50, Fields: 5}, 50, func(size int) string {
		return "GET /" + strings.Repeat("a", size-len("GET / HTTP/1.1\r\nHost: h\r\n\r\n")) + " HTTP/1.1\r\nHost: h\r\n\r\n"
	}},
	{"head", "head-too-large", Limits{RequestLine: 40, Head: 60, Fields: 5}, 60, func(size int) string {
		const rest = "GET / HTTP/1.1\r\nHost: h\r\nA: \r\n\r\n"
		return "GET / HTTP/1.1\r\nHost: h\r\nA: " + strings.Repeat("a", size-len(rest)) + "\r\n\r\n"
	}},
	{"fields", "too-many-fields", Limits{RequestLine: 40, Head: 1000, Fields: 7}, 7, func(size int) string {
		return "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: b\r\n", size-1) + "\r\n"
	}},
}

func TestRequestLimits(t *testing.T) {
	for _, row := range requestLimits {
		t.Run(row.name, func(t *testing.T) {
			var r Request
			for _, size := range []int{row.limit - 1, row.limit} {
				in := row.make(size)
				if n, err := r.Parse([]byte("\r\n"+in), &row.lim); n != len(in)+2 || err != nil {
					t.Errorf("size %d: %d, %v", size, n, err)
				}
			}
			in := row.make(row.limit + 1)
			_, err := r.Parse([]byte(in), &row.lim)
			checkRefusal(t, err, row.reason)
			if !errors.Is(err, codec.ErrTooLarge) {
				t.Errorf("%v is not ErrTooLarge", err)
			}
			for cut := range in {
				if n, early := r.Parse([]byte(in[:cut]), &row.lim); n != 0 || early != nil && early != err {
					t.Fatalf("first %d bytes: %d, %v", cut, n, early)
				}
			}
		})
	}
}

// TestEndlessLine checks that a line without an end is refused at its limit.
func TestEndlessLine(t *testing.T) {
	lim := DefaultLimits()
	var r Request
	for _, row := range []struct {
		in     string
		limit  int
		reason string
	}{
		{"GET /" + strings.Repeat("a", 10000), lim.RequestLine + 2, "line-too-long"},
		{"GET / HTTP/1.1\r\nA: " + strings.Repeat("a", 40000), lim.Head, "head-too-large"},
	} {
		if _, err := r.Parse([]byte(row.in[:row.limit-1]), &lim); err != nil {
			t.Errorf("%s: refused before the limit: %v", row.reason, err)
		}
		_, err := r.Parse([]byte(row.in[:row.limit]), &lim)
		checkRefusal(t, err, row.reason)
	}
}

func TestRequestAllocatesNothing(t *testing.T) {
	lim := DefaultLimits()
	var r Request
	good, bad := []byte(requestOf(20)), []byte(inField("A : b"))
	if _, err := r.Parse(good, &lim); err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 0, 8192)
	f := &Forward{Path: []byte("/"), RemoteIP: []byte("::1"), Proto: "http", Via: "1.1 roundhouse"}
	allocs := testing.AllocsPerRun(100, func() {
		_, _ = r.Parse(bad, &lim) // only its allocations matter
		_, _ = r.Parse(good[:len(good)/2], &lim)
		_, _ = r.Parse(good, &lim)
		dst = AppendRequest(dst[:0], &r, f)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

package fuzz

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"roundhouse/codec/http1"
)

// http1Limits are small enough for a fuzzer to reach, and stay below those of net/http: its chunk lines end at 4096 bytes.
func http1Limits() http1.Limits {
	return http1.Limits{RequestLine: 512, Head: 2048, Fields: 30, ChunkExt: 64, Trailer: 512}
}

var http1Requests = []string{
	"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
	"\r\nGET /a%20b?c=d HTTP/1.1\r\nHost: h:80\r\nAccept: */*\r\nConnection: close, x\r\nX: 1\r\n\r\nGET",
	"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	"HEAD http://[::1]:8/a HTTP/1.1\r\nHost: [::1]:8\r\nX_Forwarded_For: a\r\nForwarded: for=b\r\nVia: 1.0 c\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n",
	"OPTIONS http://h HTTP/1.1\r\nHost: h\r\nTE: trailers, x\r\n\r\n",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
	"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nA: b\r\nHost: c\r\n\r\n",
	"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nPragma: no-cache\r\nA: b\r\n c\r\n\r\n",
	"GET / HTTP/1.1\nHost: h\n\n",
	"GET /a%2 HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET http://h:80/ HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n",
	"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
	"GET / HTTP/2.0\r\nHost: h\r\n\r\n",
	"GET /{a}|\"b\"<>^` HTTP/1.1\r\nHost: a!$&'()*+;=b\r\nIas-Rs-Sessionid: a\r\nIas-Rs-Farm: b\r\nA:\t\x80\xff \r\n\r\n",
}

var http1Responses = []string{
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.0 200\r\nConnection: keep-alive\r\n\r\nuntil close",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\nConnection: x-a\r\nX-A: b\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
	"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
	"HTTP/1.1 100 Continue\r\n\r\n",
	"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
	"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 600 x\r\n\r\n",
	"HTTP/1.1 200 a\x00b\r\n\r\n",
}

var http1Bodies = []string{
	"0\r\n\r\n",
	"5\r\nhello\r\n0\r\n\r\nrest",
	"000000000000000A;a;b=c;d=\"e\\\"\"\r\n0123456789\r\n0\r\nA: b\r\nHost: c\r\nX_Forwarded_For: d\r\n\r\n",
	"ffffffffffffffff\r\nx",
	"5\nhello\n0\n\n",
	"5 \r\nhello\r\n0\r\n\r\n",
	"+5\r\nhello\r\n0\r\n\r\n",
	"5\r\nhello!\r\n0\r\n\r\n",
	"1;a=\"\r\nx\r\n0\r\n\r\n",
}

// FuzzHTTP1Request: the same result for the whole and for a part; what we accept, net/http accepts with the same meaning;
// what we write for the next hop has that meaning too.
func FuzzHTTP1Request(f *testing.F) {
	for i, seed := range http1Requests {
		f.Add([]byte(seed), uint16(7*i))
	}
	lim := http1Limits()
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		var r, part http1.Request
		n, err := r.Parse(in, &lim)
		at := int(cut) % (len(in) + 1)
		partN, partErr := part.Parse(in[:at], &lim)
		checkSplit(t, at, outcome{n, err}, outcome{partN, partErr})
		if n == 0 || err != nil {
			return
		}
		compareRequest(t, bytes.TrimPrefix(in, []byte("\r\n")), &r, in[n:])
		forward := http1.Forward{Path: r.Path, RemoteIP: []byte("192.0.2.1"), Proto: "http", Via: "1.1 rh", DefaultHost: "d", Trusted: cut%2 == 0}
		compareForwarded(t, &r, http1.AppendRequest(nil, &r, &forward), in[n:])
	})
}

// FuzzHTTP1Response: as FuzzHTTP1Request, for what a back end answers.
func FuzzHTTP1Response(f *testing.F) {
	for i, seed := range http1Responses {
		f.Add([]byte(seed), uint16(7*i))
	}
	lim := http1Limits()
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		head := cut%4 == 3
		var r, part http1.Response
		n, err := r.Parse(in, &lim, head)
		at := int(cut) % (len(in) + 1)
		partN, partErr := part.Parse(in[:at], &lim, head)
		checkSplit(t, at, outcome{n, err}, outcome{partN, partErr})
		if n == 0 || err != nil {
			return
		}
		compareResponse(t, in, &r, in[n:], head)
		answer := http1.Answer{Minor: int(cut % 2), Via: "1.1 rh", KeepAlive10: cut%8 < 4}
		compareAnswered(t, &r, &answer, head)
	})
}

// FuzzHTTP1Chunked: the same body and error in one piece and in two and byte by byte; a body that we accept is the one
// that net/http reads; written anew it is the same.
func FuzzHTTP1Chunked(f *testing.F) {
	for i, seed := range http1Bodies {
		f.Add([]byte(seed), uint16(3*i))
	}
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		at := int(cut) % (len(in) + 1)
		whole := decodeChunked(in[:at:at], in[at:])
		for name, other := range map[string]chunkedResult{"whole": decodeChunked(in), "bytes": decodeChunked(slices.Collect(slices.Chunk(in, 1))...)} {
			if !bytes.Equal(whole.data, other.data) || whole.err != other.err || whole.end != other.end || whole.trailer != other.trailer {
				t.Fatalf("cut at %d: %+v; %s: %+v", at, whole, name, other)
			}
		}
		if !whole.end {
			return
		}
		data, err := io.ReadAll(httputil.NewChunkedReader(bufio.NewReaderSize(bytes.NewReader(in), 1<<16)))
		if err != nil || !bytes.Equal(data, whole.data) {
			t.Fatalf("net/http reads %q, %v; we read %q", data, err, whole.data)
		}
		var again []byte
		if len(data) > 0 {
			again = append(append(http1.AppendChunkHeader(nil, len(data)), data...), "\r\n"...)
		}
		again = http1.AppendTrailer(again, whole.fields)
		if r := decodeChunked(again); !r.end || !bytes.Equal(r.data, data) || r.trailer != whole.trailer {
			t.Fatalf("written anew as %q: %+v; was %+v", again, r, whole)
		}
	})
}

type outcome struct {
	n   int
	err error
}

// checkSplit: a part asks for more or has the result of the whole.
func checkSplit(t *testing.T, at int, whole, part outcome) {
	t.Helper()
	if part != whole && part != (outcome{}) {
		t.Fatalf("first %d bytes: %v; whole: %v", at, part, whole)
	}
	if whole.n > 0 && at >= whole.n && part != whole {
		t.Fatalf("first %d bytes ask for more; whole: %v", at, whole)
	}
}

type chunkedResult struct {
	data    []byte
	fields  []http1.Field
	trailer string
	err     error
	end     bool
	rest    int
}

// decodeChunked decodes what arrives in pieces.
func decodeChunked(pieces ...[]byte) (r chunkedResult) {
	lim := http1Limits()
	var d http1.Chunked
	var pending []byte
	for _, piece := range pieces {
		pending = append(slices.Clone(pending), piece...)
		for {
			data, n, kind, err := d.Next(pending, &lim)
			r.err = err
			if err != nil {
				return r
			}
			r.data = append(r.data, data...)
			pending = pending[n:]
			if kind == http1.ChunkEnd {
				r.end, r.rest, r.fields = true, len(pending), d.Trailer()
				for _, f := range r.fields {
					r.trailer += fmt.Sprintf("%q: %q\n", f.Name, f.Value)
				}
				return r
			}
			if kind == http1.ChunkMore {
				break
			}
		}
	}
	return r
}

// multiset spells fields in an order that does not depend on theirs, without those named.
func multiset(h http.Header, except ...string) string {
	var lines []string
	for name, values := range h {
		if !slices.Contains(except, name) {
			for _, v := range values {
				lines = append(lines, fmt.Sprintf("%s: %q", name, v))
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func header(fields []http1.Field) http.Header {
	h := http.Header{}
	for _, f := range fields {
		h.Add(textproto.CanonicalMIMEHeaderKey(string(f.Name)), string(f.Value))
	}
	return h
}

// framingFields are what net/http takes out of the header and shows elsewhere.
var framingFields = []string{"Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection"}

// compareRequest reads the same bytes with net/http. It does not know the empty line before a request, so that is cut off.
func compareRequest(t *testing.T, in []byte, r *http1.Request, body []byte) {
	t.Helper()
	req, err := http.ReadRequest(bufio.NewReaderSize(bytes.NewReader(in), 1<<16))
	if err != nil {
		t.Fatalf("net/http refuses: %v", err)
	}
	if req.Method != string(r.Method) || req.RequestURI != string(r.Target) || req.ProtoMinor != r.Minor {
		t.Fatalf("net/http: %s %s %s", req.Method, req.RequestURI, req.Proto)
	}
	// With an absolute target net/http takes the host from there; we demand that they are the same but for case.
	if !strings.EqualFold(req.Host, string(r.Host)) {
		t.Fatalf("host: net/http %q, we %q", req.Host, r.Host)
	}
	if req.ContentLength != r.ContentLength || req.Close == r.KeepAlive || (len(req.TransferEncoding) == 1) != r.Chunked {
		t.Fatalf("framing: net/http %d %v %v, we %d %v %v", req.ContentLength, req.Close, req.TransferEncoding, r.ContentLength, r.KeepAlive, r.Chunked)
	}
	ours := header(r.Fields)
	addCacheControl(ours)
	if a, b := multiset(req.Header, framingFields...), multiset(ours, framingFields...); a != b {
		t.Fatalf("net/http:\n%s\nwe:\n%s", a, b)
	}
	compareBody(t, req.Body, bodyOf(r.Chunked, r.ContentLength, body), func() http.Header { return req.Trailer })
}

// addCacheControl does as net/http does, which reads Pragma: no-cache as a Cache-Control.
func addCacheControl(h http.Header) {
	if _, ok := h["Cache-Control"]; !ok && h.Get("Pragma") == "no-cache" {
		h["Cache-Control"] = []string{"no-cache"}
	}
}

// wantBody is a body as we read it.
type wantBody struct {
	complete bool
	data     []byte
	trailer  []http1.Field
}

func bodyOf(chunked bool, length int64, in []byte) wantBody {
	if chunked {
		r := decodeChunked(in)
		return wantBody{r.end, r.data, r.fields}
	}
	if length > int64(len(in)) {
		return wantBody{}
	}
	return wantBody{true, in[:length], nil}
}

// forbiddenTrailers is written down here once more, so that a mistake in the codec's list shows.
var forbiddenTrailers = strings.Fields("Host Content-Length Content_length Transfer-Encoding Transfer_encoding Connection " +
	"Keep-Alive Proxy-Connection Proxy-Authenticate Proxy-Authorization Te Trailer Upgrade Expect Forwarded Via Authorization " +
	"Www-Authenticate Cookie Set-Cookie Sec-Websocket-Key Sec-Websocket-Version Sec-Websocket-Accept Content-Type " +
	"Content-Encoding Content-Range Cache-Control Max-Forwards X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto")

func compareBody(t *testing.T, body io.Reader, want wantBody, trailer func() http.Header) {
	t.Helper()
	if !want.complete {
		return
	}
	data, err := io.ReadAll(body)
	if err != nil || !bytes.Equal(data, want.data) {
		t.Fatalf("body: net/http %q, %v, we %q", data, err, want.data)
	}
	// net/http keeps every field of the trailer section; a name announced but not sent has no values.
	theirs := maps.Clone(trailer())
	maps.DeleteFunc(theirs, func(name string, _ []string) bool {
		dashed := textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
		return slices.Contains(forbiddenTrailers, name) || strings.HasPrefix(dashed, "X-Forwarded-") && slices.Contains(forbiddenTrailers, dashed) ||
			strings.HasPrefix(dashed, "Ias-Rs-") && len(dashed) > len("Ias-Rs-")
	})
	if a, b := multiset(theirs), multiset(header(want.trailer)); a != b {
		t.Fatalf("trailer: net/http\n%s\nwe:\n%s", a, b)
	}
}

// compareForwarded reads our own words with both parsers.
func compareForwarded(t *testing.T, r *http1.Request, out, body []byte) {
	t.Helper()
	lim := http1.DefaultLimits()
	var again http1.Request
	n, err := again.Parse(out, &lim)
	if n != len(out) || err != nil {
		t.Fatalf("we refuse %q: %d, %v", out, n, err)
	}
	host := string(r.Host)
	if host == "" {
		host = "d"
	}
	if !bytes.Equal(again.Method, r.Method) || !bytes.Equal(again.Target, r.Path) || string(again.Host) != host || again.ContentLength != r.ContentLength ||
		again.Chunked != r.Chunked || again.Upgrade != r.Upgrade || again.Expect100 != r.Expect100 || !again.KeepAlive {
		t.Fatalf("%q has another meaning", out)
	}
	for _, f := range again.Fields {
		if f.ID == http1.IDIasRs && !strings.EqualFold(string(f.Name), "Ias-Rs-Sessionid") || bytes.HasPrefix(bytes.ToLower(f.Name), []byte("x_forwarded_for")) {
			t.Fatalf("%s passed in %q", f.Name, out)
		}
	}
	compareRequest(t, append(slices.Clip(out), body...), &again, body)
}

// compareResponse reads the same bytes with net/http.
func compareResponse(t *testing.T, in []byte, r *http1.Response, body []byte, head bool) {
	t.Helper()
	asked := &http.Request{Method: "GET"}
	if head {
		asked.Method = "HEAD"
	}
	res, err := http.ReadResponse(bufio.NewReaderSize(bytes.NewReader(in), 1<<16), asked)
	if err != nil {
		t.Fatalf("net/http refuses: %v", err)
	}
	if res.StatusCode != r.Status || res.ProtoMinor != r.Minor {
		t.Fatalf("net/http: %s %s", res.Proto, res.Status)
	}
	ours := header(r.Fields)
	addCacheControl(ours)
	if a, b := multiset(res.Header, framingFields...), multiset(ours, framingFields...); a != b {
		t.Fatalf("net/http:\n%s\nwe:\n%s", a, b)
	}
	if r.KeepAlive && res.Close {
		t.Fatal("net/http closes")
	}
	var want wantBody
	switch r.Body {
	case http1.BodyNone:
		if r.Upgrade {
			return // net/http shows what follows as the body
		}
		want = wantBody{complete: true}
	case http1.BodyUntilClose:
		want = wantBody{complete: true, data: body}
	default:
		want = bodyOf(r.Body == http1.BodyChunked, r.ContentLength, body)
	}
	if r.Body == http1.BodyNone && len(res.Trailer) > 0 {
		res.Trailer = nil // announced for a body that does not come
	}
	compareBody(t, res.Body, want, func() http.Header { return res.Trailer })
}

// compareAnswered reads our own words with both parsers.
func compareAnswered(t *testing.T, r *http1.Response, a *http1.Answer, head bool) {
	t.Helper()
	out := http1.AppendResponse(nil, r, a)
	lim := http1.DefaultLimits()
	var again http1.Response
	n, err := again.Parse(out, &lim, head)
	if n != len(out) || err != nil {
		t.Fatalf("we refuse %q: %d, %v", out, n, err)
	}
	kind := r.Body
	switch {
	case http1.CloseDelimited(r, a):
		kind = http1.BodyUntilClose
	case kind == http1.BodyUntilClose:
		kind = http1.BodyChunked
	}
	if again.Status != r.Status || !bytes.Equal(again.ReasonPhrase, r.ReasonPhrase) || again.Body != kind || again.Upgrade != r.Upgrade ||
		again.ContentLength != r.ContentLength || again.KeepAlive == (r.Upgrade || kind == http1.BodyUntilClose) {
		t.Fatalf("%q has another meaning", out)
	}
	compareResponse(t, out, &again, nil, head)
}

package http1

import (
	"fmt"
	"strings"
	"testing"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"

var acceptedResponses = []struct {
	name, in string
	head     bool
	want     string
}{
	{"length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", false, "200 OK 1.1 length 3 keep | Content-Length: 3"},
	{"no reason", "HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\n", false, "200  1.1 length 3 keep | Content-Length: 3"},
	{"no blank after the status", "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\n", false, "200  1.1 length 3 keep | Content-Length: 3"},
	{"odd reason", "HTTP/1.1 200  \t\xe4! \r\nContent-Length: 0\r\n\r\n", false, "200  \t\xe4!  1.1 length 0 keep | Content-Length: 0"},
	{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, "200 OK 1.1 chunked -1 keep | Transfer-Encoding: chunked"},
	{"chunked, close", "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n", false, "200 OK 1.1 chunked -1 | Connection: close | Transfer-Encoding: chunked"},
	{"until close", "HTTP/1.1 200 OK\r\n\r\n", false, "200 OK 1.1 close -1"},
	{"1.0 until close", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", false, "200 OK 1.0 close -1 | Connection: keep-alive"},
	{"1.0 length", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", false, "200 OK 1.0 length 1 | Content-Length: 1"},
	{"1.0 keep-alive", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n", false, "200 OK 1.0 length 1 keep | Content-Length: 1 | Connection: keep-alive"},
	{"head with length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true, "200 OK 1.1 none 3 keep | Content-Length: 3"},
	{"head chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true, "200 OK 1.1 none -1 keep | Transfer-Encoding: chunked"},
	{"head with nothing", "HTTP/1.1 200 OK\r\n\r\n", true, "200 OK 1.1 none -1 keep"},
	{"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", false, "304 Not Modified 1.1 none 3 keep | Content-Length: 3"},
	{"204", "HTTP/1.1 204 No Content\r\n\r\n", false, "204 No Content 1.1 none -1 keep"},
	{"204, length 0", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false, "204 No Content 1.1 none -1 keep | Content-Length: 0"},
	{"204, length", "HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\n", false, "204 No Content 1.1 none -1 | Content-Length: 1"},
	{"204, chunked", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", false, "204 No Content 1.1 none -1 | Transfer-Encoding: chunked"},
	{"100", "HTTP/1.1 100 Continue\r\n\r\n", false, "100 Continue 1.1 none -1 keep"},
	{"103, length", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 5\r\n\r\n", false, "103 Early Hints 1.1 none -1 keep | Link: </a> | Content-Length: 5"},
	{"101", switching + "\r\n", false, "101 Switching Protocols 1.1 none -1 upgrade | Connection: Upgrade | Upgrade: websocket"},
	{"upgrade offered", "HTTP/1.1 200 OK\r\nUpgrade: h2\r\nContent-Length: 0\r\n\r\n", false, "200 OK 1.1 length 0 keep | Upgrade: h2 | Content-Length: 0"},
	{"599", "HTTP/1.1 599 x\r\nContent-Length: 0\r\n\r\n", false, "599 x 1.1 length 0 keep | Content-Length: 0"},
}

func answer(lines string) string { return "HTTP/1.1 200 OK\r\n" + lines + "\r\n" }

var refusedResponses = []refusedRow{
	{"empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", "start-line"},
	{"two digits", "HTTP/1.1 20 OK\r\n\r\n", "start-line"},
	{"four digits", "HTTP/1.1 2000 OK\r\n\r\n", "start-line"},
	{"099", "HTTP/1.1 099 OK\r\n\r\n", "start-line"},
	{"600", "HTTP/1.1 600 OK\r\n\r\n", "start-line"},
	{"signed status", "HTTP/1.1 +20 OK\r\n\r\n", "start-line"},
	{"two blanks", "HTTP/1.1  200 OK\r\n\r\n", "start-line"},
	{"tab after the status", "HTTP/1.1 200\tOK\r\n\r\n", "start-line"},
	{"NUL in the reason", "HTTP/1.1 200 O\x00K\r\n\r\n", "start-line"},
	{"CR in the reason", "HTTP/1.1 200 OK\r\r\n\r\n", "start-line"},
	{"ICY", "ICY 200 OK\r\n\r\n", "start-line"},
	{"HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", "version"},
	{"bare LF", "HTTP/1.1 200 OK\n\r\n", "bare-lf"},
	{"folded", answer("A: b\r\n c\r\n"), "line-folding"},
	{"blank before the colon", answer("A : b\r\n"), "blank-before-colon"},
	{"two lengths", answer("Content-Length: 1\r\nContent-Length: 1\r\n"), "two-content-lengths"},
	{"length and coding", answer("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), "te-and-cl"},
	{"bad length of a 204", "HTTP/1.1 204 x\r\nContent-Length: x\r\n\r\n", "content-length"},
	{"gzip", answer("Transfer-Encoding: gzip\r\n"), "transfer-coding"},
	{"coding in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "te-in-1.0"},
	{"coding in 100", "HTTP/1.1 100 x\r\nTransfer-Encoding: chunked\r\n\r\n", "te-in-1xx"},
	{"101 to nothing", "HTTP/1.1 101 x\r\n\r\n", "upgrade"},
	{"101 to h2c", "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", "upgrade"},
	{"101 in 1.0", "HTTP/1.0 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "upgrade"},
	{"trailer announces framing", answer("Transfer-Encoding: chunked\r\nTrailer: Transfer-Encoding\r\n"), "trailer-names"},
	{"status line", "HTTP/1.1 200 " + strings.Repeat("a", 8192), "line-too-long"},
	{"head", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 32768), "head-too-large"},
	{"fields", answer(strings.Repeat("A: b\r\n", 101)), "too-many-fields"},
}

func describeResponse(r *Response) string {
	var b strings.Builder
	kind := [...]string{"none", "length", "chunked", "close"}[r.Body]
	fmt.Fprintf(&b, "%d %s 1.%d %s %d", r.Status, r.ReasonPhrase, r.Minor, kind, r.ContentLength)
	if r.KeepAlive {
		b.WriteString(" keep")
	}
	if r.Upgrade {
		b.WriteString(" upgrade")
	}
	describeFields(&b, r.Fields)
	return b.String()
}

func TestResponseAccepted(t *testing.T) {
	lim := DefaultLimits()
	for _, row := range acceptedResponses {
		t.Run(row.name, func(t *testing.T) {
			var r Response
			for cut := range row.in {
				if n, err := r.Parse([]byte(row.in[:cut]), &lim, row.head); n != 0 || err != nil {
					t.Fatalf("first %d bytes: %d, %v", cut, n, err)
				}
			}
			n, err := r.Parse([]byte(row.in+"body"), &lim, row.head)
			if n != len(row.in) || err != nil {
				t.Fatalf("%d, %v; want %d", n, err, len(row.in))
			}
			if got := describeResponse(&r); got != row.want {
				t.Errorf("got  %q\nwant %q", got, row.want)
			}
		})
	}
}

func TestResponseRefused(t *testing.T) {
	lim := DefaultLimits()
	for _, row := range refusedResponses {
		t.Run(row.name, func(t *testing.T) {
			var r Response
			_, err := r.Parse([]byte(row.in), &lim, false)
			checkRefusal(t, err, row.reason)
			if err.(*Error).Status != 502 {
				t.Errorf("status %d", err.(*Error).Status)
			}
			step := 1 + len(row.in)/500
			for cut := 0; cut < len(row.in); cut += step {
				n, early := r.Parse([]byte(row.in[:cut]), &lim, false)
				if n != 0 || early != nil && early != err {
					t.Fatalf("first %d bytes: %d, %v; whole: %v", cut, n, early, err)
				}
			}
		})
	}
}

func TestResponseAllocatesNothing(t *testing.T) {
	lim := DefaultLimits()
	var r Response
	in := []byte(responseOf(12))
	if _, err := r.Parse(in, &lim, false); err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 0, 4096)
	a := &Answer{Minor: 1, Via: "1.1 roundhouse"}
	allocs := testing.AllocsPerRun(100, func() {
		_, _ = r.Parse(in, &lim, false) // only its allocations matter
		dst = AppendResponse(dst[:0], &r, a)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

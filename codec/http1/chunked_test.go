package http1

import (
	"fmt"
	"strings"
	"testing"
)

var acceptedBodies = []struct{ name, in, want string }{
	{"empty", "0\r\n\r\n", ""},
	{"one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello"},
	{"two chunks", "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc"},
	{"upper case and zeros", "000000000000000A\r\n0123456789\r\n00\r\n\r\n", "0123456789"},
	{"lower case", "a\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
	{"line ends in the data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"},
	{"extensions", "1;a\r\nx\r\n1;a=b;c=\"d;\\\"\t e\"\r\ny\r\n0;z\r\n\r\n", "xy"},
	{"trailer", "1\r\nx\r\n0\r\nA: b\r\nC:d\r\n\r\n", "x | A: b | C: d"},
	{"trailer with forbidden fields", "0\r\nHost: h\r\nA: b\r\nContent-Length: 5\r\nTransfer_Encoding: x\r\nCookie: c\r\n" +
		"authorization: d\r\nX_Forwarded_For: e\r\nIas-Rs-Farm: f\r\nTrailer: g\r\nGrpc-Status: 0\r\n\r\n", " | A: b | Grpc-Status: 0"},
}

var refusedBodies = []refusedRow{
	{"no size", "\r\nhello\r\n0\r\n\r\n", "chunk-size"},
	{"sign", "+5\r\nhello\r\n0\r\n\r\n", "chunk-size"},
	{"minus", "-5\r\nhello\r\n0\r\n\r\n", "chunk-size"},
	{"prefix", "0x5\r\nhello\r\n0\r\n\r\n", "chunk-size"},
	{"underscore", "1_0\r\nhello\r\n0\r\n\r\n", "chunk-size"},
	{"blank before", " 5\r\nhello\r\n0\r\n\r\n", "chunk-size"},
	{"blank after", "5 \r\nhello\r\n0\r\n\r\n", "chunk-size"},
	{"17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n", "chunk-size"},
	{"second size", "1\r\na\r\ng\r\n", "chunk-size"},
	{"bare LF after the size", "5\nhello\r\n0\r\n\r\n", "bare-lf"},
	{"bare CR in the size line", "5\r;a\r\nhello\r\n0\r\n\r\n", "chunk-size"},
	{"extension without name", "5;\r\nhello\r\n0\r\n\r\n", "chunk-extension"},
	{"extension without value", "5;a=\r\nhello\r\n0\r\n\r\n", "chunk-extension"},
	{"extension with a blank", "5;a =b\r\nhello\r\n0\r\n\r\n", "chunk-extension"},
	{"extension with an open quote", "5;a=\"b\r\nhello\r\n0\r\n\r\n", "chunk-extension"},
	{"extension that ends in a backslash", "5;a=\"b\\\r\nhello\r\n0\r\n\r\n", "chunk-extension"},
	{"extension after a quote", "5;a=\"b\"c\r\nhello\r\n0\r\n\r\n", "chunk-extension"},
	{"extension with a control", "5;a=\"\x01\"\r\nhello\r\n0\r\n\r\n", "chunk-extension"},
	{"extension with CR", "5;a\rb\r\nhello\r\n0\r\n\r\n", "chunk-extension"},
	{"extension with LF in a quote", "5;a=\"b\n\"\r\nhello\r\n0\r\n\r\n", "bare-lf"},
	{"data too long", "5\r\nhello!\r\n0\r\n\r\n", "chunk-end"},
	{"another byte and LF after the data", "5\r\nhello!\n0\r\n\r\n", "chunk-end"},
	{"LF after the data", "5\r\nhello\n0\r\n\r\n", "chunk-end"},
	{"CR and another after the data", "5\r\nhello\r!0\r\n\r\n", "chunk-end"},
	{"trailer without colon", "0\r\nA\r\n\r\n", "no-colon"},
	{"folded trailer", "0\r\nA: b\r\n c\r\n\r\n", "line-folding"},
	{"LF for the end of the trailer", "0\r\n\n", "bare-lf"},
	{"trailer with 101 fields", "0\r\n" + strings.Repeat("A: b\r\n", 101) + "\r\n", "too-many-fields"},
}

var bodyLimits = []struct {
	name, reason string
	lim          Limits
	limit        int
	make         func(size int) string
}{
	{"extension", "chunk-line-too-long", Limits{ChunkExt: 20, Trailer: 100, Fields: 3}, 20, func(size int) string {
		return "5;" + strings.Repeat("a", size-1) + "\r\nhello\r\n0\r\n\r\n"
	}},
	{"extension without end", "chunk-line-too-long", Limits{ChunkExt: 20, Trailer: 100, Fields: 3}, 20, func(size int) string {
		if size <= 20 {
			return "0\r\n\r\n"
		}
		return "5;" + strings.Repeat("a", 100)
	}},
	{"extensions of several chunks", "chunk-line-too-long", Limits{ChunkExt: 20, Trailer: 100, Fields: 3}, 20, func(size int) string {
		return strings.Repeat("1;a\r\nx\r\n", 8) + "1;" + strings.Repeat("b", size-17) + "\r\nx\r\n0\r\n\r\n"
	}},
	{"trailer", "trailer-too-large", Limits{ChunkExt: 20, Trailer: 50, Fields: 3}, 50, func(size int) string {
		return "0\r\nA: " + strings.Repeat("b", size-len("A: \r\n\r\n")) + "\r\n\r\n"
	}},
	{"fields", "too-many-fields", Limits{ChunkExt: 20, Trailer: 50, Fields: 3}, 3, func(size int) string {
		return "0\r\n" + strings.Repeat("A: b\r\n", size) + "\r\n"
	}},
}

// decode feeds in in pieces of step bytes; 0 is all at once. The result ends at the first error or at the end.
func decode(in string, step int, lim *Limits) (got string, rest int, err error) {
	var d Chunked
	var body strings.Builder
	if step == 0 {
		step = len(in)
	}
	pending := []byte{}
	for fed := 0; ; {
		data, n, kind, err := d.Next(pending, lim)
		if err != nil {
			return body.String(), len(in) - fed + len(pending), err
		}
		body.Write(data)
		pending = pending[n:]
		switch {
		case kind == ChunkEnd:
			describeFields(&body, d.Trailer())
			return body.String(), len(in) - fed + len(pending), nil
		case kind == ChunkMore && fed == len(in):
			return body.String(), len(pending), nil
		case kind == ChunkMore:
			next := min(fed+step, len(in))
			pending = append(append([]byte{}, pending...), in[fed:next]...)
			fed = next
		}
	}
}

func TestChunkedAccepted(t *testing.T) {
	lim := DefaultLimits()
	for _, row := range acceptedBodies {
		for step := range len(row.in) {
			got, rest, err := decode(row.in+"GET /next", step, &lim)
			if got != row.want || err != nil || rest != len("GET /next") {
				t.Errorf("%s in pieces of %d: %q, %d left, %v; want %q", row.name, step, got, rest, err, row.want)
			}
		}
		for cut := range row.in {
			if _, _, err := decode(row.in[:cut], 0, &lim); err != nil {
				t.Errorf("%s: first %d bytes: %v", row.name, cut, err)
			}
		}
	}
}

func TestChunkedRefused(t *testing.T) {
	lim := DefaultLimits()
	for _, row := range refusedBodies {
		t.Run(row.name, func(t *testing.T) {
			whole, _, err := decode(row.in, 0, &lim)
			checkRefusal(t, err, row.reason)
			for step := 1; step < min(len(row.in), 50); step++ {
				if got, _, split := decode(row.in, step, &lim); got != whole || split != err {
					t.Errorf("in pieces of %d: %q, %v; whole: %q, %v", step, got, split, whole, err)
				}
			}
		})
	}
}

func TestChunkedLimits(t *testing.T) {
	for _, row := range bodyLimits {
		for _, size := range []int{row.limit - 1, row.limit} {
			if _, rest, err := decode(row.make(size), 0, &row.lim); rest != 0 || err != nil {
				t.Errorf("%s, size %d: %d left, %v", row.name, size, rest, err)
			}
		}
		_, _, err := decode(row.make(row.limit+1), 0, &row.lim)
		checkRefusal(t, err, row.reason)
	}
}

// TestHugeChunk checks that a size is only a promise: nothing overflows and nothing is held for it.
func TestHugeChunk(t *testing.T) {
	lim := DefaultLimits()
	got, rest, err := decode("ffffffffffffffff\r\nabc", 0, &lim)
	if got != "abc" || rest != 0 || err != nil {
		t.Errorf("%q, %d, %v", got, rest, err)
	}
}

func TestChunkedRoundTrip(t *testing.T) {
	lim := DefaultLimits()
	var in []byte
	want := ""
	for size := 1; size < 300; size += 7 {
		data := strings.Repeat("x", size)
		in = AppendChunkHeader(in, size)
		in = append(in, data+"\r\n"...)
		want += data
	}
	in = AppendTrailer(in, []Field{{Name: []byte("A"), Value: []byte("b")}, {Name: []byte("C"), Value: nil}})
	got, rest, err := decode(string(in), 0, &lim)
	if got != want+" | A: b | C:" || rest != 0 || err != nil {
		t.Errorf("%q, %d, %v", got, rest, err)
	}
}

func TestChunkedReset(t *testing.T) {
	lim := DefaultLimits()
	var d Chunked
	in := []byte("1;a\r\nx\r\n0\r\nA: b\r\nHost: c\r\n\r\n")
	round := func() {
		d.Reset()
		for pos := 0; ; {
			_, n, kind, err := d.Next(in[pos:], &lim)
			pos += n
			if err != nil || kind == ChunkMore {
				panic(fmt.Sprint(kind, err))
			}
			if kind == ChunkEnd {
				break
			}
		}
	}
	round()
	if len(d.Trailer()) != 1 {
		t.Errorf("%d fields", len(d.Trailer()))
	}
	if _, n, kind, err := d.Next([]byte("GET"), &lim); n != 0 || kind != ChunkEnd || err != nil {
		t.Errorf("after the end: %d, %v, %v", n, kind, err)
	}
	if allocs := testing.AllocsPerRun(100, round); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestChunkedUnread takes at most one or two bytes of what Next delivers, and gives the rest back.
func TestChunkedUnread(t *testing.T) {
	lim := DefaultLimits()
	in := []byte("5\r\nabcde\r\n3\r\nfgh\r\n0\r\n\r\n")
	for take := 1; take <= 2; take++ {
		var d Chunked
		var body strings.Builder
		for pos := 0; ; {
			data, n, kind, err := d.Next(in[pos:], &lim)
			if err != nil || kind == ChunkMore {
				t.Fatal(kind, err)
			}
			more := max(len(data)-take, 0)
			d.Unread(more)
			body.Write(data[:len(data)-more])
			if pos += n - more; kind == ChunkEnd {
				break
			}
		}
		if body.String() != "abcdefgh" {
			t.Errorf("%d at a time: %q", take, body.String())
		}
	}
}

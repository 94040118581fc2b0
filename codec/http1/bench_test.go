package http1

import (
	"fmt"
	"strings"
	"testing"
)

var typicalFields = []string{
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
	"Accept-Language: en-US,en;q=0.5",
	"Accept-Encoding: gzip, deflate, br",
	"Referer: https://example.com/start",
	"Connection: keep-alive",
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
	"If-None-Match: \"5f3e-1a2b3c4d\"",
	"Sec-Fetch-Dest: document",
	"Sec-Fetch-Mode: navigate",
}

// requestOf returns a request with the given number of fields.
func requestOf(fields int) string {
	var b strings.Builder
	b.WriteString("GET /farm/app/index.html?id=42 HTTP/1.1\r\nHost: relay.example.com\r\n")
	for i := range fields - 1 {
		line := typicalFields[i%len(typicalFields)]
		if i >= len(typicalFields) {
			line = "X-" + line // no second Connection or Cookie
		}
		b.WriteString(line + "\r\n")
	}
	return b.String() + "\r\n"
}

func responseOf(fields int) string {
	var b strings.Builder
	b.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n")
	for i := range fields - 1 {
		fmt.Fprintf(&b, "X-Field-%d: some value of usual length %d\r\n", i, i)
	}
	return b.String() + "\r\n"
}

func BenchmarkParseRequest(b *testing.B) {
	lim := DefaultLimits()
	for _, fields := range []int{3, 8, 20} {
		b.Run(fmt.Sprintf("fields=%d", fields), func(b *testing.B) {
			in := []byte(requestOf(fields))
			var r Request
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if n, err := r.Parse(in, &lim); n != len(in) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkParseResponse(b *testing.B) {
	lim := DefaultLimits()
	in := []byte(responseOf(8))
	var r Response
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := r.Parse(in, &lim, false); n != len(in) || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	lim := DefaultLimits()
	in := []byte(requestOf(8))
	var r Request
	if _, err := r.Parse(in, &lim); err != nil {
		b.Fatal(err)
	}
	f := &Forward{Path: r.Path[5:], RemoteIP: []byte("192.0.2.1"), Proto: "https", Via: "1.1 roundhouse"}
	dst := make([]byte, 0, 4096)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendRequest(dst[:0], &r, f)
	}
}

func BenchmarkAppendResponse(b *testing.B) {
	lim := DefaultLimits()
	in := []byte(responseOf(8))
	var r Response
	if _, err := r.Parse(in, &lim, false); err != nil {
		b.Fatal(err)
	}
	a := &Answer{Minor: 1, Via: "1.1 roundhouse"}
	dst := make([]byte, 0, 4096)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendResponse(dst[:0], &r, a)
	}
}

// BenchmarkChunked decodes 64 KiB in chunks of 4 KiB.
func BenchmarkChunked(b *testing.B) {
	lim := DefaultLimits()
	var in []byte
	for range 16 {
		in = AppendChunkHeader(in, 4096)
		in = append(in, strings.Repeat("x", 4096)+"\r\n"...)
	}
	in = AppendTrailer(in, nil)
	var d Chunked
	b.SetBytes(64 << 10)
	b.ReportAllocs()
	for b.Loop() {
		d.Reset()
		for pos := 0; ; {
			_, n, kind, err := d.Next(in[pos:], &lim)
			if err != nil {
				b.Fatal(err)
			}
			pos += n
			if kind == ChunkEnd {
				break
			}
		}
	}
}

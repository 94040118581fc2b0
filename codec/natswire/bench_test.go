package natswire

import (
	"bytes"
	"fmt"
	"testing"
)

var limits = Limits{Line: DefaultLine, Payload: DefaultPayload}

func BenchmarkParseClient(b *testing.B) {
	for _, size := range []int{16, 128, 1024} {
		for _, reply := range []string{"", "_INBOX.fMqtnBmGHlQ2ZLCtUGMSCB.Ye4pVq1z"} {
			in := AppendPub(nil, []byte("bench.subject"), []byte(reply), make([]byte, size))
			b.Run(fmt.Sprintf("pub/size=%d/reply=%v", size, reply != ""), func(b *testing.B) { benchmarkParse(b, in, ParseClient) })
		}
	}
	for _, in := range []string{"SUB _INBOX.fMqtnBmGHlQ2ZLCtUGMSCB.* 12\r\n", "UNSUB 12\r\n", "PING\r\n", "HPUB bench.subject 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"} {
		name, _, _ := bytes.Cut([]byte(in), []byte(" "))
		b.Run(string(bytes.TrimSpace(name)), func(b *testing.B) { benchmarkParse(b, []byte(in), ParseClient) })
	}
}

func BenchmarkParseServer(b *testing.B) {
	for _, size := range []int{16, 128, 1024} {
		in := AppendMsg(nil, []byte("bench.subject"), []byte("12"), nil, make([]byte, size))
		b.Run(fmt.Sprintf("msg/size=%d", size), func(b *testing.B) { benchmarkParse(b, in, ParseServer) })
	}
	in := AppendMsg(nil, []byte("bench.subject"), []byte("12"), []byte("_INBOX.fMqtnBmGHlQ2ZLCtUGMSCB.Ye4pVq1z"), make([]byte, 128))
	b.Run("msg/size=128/reply", func(b *testing.B) { benchmarkParse(b, in, ParseServer) })
}

// benchmarkParse parses a full input buffer of copies of one command.
func benchmarkParse(b *testing.B, one []byte, parse func([]byte, *Command, *Limits) (int, error)) {
	const commands = 256
	in := bytes.Repeat(one, commands)
	b.SetBytes(int64(len(one)))
	b.ReportAllocs()
	var c Command
	at := 0
	for b.Loop() {
		n, err := parse(in[at:], &c, &limits)
		if n != len(one) || err != nil {
			b.Fatal(n, err)
		}
		if at += n; at == len(in) {
			at = 0
		}
	}
}

func BenchmarkAppendMsg(b *testing.B) {
	subject, sid := []byte("bench.subject"), []byte("12")
	for _, size := range []int{16, 128, 1024} {
		payload := make([]byte, size)
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			dst := make([]byte, 0, 64<<10)
			for b.Loop() {
				if dst = AppendMsg(dst, subject, sid, nil, payload); len(dst) > 60<<10 {
					dst = dst[:0]
				}
			}
		})
	}
}

func BenchmarkValidSubject(b *testing.B) {
	subject := []byte("_INBOX.fMqtnBmGHlQ2ZLCtUGMSCB.*")
	b.ReportAllocs()
	for b.Loop() {
		ValidSubject(subject)
	}
}

package loop

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
)

// EndOutput sends what was written, tells the peer that this was all, and goes on reading what the peer says after that.
func TestEndOutput(t *testing.T) {
	const size, reply = 2 << 20, 1 << 20
	for name, version := range map[string]uint16{"plain": 0, "TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ln.Close() })
			o := DialOptions{Network: "tcp", Addr: ln.Addr().String()}
			if version != 0 {
				ln, o.TLS = tls.NewListener(ln, serverTLS()), clientTLS(version)
			}
			got := make(chan int64, 1)
			go func() { // ends with its connection
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				defer nc.Close()
				n, err := io.Copy(io.Discard, nc)
				if err != nil {
					t.Error(err)
				}
				got <- n
				_, _ = nc.Write(patternAt(0, reply))
			}()
			g := newGroup(t, 1)
			s := &patternSession{t: t, want: reply, done: make(chan int)}
			c := dialledWith(t, g.Loops()[0], o, s)
			onLoop(g.Loops()[0], func() {
				c.Write(patternAt(0, size))
				c.EndOutput()
				c.Write([]byte("too late"))
				c.Writev([]byte("too late"))
				c.SetBuffer(append(c.Buffer(), "too late"...))
				c.EndOutput()
			})
			if n := receive(t, "the output", got); n != size {
				t.Errorf("%d bytes came, want %d", n, size)
			}
			receive(t, "the reply", s.done)
			onLoop(g.Loops()[0], c.Close)
		})
	}
}

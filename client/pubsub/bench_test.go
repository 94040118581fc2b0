package pubsub

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"roundhouse/codec/message"
)

// unlinked is a Conn without a server and without goroutines; what is published piles up.
func unlinked() *Conn {
	c := newConn(Options{ReconnectBuffer: 1 << 40})
	c.out.prefix = "/"
	c.life, c.cancel = context.WithCancelCause(context.Background())
	return c
}

// empty throws away what has piled up.
func (c *Conn) empty() {
	c.mu.Lock()
	c.out.pending = c.out.pending[:0]
	c.mu.Unlock()
}

func TestAllocates(t *testing.T) {
	ctx := context.Background()
	c := unlinked()
	data := make([]byte, 128)
	m := &Msg{Subject: "/bench/b", Reply: "/r", Data: data}
	publish := testing.AllocsPerRun(1000, func() {
		c.empty()
		must(t, c.Publish(ctx, "/bench/a", data))
		must(t, c.PublishMsg(ctx, m))
	})
	if publish != 0 {
		t.Errorf("publishing allocates %v times", publish)
	}
	n := 0
	_, err := c.Subscribe(ctx, "/bench/*", func(*Msg) { n++ }, Inline())
	must(t, err)
	in := message.Append(nil, &message.Message{Type: message.TypeJMSBytes, Dest: []byte("/bench/a"), Fields: message.AppendBinary(nil, data)})
	if got := testing.AllocsPerRun(1000, func() { must(t, (&link{conn: c}).handle(in)) }); got > 0.2 {
		t.Errorf("a message that comes allocates %v times", got)
	}
	if n == 0 {
		t.Error("nothing came")
	}
}

func BenchmarkPublishEncode(b *testing.B) {
	ctx := context.Background()
	for _, size := range []int{16, 128, 1024} {
		b.Run(fmt.Sprint("size=", size), func(b *testing.B) {
			c, data := unlinked(), make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%64 == 0 {
					c.empty()
				}
				_ = c.Publish(ctx, "/bench/subject", data)
			}
		})
	}
	b.Run("two subjects", func(b *testing.B) {
		c, data := unlinked(), make([]byte, 128)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i%64 == 0 {
				c.empty()
			}
			_ = c.Publish(ctx, [2]string{"/bench/subject", "/bench/other"}[i&1], data)
		}
	})
}

// BenchmarkDispatch has what is done for a message that comes, up to its callback.
func BenchmarkDispatch(b *testing.B) {
	ctx := context.Background()
	for _, row := range []struct {
		name    string
		options []SubscribeOption
		names   int
	}{
		{"inline", []SubscribeOption{Inline()}, 1},
		{"inline/names=1000", []SubscribeOption{Inline()}, 1000},
		{"queue", nil, 1},
	} {
		b.Run(row.name, func(b *testing.B) {
			c := unlinked()
			s, err := c.Subscribe(ctx, "/bench/*", func(*Msg) {}, append(row.options, Queue(1<<30, 1<<50))...)
			must(b, err)
			var in [][]byte
			for i := range row.names {
				in = append(in, message.Append(nil, &message.Message{
					Type: message.TypeJMSBytes, Dest: fmt.Append(nil, "/bench/", i), Fields: message.AppendBinary(nil, make([]byte, 128)),
				}))
			}
			b.SetBytes(128)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := (&link{conn: c}).handle(in[i%len(in)]); err != nil {
					b.Fatal(err)
				}
			}
			c.in.flush()
			must(b, s.queue.drain(ctx))
		})
	}
}

// BenchmarkWire publishes to a server that throws everything away, and has one that sends as fast as it can.
func BenchmarkWire(b *testing.B) {
	data := make([]byte, 128)
	one := message.AppendFrame(nil, &message.Message{Type: message.TypeJMSBytes, Dest: []byte("/bench/a"), Fields: message.AppendBinary(nil, data)})
	var many []byte
	for range 500 {
		many = append(many, one...)
	}
	b.Run("publish", func(b *testing.B) {
		ctx := context.Background()
		c := connectWire(b, func(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) })
		b.SetBytes(int64(len(one)))
		b.ReportAllocs()
		for b.Loop() {
			if err := c.Publish(ctx, "/bench/a", data); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, options := range map[string][]SubscribeOption{"receive/inline": {Inline()}, "receive/queue": nil} {
		b.Run(name, func(b *testing.B) {
			begin := make(chan bool)
			c := connectWire(b, func(nc net.Conn) {
				<-begin
				for {
					if _, err := nc.Write(many); err != nil {
						return
					}
				}
			})
			n := 0
			done := make(chan bool)
			_, err := c.Subscribe(context.Background(), "/bench/a", func(*Msg) {
				if n++; n == b.N {
					close(done)
				}
			}, append(options, Queue(1<<30, 1<<50))...)
			must(b, err)
			b.SetBytes(int64(len(one)))
			b.ReportAllocs()
			close(begin)
			<-done
		})
	}
}

// connectWire connects to a server that says welcome and then does f.
func connectWire(b *testing.B, f func(net.Conn)) *Conn {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	ended := make(chan bool)
	go func() { // ends with the connection
		defer close(ended)
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		w := message.Welcome{Prefix: "/", Unique: "/_bench"}
		_, _ = nc.Write(message.EndFrame(message.AppendWelcome(message.BeginFrame(nil), &w), 0))
		f(nc)
	}()
	c, err := Connect(context.Background(), Options{Servers: []string{l.Addr().String()}, Subject: "_bench", NoReconnect: true})
	must(b, err)
	b.Cleanup(func() {
		c.mu.Lock()
		link := c.out.link
		c.mu.Unlock()
		if link != nil {
			link.fail(ErrClosed)
		}
		_ = c.Close()
		_ = l.Close()
		<-ended
	})
	b.ResetTimer()
	return c
}

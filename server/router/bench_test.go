package router

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"roundhouse/codec/message"
	"roundhouse/server/access"
	"roundhouse/server/config"
	"roundhouse/server/loop"
)

// benchDoor opens a door for both protocols on loopback.
func benchDoor(tb testing.TB, loops int, change ...func(*config.Config)) *Door {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	g, err := loop.New(loop.Options{Loops: loops, Logger: log})
	if err != nil {
		tb.Fatal(err)
	}
	cfg := config.Default()
	cfg.Router.Listen = []string{"tcp:127.0.0.1:0"}
	cfg.Router.NATS.Listen = []string{"127.0.0.1:0"}
	for _, f := range change {
		f(cfg)
	}
	guard, err := access.New(access.Rules{}, log)
	if err != nil {
		tb.Fatal(err)
	}
	d, err := New(cfg, g, guard, log)
	if err == nil {
		err = d.Start()
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := g.Stop(tb.Context()); err != nil && tb.Context().Err() == nil {
			tb.Error(err)
		}
		if err := d.Close(); err != nil {
			tb.Error(err)
		}
		guard.Close()
	})
	return d
}

// benchConn is a connection that has said hello in its protocol.
func benchConn(tb testing.TB, d *Door, nats bool) net.Conn {
	tb.Helper()
	addrs := d.Addrs()
	hello := message.BeginFrame(nil)
	hello = message.EndFrame(message.AppendHello(hello, &message.Hello{Version: message.ProtocolVersion}), 0)
	if nats {
		addrs = d.NATSAddrs()
		hello = []byte("CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n")
	}
	nc, err := net.Dial("tcp", addrs[0].String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { nc.Close() })
	if _, err := nc.Write(hello); err != nil {
		tb.Fatal(err)
	}
	if nats {
		lines := bufio.NewReader(nc)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				tb.Fatal(err)
			}
			if line == "PONG\r\n" {
				return nc
			}
		}
	}
	readFrame(tb, nc)
	return nc
}

func readFrame(tb testing.TB, nc net.Conn) {
	tb.Helper()
	head := make([]byte, frameHeader)
	if _, err := io.ReadFull(nc, head); err != nil {
		tb.Fatal(err)
	}
	var size int
	if _, err := fmt.Sscanf(string(head), "%d", &size); err != nil {
		tb.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, nc, int64(size)); err != nil {
		tb.Fatal(err)
	}
}

// route is a way of messages through the door.
type route struct {
	name                   string
	loops                  int
	natsPublisher, natsSub bool
}

var routes = []route{
	{"nats to nats, one loop", 1, true, true},
	{"nats to nats, two loops", 2, true, true}, // connections go to the loops in turn: the subscriber to one, the publisher to the other
	{"client to client", 1, false, false},
	{"nats to client", 1, true, false},
	{"client to nats", 1, false, true},
}

// run sends count messages of 128 bytes and waits until the subscriber has them.
func (r route) run(tb testing.TB, d *Door, count int, begin func()) {
	const name, size, window = "bench.subject", 128, 4096
	sub, pub := benchConn(tb, d, r.natsSub), benchConn(tb, d, r.natsPublisher)
	subscribe := []byte("SUB " + name + " 1\r\nPING\r\n")
	if !r.natsSub {
		b := message.AppendSetSubscribe(message.BeginFrame(nil), &message.SetSubscribe{Subject: []byte("/bench/subject"), Start: true, Balance: true})
		b = message.EndFrame(b, 0)
		start := len(b)
		b = message.Append(message.BeginFrame(b), &message.Message{Type: message.TypeKeepAliveCall})
		subscribe = message.EndFrame(b, start)
	}
	if _, err := sub.Write(subscribe); err != nil {
		tb.Fatal(err)
	}
	if r.natsSub {
		if _, err := io.CopyN(io.Discard, sub, int64(len("PONG\r\n"))); err != nil {
			tb.Fatal(err)
		}
	} else {
		readFrame(tb, sub)
	}
	payload := bytes.Repeat([]byte("x"), size)
	one := fmt.Appendf(nil, "PUB %s %d\r\n%s\r\n", name, size, payload)
	if !r.natsPublisher {
		one = message.AppendFrame(nil, &message.Message{
			Type: message.TypeJMSBytes, Dest: []byte("/bench/subject"), Fields: message.AppendFromNATS(nil, nil, payload),
		})
	}
	each := len(fmt.Sprintf("MSG %s 1 %d\r\n", name, size)) + size + 2
	if !r.natsSub {
		each = len(message.AppendFrame(nil, &message.Message{
			Type: message.TypeJMSBytes, Dest: []byte("/bench/subject"), Fields: message.AppendFromNATS(nil, nil, payload),
		}))
	}
	var got atomic.Int64 // bytes
	done := make(chan error, 1)
	go func() { // ends with the last message, or the connection
		buf := make([]byte, 256<<10)
		for got.Load() < int64(count*each) {
			n, err := sub.Read(buf)
			got.Add(int64(n))
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	const batch = 64
	many := bytes.Repeat(one, batch)
	begin()
	for sent := 0; sent < count; {
		for int64(sent)-got.Load()/int64(each) > window {
			runtime.Gosched()
		}
		n := min(batch, count-sent)
		if _, err := pub.Write(many[:n*len(one)]); err != nil {
			tb.Fatal(err)
		}
		sent += n
	}
	select {
	case err := <-done:
		if err != nil {
			tb.Fatal(err)
		}
		sub.Close()
		pub.Close()
	case <-time.After(time.Minute):
		tb.Fatalf("%d of %d bytes came", got.Load(), count*each)
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, r := range routes {
		b.Run(r.name, func(b *testing.B) {
			d := benchDoor(b, r.loops)
			b.SetBytes(128)
			b.ReportAllocs()
			r.run(b, d, b.N, b.ResetTimer)
		})
	}
}

// TestPublishAllocatesNothing counts what the whole process allocates while messages go through: nothing for a message; for a turn, which
// brings hundreds of them, gnet's queue makes two small things, and now and then a buffer grows.
func TestPublishAllocatesNothing(t *testing.T) {
	if racing {
		t.Skip("the race detector allocates")
	}
	const count = 200_000
	for _, r := range routes {
		t.Run(r.name, func(t *testing.T) {
			d := benchDoor(t, r.loops)
			r.run(t, d, 10_000, func() {}) // pools fill
			var before, after runtime.MemStats
			r.run(t, d, count, func() { runtime.ReadMemStats(&before) })
			runtime.ReadMemStats(&after)
			if n := after.Mallocs - before.Mallocs; n > count/20 {
				t.Errorf("%d allocations for %d messages", n, count)
			}
		})
	}
}

package main

import (
	"net"
	"sync"
	"testing"

	"roundhouse/codec/natswire"
)

// broker is as much of a NATS server as the clients here need. A fault may be put in.
type broker struct {
	t        *testing.T
	address  string
	listener net.Listener
	group    sync.WaitGroup
	// Guarded by mu.
	mu    sync.Mutex
	conns []net.Conn
	subs  map[string][]net.Conn // by subject
	lose  int                   // the number of the delivery that is not made; 0: none
	count int                   // of deliveries
}

func startBroker(t *testing.T, address string) *broker {
	t.Helper()
	b := &broker{t: t, subs: make(map[string][]net.Conn)}
	b.listen(address)
	b.address = b.listener.Addr().String()
	t.Cleanup(b.stop)
	return b
}

func (b *broker) listen(address string) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.listener = ln
	b.group.Go(func() { // ends with the listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.conns = append(b.conns, c)
			b.mu.Unlock()
			b.group.Go(func() { b.serve(c) }) // ends with the connection
		}
	})
}

// stop ends the broker as a kill does, and waits for all that it had begun.
func (b *broker) stop() {
	b.listener.Close()
	b.mu.Lock()
	for _, c := range b.conns {
		c.Close()
	}
	b.conns = nil
	clear(b.subs)
	b.mu.Unlock()
	b.group.Wait()
}

func (b *broker) serve(c net.Conn) {
	b.write(c, []byte("INFO {}\r\nPING\r\n"))
	buf, have := make([]byte, 64<<10), 0
	for {
		n, err := c.Read(buf[have:])
		if err != nil {
			return
		}
		have += n
		at := 0
		for {
			var cmd natswire.Command
			n, err := natswire.ParseClient(buf[at:have], &cmd, &natswire.Limits{Line: natswire.DefaultLine, Payload: natswire.DefaultPayload})
			if err != nil {
				b.t.Errorf("%.80q: %v", buf[at:have], err)
				return
			}
			if n == 0 {
				break
			}
			at += n
			b.handle(c, &cmd)
		}
		have = copy(buf, buf[at:have])
	}
}

func (b *broker) handle(c net.Conn, cmd *natswire.Command) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch cmd.Op {
	case natswire.OpPing:
		b.write(c, []byte(natswire.Pong))
	case natswire.OpSub:
		b.subs[string(cmd.Subject)] = append(b.subs[string(cmd.Subject)], c)
	case natswire.OpPub:
		for _, to := range b.subs[string(cmd.Subject)] {
			if b.count++; b.count != b.lose {
				b.write(to, natswire.AppendMsg(nil, cmd.Subject, []byte("1"), nil, cmd.Payload))
			}
		}
	}
}

// cutFirst says why, and ends the connection of who subscribed first to a subject.
func (b *broker) cutFirst(subject, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.subs[subject][0]
	b.subs[subject] = b.subs[subject][1:]
	b.write(c, natswire.AppendErr(nil, why))
	c.Close()
}

func (b *broker) write(c net.Conn, out []byte) {
	_, _ = c.Write(out) // whoever has gone notices
}

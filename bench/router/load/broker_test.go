package load

import (
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"roundhouse/codec/natswire"
)

// broker is a server with as much of the NATS protocol as the generator needs, and with faults.
type broker struct {
	t        *testing.T
	listener net.Listener
	group    sync.WaitGroup
	// Guarded by mu.
	mu        sync.Mutex
	peers     []*peer
	literal   map[string][]target
	wild      []target
	delivered int
	copies    func(delivery int) int // how often a delivery is made; nil: once
}

// peer is a client of the broker.
type peer struct {
	nc  net.Conn
	out []byte
}

// target is a subscription.
type target struct {
	peer         *peer
	pattern, sid string
}

func startBroker(t *testing.T, copies func(int) int) *broker {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{t: t, listener: ln, literal: make(map[string][]target), copies: copies}
	b.group.Go(b.accept)
	t.Cleanup(b.close)
	return b
}

func (b *broker) address() string { return b.listener.Addr().String() }

// close ends all connections and waits for what served them.
func (b *broker) close() {
	_ = b.listener.Close() // it may be closed already
	b.cut()
	b.group.Wait()
}

// cut closes all connections.
func (b *broker) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.peers {
		_ = p.nc.Close() // the client may have closed it
	}
}

func (b *broker) accept() {
	for {
		nc, err := b.listener.Accept()
		if err != nil {
			return
		}
		p := &peer{nc: nc}
		b.mu.Lock()
		b.peers = append(b.peers, p)
		b.mu.Unlock()
		b.group.Go(func() { b.serve(p) })
	}
}

func (b *broker) serve(p *peer) {
	lim := natswire.Limits{Line: natswire.DefaultLine, Payload: natswire.DefaultPayload}
	b.write(p, []byte("INFO {}\r\n"+natswire.Ping))
	buf, have := make([]byte, 1<<20), 0
	for {
		n, err := p.nc.Read(buf[have:])
		if err != nil {
			return
		}
		have += n
		at := 0
		for {
			var c natswire.Command
			n, err := natswire.ParseClient(buf[at:have], &c, &lim)
			if err != nil {
				b.t.Errorf("the generator wrote %.80q: %v", buf[at:have], err)
				return
			}
			if n == 0 {
				break
			}
			at += n
			b.handle(p, &c)
		}
		have = copy(buf, buf[at:have])
		b.flush()
	}
}

func (b *broker) handle(p *peer, c *natswire.Command) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch c.Op {
	case natswire.OpPing:
		p.out = append(p.out, natswire.Pong...)
	case natswire.OpSub:
		to := target{p, string(c.Subject), string(c.SID)}
		if strings.ContainsAny(to.pattern, "*>") {
			b.wild = append(b.wild, to)
		} else {
			b.literal[to.pattern] = append(b.literal[to.pattern], to)
		}
	case natswire.OpPub:
		for _, to := range b.literal[string(c.Subject)] {
			b.deliver(to, c)
		}
		for _, to := range b.wild {
			if matches(to.pattern, string(c.Subject)) {
				b.deliver(to, c)
			}
		}
	}
}

// deliver is called with mu held.
func (b *broker) deliver(to target, c *natswire.Command) {
	copies := 1
	if b.delivered++; b.copies != nil {
		copies = b.copies(b.delivered)
	}
	for range copies {
		to.peer.out = natswire.AppendMsg(to.peer.out, c.Subject, []byte(to.sid), c.Reply, c.Payload)
	}
}

// flush writes what all peers are to get.
func (b *broker) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.peers {
		if len(p.out) > 0 {
			b.write(p, p.out)
			p.out = p.out[:0]
		}
	}
}

func (b *broker) write(p *peer, out []byte) {
	if _, err := p.nc.Write(out); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "broken pipe") {
		b.t.Error(err)
	}
}

// matches compares token by token.
func matches(pattern, subject string) bool {
	ps, ss := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, p := range ps {
		switch {
		case i == len(ss):
			return false
		case p == ">":
			return true
		case p != "*" && p != ss[i]:
			return false
		}
	}
	return len(ps) == len(ss)
}

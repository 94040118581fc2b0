package loop

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// What is said before the handshake comes in clear, and the connection's id in it is that of the session.
func TestPreface(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		g := newGroup(t, 2)
		ids := make(chan uint64, 6)
		addr := listen(t, g, AcceptOptions{
			TLS:     serverTLS(),
			Preface: func(remote net.Addr, id uint64) []byte { return fmt.Appendf(nil, "INFO %v %6d\r\n", remote, id) },
			Open:    func(c *Conn) Session { ids <- c.ID(); return &funcSession{data: echo} },
		})
		told := map[uint64]bool{}
		var clients sync.WaitGroup
		for range 6 {
			tcp := dial(t, addr)
			want := fmt.Sprintf("INFO %v ", tcp.LocalAddr())
			line := make([]byte, len(want)+len("123456\r\n"))
			if _, err := io.ReadFull(tcp, line); err != nil || string(line[:len(want)]) != want {
				t.Fatalf("%q, %v", line, err)
			}
			var id uint64
			if _, err := fmt.Sscan(string(line[len(want):]), &id); err != nil {
				t.Fatal(err)
			}
			told[id] = true
			clients.Go(func() { echoOverTLS(t, tls.Client(tcp, clientTLS(version))) })
		}
		clients.Wait()
		for range 6 {
			if id := receive(t, "an id", ids); !told[id] {
				t.Errorf("the connection %d is not among those that were told, %v", id, told)
			}
		}
	}
}

// Who never begins the handshake is cut in time, whether he reads what is said before it or not.
func TestPrefaceTimeLimit(t *testing.T) {
	for _, size := range []int{100, 64 << 20} { // the latter fits into no socket
		g := newGroup(t, 1)
		g.handshakeTime = 50 * time.Millisecond
		called := make(chan struct{}, 1)
		addr := listen(t, g, AcceptOptions{
			TLS: serverTLS(), Open: func(*Conn) Session { t.Error("opened"); return nil },
			Preface: func(net.Addr, uint64) []byte { called <- struct{}{}; return make([]byte, size) },
		})
		nc := dial(t, addr)
		receive(t, "the call", called)
		waitFor(t, "the connection to be forgotten", func() bool { return g.Stats().Open == 0 })
		if got, err := io.ReadAll(nc); size == 100 && (err != nil || len(got) != size) || size > 100 && len(got) >= size {
			t.Errorf("%d bytes of %d, %v", len(got), size, err)
		}
	}
}

// Stop does not wait for a peer that reads nothing of it.
func TestStopDuringPreface(t *testing.T) {
	g := newGroup(t, 1)
	called := make(chan struct{}, 1)
	addr := listen(t, g, AcceptOptions{
		TLS: serverTLS(), Open: func(*Conn) Session { t.Error("opened"); return nil },
		Preface: func(net.Addr, uint64) []byte { called <- struct{}{}; return make([]byte, 64<<20) },
	})
	dial(t, addr)
	receive(t, "the call", called)
	start := time.Now()
	if err := g.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d >= handshakeTime {
		t.Errorf("waited %v", d)
	}
}

// A preface belongs to TLS: a plain session speaks first itself. One that panics costs its connection.
func TestPrefaceElsewhere(t *testing.T) {
	g := newGroup(t, 1)
	plain := listen(t, g, AcceptOptions{
		Preface: func(net.Addr, uint64) []byte { t.Error("called"); return nil },
		Open:    func(*Conn) Session { return &funcSession{data: echo} },
	})
	if got := ask(dial(t, plain), "hello"); got != "hello" {
		t.Errorf("%q", got)
	}
	panics := listen(t, g, AcceptOptions{
		TLS: serverTLS(), Open: func(*Conn) Session { t.Error("opened"); return nil },
		Preface: func(net.Addr, uint64) []byte { panic("preface") },
	})
	if got, err := io.ReadAll(dial(t, panics)); len(got) > 0 || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	waitFor(t, "the panic to be counted", func() bool { return g.Stats().Panics == 1 })
}

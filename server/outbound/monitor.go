package outbound

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"
)

// monitor looks after the back end: it connects to it every now and then, and at once when a request could not.
type monitor struct {
	e    *Enabler
	up   atomic.Bool
	poke chan struct{}          // capacity 1: look now
	last atomic.Pointer[string] // why it is as it is
}

func newMonitor(e *Enabler) *monitor {
	m := &monitor{e: e, poke: make(chan struct{}, 1)}
	m.up.Store(true) // until it is seen to be down
	m.last.Store(new(string))
	return m
}

// run ends with ctx.
func (m *monitor) run(ctx context.Context) {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.poke:
		case <-t.C:
		}
		if m.e.trust != nil && m.e.trust.refresh() {
			m.e.setBackend()
		}
		err := m.look(ctx)
		if ctx.Err() != nil {
			return
		}
		m.set(err)
		t.Reset(m.e.cfg.Retry)
	}
}

// look connects and hangs up.
func (m *monitor) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	b := m.e.backend.Load()
	var nc net.Conn
	var err error
	if b.TLS != nil {
		nc, err = (&tls.Dialer{Config: b.TLS}).DialContext(ctx, b.Network, b.Addr)
	} else {
		nc, err = (&net.Dialer{}).DialContext(ctx, b.Network, b.Addr)
	}
	if err != nil {
		return err
	}
	return nc.Close()
}

// suspect asks for a look at once. It may be called on a loop.
func (m *monitor) suspect() {
	select {
	case m.poke <- struct{}{}:
	default:
	}
}

// state is what the relays are to know. Any goroutine.
func (m *monitor) state() (up bool, reason string) { return m.up.Load(), *m.last.Load() }

// set tells the relays when the state has changed.
func (m *monitor) set(err error) {
	up, text := err == nil, "connected"
	if !up {
		text = err.Error()
	}
	m.last.Store(&text)
	if m.up.Swap(up) == up {
		return
	}
	if !up {
		m.e.log.Error("back end is down", "addr", m.e.backend.Load().Addr, "error", err)
	} else {
		m.e.log.Info("back end is up", "addr", m.e.backend.Load().Addr)
	}
	for _, s := range m.e.shards {
		s.loop.Post(func() {
			for k := range s.links {
				k.tell(up, text)
			}
		})
	}
}

package outbound

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"roundhouse/codec/proxyheader"
)

// monitor looks after the back end: it fetches status_url, or just connects, every now and then, and at once when a request could
// not connect.
type monitor struct {
	e    *Enabler
	up   atomic.Bool
	poke chan struct{}          // capacity 1: look now
	last atomic.Pointer[string] // why it is as it is

	// Of the goroutine of run.
	looked bool // at least once
	doubt  bool // the last look has found another state than up says
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
		began := time.Now()
		err := m.look(ctx)
		if ctx.Err() != nil {
			return
		}
		m.judge(err)
		wait := m.e.cfg.Retry
		if m.doubt {
			wait /= 2 // so that the state is right within twice -d
		}
		t.Reset(time.Until(began.Add(wait)))
	}
}

// judge takes what a look has found. A connection says enough by itself; what status_url says has to be said twice to change the
// state, except at first.
func (m *monitor) judge(err error) {
	if m.e.cfg.Backend.StatusURL != "" && m.looked && !m.doubt && (err == nil) != m.up.Load() {
		m.doubt = true
		return
	}
	m.looked, m.doubt = true, false
	m.set(err)
}

// lookTime is how long a look may take.
const lookTime = 5 * time.Second

// look connects, asks for status_url if there is one, and hangs up.
func (m *monitor) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	o := m.e.backend.Load()
	nc, err := (&net.Dialer{}).DialContext(ctx, o.Network, o.Addr)
	if err != nil {
		return err
	}
	defer nc.Close() // what is wrong has been seen before
	defer limit(ctx, nc)()
	if err := greet(nc, m.e.cfg.Backend.ProxyProtocol); err != nil {
		return err
	}
	if o.TLS != nil {
		c := tls.Client(nc, o.TLS)
		if err := c.HandshakeContext(ctx); err != nil {
			return err
		}
		nc = c
	}
	if m.e.cfg.Backend.StatusURL == "" {
		return alertOf(nc)
	}
	if err := m.ask(nc); err != nil {
		return fmt.Errorf("status_url: %w", err)
	}
	return nil
}

// alertTime is how long a back end may take to say that it does not accept our certificate, or that there is none.
const alertTime = 200 * time.Millisecond

// alertOf is what the other side has against us; nil: nothing. With TLS 1.3 the handshake has ended for us when it says so.
func alertOf(nc net.Conn) error {
	if _, ok := nc.(*tls.Conn); !ok {
		return nil
	}
	_ = nc.SetReadDeadline(time.Now().Add(alertTime)) // fails on a closed one only
	_, err := nc.Read(make([]byte, 1))
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "remote error" { // an alert, as crypto/tls calls it
		return fmt.Errorf("it does not accept our side of TLS (identity of -cs): %w", err)
	}
	return nil
}

// greet sends the PROXY header of a connection that is nobody's but ours.
func greet(nc net.Conn, version int) (err error) {
	switch version {
	case 1:
		_, err = nc.Write(proxyheader.AppendV1(nil, proxyheader.Header{}))
	case 2:
		_, err = nc.Write(proxyheader.AppendV2(nil, proxyheader.Header{}))
	}
	return err
}

// ask fetches status_url. A redirect is not followed: it is no success.
func (m *monitor) ask(nc net.Conn) error {
	b := &m.e.cfg.Backend
	if _, err := nc.Write([]byte("GET " + b.StatusURL + " HTTP/1.1\r\nHost: " + net.JoinHostPort(b.Host, strconv.Itoa(b.Port)) +
		"\r\nUser-Agent: " + userAgent() + "\r\nAccept: */*\r\nConnection: close\r\n\r\n")); err != nil {
		return err
	}
	in := bufio.NewReader(io.LimitReader(nc, maxStatusHead))
	resp, err := http.ReadResponse(in, nil)
	for err == nil && resp.StatusCode < 200 {
		resp, err = http.ReadResponse(in, nil)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close() // it is not read
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the back end answers %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	return nil
}

// maxStatusHead bounds what is read of an answer to status_url, in bytes.
const maxStatusHead = 64 << 10

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
		m.e.log.Error("back end is down", "addr", m.e.backend.Load().Addr, "error", err,
			"advice", "the relays send it nothing until it is up: see that it runs, and check host, port, https and status_url of -cs")
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

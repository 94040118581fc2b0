package loop

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"roundhouse/codec/proxyheader"
)

// addresses are what a connection's session sees.
type addresses struct{ remote, peer netip.AddrPort }

// proxyListener echoes, and says what addresses each connection has.
func proxyListener(t *testing.T, g *Group, o AcceptOptions) (addr string, opened chan addresses) {
	t.Helper()
	opened = make(chan addresses, 16)
	o.Open = func(c *Conn) Session {
		opened <- addresses{c.Remote(), c.Peer()}
		return &funcSession{data: echo}
	}
	if o.Proxy == nil {
		o.Proxy = func(peer netip.Addr) bool { return peer.IsLoopback() }
	}
	return listen(t, g, o), opened
}

var (
	proxySource = netip.MustParseAddrPort("192.0.2.9:4711")
	proxyHeader = proxyheader.Header{Source: proxySource, Destination: netip.MustParseAddrPort("198.51.100.7:443")}
)

const proxySignature = "\r\n\r\n\x00\r\nQUIT\n"

func TestProxyHeader(t *testing.T) {
	g := newGroup(t, 2)
	plain, opened := proxyListener(t, g, AcceptOptions{})
	secured, openedTLS := proxyListener(t, g, AcceptOptions{TLS: serverTLS()})
	rows := []struct {
		name, header string
		says         bool
	}{
		{"v1", string(proxyheader.AppendV1(nil, proxyHeader)), true},
		{"v2", string(proxyheader.AppendV2(nil, proxyHeader)), true},
		{"v1 UNKNOWN", "PROXY UNKNOWN\r\n", false},
		{"v2 LOCAL", proxySignature + "\x20\x00\x00\x00", false},
		{"v2 with as many TLVs as there may be", proxySignature + "\x21\x00\x02\x18\x04\x02\x15" + strings.Repeat("x", 533), false},
	}
	for _, row := range rows {
		for _, atOnce := range []bool{true, false} {
			nc := dial(t, plain)
			checkProxied(t, row.name, nc, row.header, opened, row.says, atOnce, func() net.Conn { return nc })
			nc = dial(t, secured)
			checkProxied(t, row.name+" before TLS", nc, row.header, openedTLS, row.says, atOnce, func() net.Conn { return tls.Client(nc, clientTLS(tls.VersionTLS13)) })
		}
	}
	if n := g.Stats().BadProxies; n != 0 {
		t.Errorf("%d headers were wrong", n)
	}
}

// checkProxied sends a header, at once with what follows or byte by byte, and looks at the addresses.
func checkProxied(t *testing.T, name string, nc net.Conn, header string, opened chan addresses, says, atOnce bool, above func() net.Conn) {
	t.Helper()
	text := "hello, " + name
	overTLS := false
	write := func(s string) {
		if _, err := io.WriteString(nc, s); err != nil {
			t.Fatal(err)
		}
	}
	var conn net.Conn
	switch {
	case !atOnce:
		for i := range header {
			write(header[i : i+1])
		}
		conn = above()
	default:
		conn = above()
		if _, overTLS = conn.(*tls.Conn); overTLS {
			write(header)
		} else {
			write(header + text)
		}
	}
	if overTLS || !atOnce {
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		t.Fatalf("%s: %q, %v", name, got, err)
	}
	mine := netip.MustParseAddrPort(nc.LocalAddr().String())
	want := addresses{mine, mine}
	if says {
		want.remote = proxySource
	}
	if got := receive(t, "the connection", opened); got != want {
		t.Errorf("%s: %v, want %v", name, got, want)
	}
}

// Whoever must begin with a header and does not is closed, and counted.
func TestWrongProxyHeader(t *testing.T) {
	g := newGroup(t, 1)
	addr, opened := proxyListener(t, g, AcceptOptions{})
	rows := []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
		"PROXY UNKNOWN " + strings.Repeat("x", 200), proxySignature + "\x21\x11\x00\x0b", proxySignature + "\x20\x00\xff\xff",
	}
	for _, in := range rows {
		nc := dial(t, addr)
		if _, err := io.WriteString(nc, in); err != nil {
			t.Fatal(err)
		}
		if n, _ := nc.Read(make([]byte, 1)); n != 0 {
			t.Errorf("%q was answered", in)
		}
	}
	nc := dial(t, addr)
	if _, err := io.WriteString(nc, "PROXY TCP4"); err != nil {
		t.Fatal(err)
	}
	if err := nc.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "all to be closed and counted", func() bool {
		s := g.Stats()
		return s.Open == 0 && s.BadProxies == int64(len(rows))+1
	})
	if len(opened) > 0 {
		t.Errorf("a session was made for %v", <-opened)
	}
}

// The time limit of the handshake holds for the header, too, and Stop does not wait for it.
func TestProxyHeaderTimeLimit(t *testing.T) {
	g := newGroup(t, 1)
	g.handshakeTime = 50 * time.Millisecond
	addr, _ := proxyListener(t, g, AcceptOptions{})
	nc := dial(t, addr)
	if _, err := io.WriteString(nc, "PROXY TCP4 "); err != nil {
		t.Fatal(err)
	}
	if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
	waitFor(t, "the connection to be forgotten", func() bool { return g.Stats().Open == 0 && g.Stats().BadProxies == 1 })

	g = newGroup(t, 1)
	addr, _ = proxyListener(t, g, AcceptOptions{})
	dial(t, addr)
	waitFor(t, "the connection", func() bool { return g.Stats().Open == 1 })
	start := time.Now()
	if err := g.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took >= handshakeTime {
		t.Errorf("Stop took %v", took)
	}
}

// Of whom no header is demanded, it is part of the input: nobody may choose his address.
func TestProxyHeaderOfOthers(t *testing.T) {
	g := newGroup(t, 1)
	addr, opened := proxyListener(t, g, AcceptOptions{Proxy: func(netip.Addr) bool { return false }})
	nc := dial(t, addr)
	header := string(proxyheader.AppendV1(nil, proxyHeader))
	if _, err := io.WriteString(nc, header); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(header))
	if _, err := io.ReadFull(nc, got); err != nil || string(got) != header {
		t.Errorf("%q, %v", got, err)
	}
	if a := receive(t, "the connection", opened); a.remote != a.peer || a.peer.String() != nc.LocalAddr().String() {
		t.Errorf("%v, of %v", a, nc.LocalAddr())
	}
}

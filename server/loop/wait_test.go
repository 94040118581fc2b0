package loop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// waitFor looks until cond holds, for conditions that nobody announces.
func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !cond(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("waited in vain for ", what)
		}
	}
}

// receive takes from ch, but does not wait for ever.
func receive[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("waited in vain for ", what)
		panic("unreachable")
	}
}

// onLoop runs f on l and waits for it.
func onLoop(l *Loop, f func()) { l.wait(f) }

// dialled connects from l with a session that does nothing.
func dialled(t testing.TB, l *Loop, addr string) *Conn {
	t.Helper()
	return dialledWith(t, l, DialOptions{Network: "tcp", Addr: addr}, &funcSession{})
}

func dialledWith(t testing.TB, l *Loop, o DialOptions, s Session) *Conn {
	t.Helper()
	type result struct {
		c   *Conn
		err error
	}
	ch := make(chan result, 1)
	l.Dial(o, func(c *Conn, err error) Session {
		ch <- result{c, err}
		return s
	})
	r := receive(t, "the dial", ch)
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.c
}

// pair adopts one end of a connected TCP or Unix pair on l; the test has the other.
func pair(t testing.TB, l *Loop, network string, s Session) (*Conn, net.Conn) {
	t.Helper()
	var ours, theirs net.Conn
	var err error
	if network == "unix" {
		ours, theirs, err = socketPair()
	} else {
		ours, theirs, err = tcpPair()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	if err := ours.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	ch := make(chan *Conn, 1)
	l.Adopt(theirs, func(c *Conn, err error) Session {
		if err != nil {
			t.Error(err)
		}
		ch <- c
		return s
	})
	return receive(t, "the adoption", ch), ours
}

func tcpPair() (ours, theirs net.Conn, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer ln.Close()
	if ours, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		return nil, nil, err
	}
	theirs, err = ln.Accept()
	return ours, theirs, err
}

// certificate is one for 127.0.0.1 and localhost, made once.
var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(err)
	leaf, err := x509.ParseCertificate(der)
	must(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
})

func serverTLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{certificate()}}
}

func clientTLS(version uint16) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(certificate().Leaf)
	return &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: version, MaxVersion: version}
}

// reset closes nc so that the peer sees a reset.
func reset(t testing.TB, nc net.Conn) {
	t.Helper()
	if err := nc.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := nc.Close(); err != nil {
		t.Fatal(err)
	}
}

// movingPeer connects to l, where s gets the connection.
func movingPeer(t testing.TB, l *Loop, s Session, secure bool) net.Conn {
	t.Helper()
	if !secure {
		_, nc := pair(t, l, "tcp", s)
		return nc
	}
	ours, theirs, err := tcpPair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	if err := ours.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	a := newArrival(l, theirs, func(*Conn, error) Session { return s })
	l.group.background(func() {
		if err := a.handshake(l.group.dialing, theirs, serverTLS(), false); err != nil {
			t.Error(err)
		}
		a.enrol(theirs)
	}, nil)
	return tls.Client(ours, clientTLS(tls.VersionTLS13))
}

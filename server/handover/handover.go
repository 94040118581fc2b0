// Package handover lets a new process of the server take the place of the running one, so that no connection is refused: the
// listeners are the same sockets in both, and what waits in their queues stays there whichever process goes.
//
//	old process                                 new process
//	Start: executes the program again, with
//	  its listeners and one end of a pipe   ->  Inherit: reads from the environment what it was given
//	serves on                                   Listen: takes an inherited listener instead of a new one,
//	                                              which does not accept yet
//	Start returns when the pipe says so     <-  Ready: accepts, and tells the old process and systemd
//	drains and ends                             serves
//
// If the new process ends before it is ready, or takes too long, the old one goes on as if nothing had been.
//
// The same way Listen takes listeners that systemd has opened (socket activation: LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES), and
// Ready, Stopping and Watchdog tell systemd what the server does (sd_notify: NOTIFY_SOCKET). The old process passes its own listeners on in
//
//	ROUNDHOUSE_LISTEN_FDS     [{"fd":4,"network":"tcp","addr":"127.0.0.1:0"}, ...], addr as it was configured
//	ROUNDHOUSE_LISTEN_READY   the descriptor of the pipe
//	HANDOVER_KEY              see Key
//
// Which listener is which? One that the old process passed on, for the configured address that it was opened for: this finds
// those of port 0 again, too, which is another port at each start otherwise; of several with the same one, in the order in which
// they were opened. Then any one that is bound to the address that is asked for. So a listener that systemd has opened is never
// taken for port 0. What nobody asks for until Ready is closed, with a warning.
//
// All functions may be called by any goroutine. There is one set of listeners in a process, as there is one environment.
package handover

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
)

// process is what this process has been given, has opened and passes on.
var process = set{ready: make(chan struct{})}

type set struct {
	ready chan struct{} // closed by Ready; inherited listeners accept from then on

	mu        sync.Mutex // guards all below
	inherited []*listener
	open      []*listener // in the order in which they were opened
	mistakes  []error     // of the environment
	tell      *os.File    // the pipe to the old process; nil: there is none
	succeeds  bool        // there was one
	serving   bool        // Ready was called
	phase     phase
	key       []byte // see Key; nil: not made yet
	program   string // to execute for the next process, when it is what this one was
}

// Key is a secret that all processes have which take each other's place, and nobody else: made at random by the first of them. It must not be
// changed.
func Key() []byte { return process.secret() }

const keyLen = 32

func (s *set) secret() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key == nil {
		s.key = make([]byte, keyLen)
		_, _ = rand.Read(s.key) // never fails
	}
	return s.key
}

// phase is how far the hand-over to a new process is.
type phase int8

const (
	phaseNone phase = iota
	phaseStarting
	phasePassed // the new process serves
)

// listener is a listener that can be passed on.
type listener struct {
	net.Listener
	set           *set
	network, addr string        // as configured; empty: systemd has opened it
	gate          chan struct{} // when it is closed, this accepts; nil: at once
	once          sync.Once
	closed        chan struct{}
}

// SyscallConn gives access to the socket, for those who want to know how it is. The error is that of a listener without a descriptor.
func (l *listener) SyscallConn() (syscall.RawConn, error) {
	sc, ok := l.Listener.(syscall.Conn)
	if !ok {
		return nil, errors.New("handover: it has no descriptor")
	}
	return sc.SyscallConn()
}

// Accept waits, with a listener that was inherited, until this process is ready: until then the old process accepts.
func (l *listener) Accept() (net.Conn, error) {
	if l.gate != nil {
		select {
		case <-l.gate:
		case <-l.closed:
			return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: net.ErrClosed}
		}
	}
	return l.Listener.Accept()
}

// Close closes the listener of this process. In another process that has it, it stays open.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.set.remove(l)
		close(l.closed)
	})
	return l.Listener.Close()
}

func (s *set) remove(l *listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = slices.DeleteFunc(s.open, func(o *listener) bool { return o == l })
}

// Listen is net.Listen, but takes a listener that was inherited for this address, if there is one. network is tcp, tcp4, tcp6 or
// unix.
func Listen(network, addr string) (net.Listener, error) { return process.listen(network, addr) }

// plainTCP listens without Multipath TCP, which net.Listen would use: connections would not inherit the options of the listener.
var plainTCP = func() (c net.ListenConfig) {
	c.SetMultipathTCP(false)
	return c
}()

func (s *set) listen(network, addr string) (net.Listener, error) {
	if l := s.take(network, addr); l != nil {
		return l, nil
	}
	ln, err := plainTCP.Listen(context.Background(), network, addr)
	if err != nil {
		return nil, err
	}
	l := &listener{Listener: ln, set: s, network: network, addr: addr, closed: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = append(s.open, l)
	return l, nil
}

// take returns the inherited listener of an address; nil: there is none.
func (s *set) take(network, addr string) *listener {
	s.mu.Lock()
	some := len(s.inherited) > 0
	s.mu.Unlock()
	if !some {
		return nil
	}
	wanted := resolve(network, addr) // may ask a name server: not under mu
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.inherited, func(l *listener) bool { return l.network == network && l.addr == addr })
	if i < 0 && wanted != nil {
		i = slices.IndexFunc(s.inherited, func(l *listener) bool { return bound(l.Addr(), wanted) })
	}
	if i < 0 {
		return nil
	}
	l := s.inherited[i]
	s.inherited = slices.Delete(s.inherited, i, i+1)
	if u, ok := l.Listener.(*net.UnixListener); ok && l.network != "" {
		u.SetUnlinkOnClose(true) // now it is for this process to do; systemd keeps its own
	}
	l.network, l.addr = network, addr
	s.open = append(s.open, l)
	return l
}

// resolve returns what a listener of addr is bound to; nil: nothing that could be known before.
func resolve(network, addr string) net.Addr {
	if network == "unix" {
		return &net.UnixAddr{Name: addr, Net: network}
	}
	a, err := net.ResolveTCPAddr(network, addr)
	if err != nil || a.Port == 0 {
		return nil // net.Listen will say what is wrong
	}
	return a
}

// bound tells whether a listener that has an address is what was asked for. All addresses of IPv4 are among all addresses.
func bound(has, wanted net.Addr) bool {
	h, ok := has.(*net.TCPAddr)
	w, isTCP := wanted.(*net.TCPAddr)
	if !ok || !isTCP {
		return has.Network() == wanted.Network() && has.String() == wanted.String()
	}
	all := len(w.IP) == 0 || w.IP.IsUnspecified()
	return h.Port == w.Port && h.Zone == w.Zone && (h.IP.Equal(w.IP) || all && h.IP.IsUnspecified())
}

// duplicate returns a descriptor of the socket, close-on-exec. The flags that it shares with the listener stay as they are: a
// listener that blocks would hold up who closes it.
func (l *listener) duplicate() (fd int, err error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd = -1
	if e := raw.Control(func(own uintptr) { fd, err = duplicate(own) }); e != nil {
		return -1, e
	}
	return fd, err
}

package pubsub

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"roundhouse/codec/frame"
	"roundhouse/codec/message"
	"roundhouse/routing/subject"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, // these belong to the loops of real servers, and run for as long as the process lives
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"))
}

const testTime = time.Minute // more than any test takes on a slow machine

// testContext ends when the test takes too long.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	t.Cleanup(cancel)
	return ctx
}

// fake is a server that is just enough for a client: it routes by the naive matcher, without load balancing.
type fake struct {
	t    testing.TB
	l    net.Listener
	addr string
	all  sync.WaitGroup

	mu      sync.Mutex // guards what follows
	peers   map[*fakePeer]struct{}
	welcome message.Welcome
	hellos  []message.Hello
	away    bool                                       // connections are closed at once
	meet    func(p *fakePeer, m *message.Message) bool // sees every message first; true: that is all; called without mu
}

// fakePeer is one connection to it.
type fakePeer struct {
	fake   *fake
	nc     net.Conn
	r      *bufio.Reader
	unique string

	mu   sync.Mutex      // guards writes
	subs map[string]bool // by pattern: balanced; guarded by fake.mu
}

func newFake(t testing.TB) *fake { return newFakeTLS(t, nil) }

func newFakeTLS(t testing.TB, cfg *tls.Config) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{
		t: t, l: l, addr: l.Addr().String(), peers: map[*fakePeer]struct{}{},
		welcome: message.Welcome{Text: "Connection established.", Server: "/_server_1", Prefix: "/", MaxMessageSize: 1 << 20},
	}
	t.Cleanup(func() {
		_ = l.Close()
		f.drop()
		f.all.Wait()
	})
	f.all.Go(func() { // ends with the listener
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			if cfg != nil {
				nc = tls.Server(nc, cfg)
			}
			_ = nc.SetDeadline(time.Now().Add(testTime))
			f.all.Go(func() { f.serve(nc) })
		}
	})
	return f
}

// set changes the server.
func (f *fake) set(change func()) {
	f.mu.Lock()
	change()
	f.mu.Unlock()
}

// drop closes every connection.
func (f *fake) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.peers {
		_ = p.nc.Close()
	}
}

func (f *fake) serve(nc net.Conn) {
	defer nc.Close()
	p := &fakePeer{fake: f, nc: nc, r: bufio.NewReader(nc), subs: map[string]bool{}}
	defer f.set(func() { delete(f.peers, p) })
	for {
		payload, err := p.read()
		if err != nil {
			return
		}
		var m message.Message
		if err := message.Parse(payload, &m); err != nil {
			f.t.Error(err)
			return
		}
		f.mu.Lock()
		meet := f.meet
		f.mu.Unlock()
		if meet != nil && meet(p, &m) {
			continue
		}
		if !p.handle(&m, payload) {
			return
		}
	}
}

func (p *fakePeer) read() ([]byte, error) {
	var header [frame.HeaderLen]byte
	if _, err := io.ReadFull(p.r, header[:]); err != nil {
		return nil, err
	}
	size, _, err := frame.ParseHeader(header[:], frame.MaxSize)
	if err != nil {
		p.fake.t.Error(err)
		return nil, err
	}
	payload := make([]byte, size)
	_, err = io.ReadFull(p.r, payload)
	return payload, err
}

// handle does what the real server does; false: the connection ends.
func (p *fakePeer) handle(m *message.Message, whole []byte) bool {
	switch m.Type {
	case message.TypeConnectCall:
		return p.hello(m)
	case message.TypeSubjectSetSubscribe:
		var set message.SetSubscribe
		if err := message.ParseSetSubscribe(m, &set); err != nil {
			p.fake.t.Error(err)
		}
		p.subscribe(set)
	case message.TypeBatchSubjectSetSubscribe:
		sets, err := message.ParseBatchSubscribe(nil, m)
		if err != nil {
			p.fake.t.Error(err)
		}
		var results []message.SubscribeResult
		for _, set := range sets {
			p.subscribe(set)
			code := message.CodeOK
			if string(set.Subject) == "/denied" {
				code = message.CodeDenied
			}
			results = append(results, message.SubscribeResult{Subject: set.Subject, Code: code})
		}
		p.send(message.AppendBatchResult(nil, results))
	case message.TypeKeepAliveCall:
		p.send(message.Append(nil, &message.Message{Type: message.TypeKeepAliveResult}))
	case message.TypeKeepAliveResult:
	case message.TypeDisconnect:
		return false
	case message.TypeServerStopCall:
		p.send(message.AppendStopResult(nil, &message.StopResult{Text: "not allowed", Code: message.CodeControlRejected}))
	default:
		p.fake.route(m, whole)
	}
	return true
}

func (p *fakePeer) hello(m *message.Message) bool {
	var h message.Hello
	if err := message.ParseHello(m, &h); err != nil {
		p.fake.t.Error(err)
		return false
	}
	f := p.fake
	f.mu.Lock()
	w := f.welcome
	away := f.away
	if !away {
		f.hellos = append(f.hellos, h)
		p.unique = h.Unique
		if p.unique != "" && p.unique[0] != '/' {
			p.unique = "/" + p.unique
		}
		w.Unique = p.unique
		if w.Code == message.CodeOK {
			p.subs[p.unique] = false
			f.peers[p] = struct{}{}
		}
	}
	f.mu.Unlock()
	if away {
		return false
	}
	p.send(message.AppendWelcome(nil, &w))
	return w.Code == message.CodeOK
}

func (p *fakePeer) subscribe(set message.SetSubscribe) {
	p.fake.mu.Lock()
	defer p.fake.mu.Unlock()
	if set.Start {
		p.subs[string(set.Subject)] = set.Balance
	} else {
		delete(p.subs, string(set.Subject))
	}
}

// route sends one copy to each client that has a subscription.
func (f *fake) route(m *message.Message, whole []byte) {
	f.mu.Lock()
	var to []*fakePeer
	for p := range f.peers {
		for pattern := range p.subs {
			if subject.Matches(pattern, string(m.Dest)) {
				to = append(to, p)
				break
			}
		}
	}
	f.mu.Unlock()
	for _, p := range to {
		p.send(whole)
	}
}

// send writes a message in a frame. An error is that of a connection that is gone.
func (p *fakePeer) send(payload []byte) {
	b := append(frame.AppendHeader(nil, len(payload)), payload...)
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.nc.Write(b)
}

// raw writes bytes as they are.
func (p *fakePeer) raw(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.nc.Write(b)
}

// subscribed tells whether some client has a subscription, and whether it takes part in load balancing.
func (f *fake) subscribed(pattern string) (there, balanced bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.peers {
		if b, ok := p.subs[pattern]; ok {
			return true, b
		}
	}
	return false, false
}

// helloNo returns a hello that came, counted from 0.
func (f *fake) helloNo(i int) message.Hello {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hellos[i]
}

// connect connects to the server; the connection is closed at the end of the test.
func (f *fake) connect(o Options) *Conn {
	f.t.Helper()
	o.Servers = append([]string{f.addr}, o.Servers...)
	c, err := Connect(testContext(f.t), o)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = c.Close() })
	return c
}

// quick makes a client look for another server soon.
var quick = Options{MaxReconnectDelay: 10 * time.Millisecond}

// told collects what Callbacks are told.
type told struct {
	disconnect, closed, err chan error
	reconnect               chan string
}

func newTold() *told {
	return &told{make(chan error, 100), make(chan error, 100), make(chan error, 1000), make(chan string, 100)}
}

func (w *told) callbacks() Callbacks {
	return Callbacks{
		Disconnect: func(err error) { w.disconnect <- err },
		Reconnect:  func(server string) { w.reconnect <- server },
		Closed:     func(err error) { w.closed <- err },
		Error:      func(err error) { w.err <- err },
	}
}

// await takes a value from a channel.
func await[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v, ok := <-ch:
		if !ok {
			t.Fatalf("%s: the channel is closed", what)
		}
		return v
	case <-time.After(testTime):
		t.Fatalf("%s: nothing came", what)
	}
	panic("unreachable")
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ticks := time.NewTicker(time.Millisecond)
	defer ticks.Stop()
	for end := time.Now().Add(testTime); !ok(); <-ticks.C {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// must fails the test.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantErr wants an error.
func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

// closeCall is what a server says before it closes.
func closeCall(reason string, code message.Code) []byte {
	b := message.AppendStr(message.Append(nil, &message.Message{Type: message.TypeClientCloseCall}), reason)
	return message.AppendInt4(b, int32(code))
}

// note puts something into a channel that has room for it.
func note(ch chan bool) {
	select {
	case ch <- true:
	default:
	}
}

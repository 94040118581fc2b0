package pubsub

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"roundhouse/codec/message"
	"roundhouse/routing/subject"
)

// Conn is a client of the router door. It is safe for concurrent use.
type Conn struct {
	// Fixed at Connect.
	options Options
	unique  string // in full form

	life   context.Context // ends with the connection
	cancel context.CancelCauseFunc
	over   chan struct{} // closed when everything is done but callbacks
	events events

	table subject.Table[*Subscription] // any goroutine; written under mu
	ids   atomic.Uint64
	stats stats
	inbox inbox

	// Owned by the goroutine that reads.
	in     inbound
	dialer dialer

	mu         sync.Mutex // guards what follows; never held during I/O
	out        output
	groups     map[string]*group // by name
	up         chan struct{}     // closed when there is a link
	draining   bool              // takes no new subscriptions
	closing    bool              // takes nothing
	stopResult chan error        // who waits for the answer to StopServer; nil: nobody
}

// stats are counters that several goroutines write.
type stats struct {
	inMsgs, inBytes, dropped, unmatched, reconnects atomic.Uint64
}

// connections counts those that have the usual unique subject.
var connections atomic.Uint64

// Connect connects to one of the servers and introduces the client. It tries each of them once. ctx bounds the attempt, not the
// connection. Errors: a mistake in Options; that of ctx; otherwise what went wrong with each server, with a ServerError when it
// refused.
func Connect(ctx context.Context, o Options) (*Conn, error) {
	servers, shuffle, err := parseServers(o.Servers)
	if err != nil {
		return nil, err
	}
	if shuffle {
		o.InOrder = false
	}
	c := newConn(o)
	c.dialer.servers = servers
	c.dialer.introduce()
	l, err := c.dialer.round(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.settleIn(l); err != nil {
		l.fail(err)
		return nil, err
	}
	c.life, c.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	_ = c.attach(l) // fails on a closed connection only
	go c.run(l)     // ends with the Conn; Close and Drain wait for it
	return c, nil
}

// newConn returns a Conn without a server.
func newConn(o Options) *Conn {
	c := &Conn{options: o.withDefaults(), over: make(chan struct{}), up: make(chan struct{}), groups: map[string]*group{}}
	c.out.maxMessage = maxFrame
	c.inbox = newInbox(c)
	c.in = inbound{
		table: &c.table, inbox: c.inbox.prefix, stats: &c.stats,
		cache: subject.NewCache[*Subscription, *plan](cacheSize, nil),
	}
	c.dialer.options = &c.options
	c.events.failed = o.Callbacks.Error
	c.events.handle = func(f func()) { f() }
	return c
}

// introduce makes what is said to every server.
func (d *dialer) introduce() {
	o, node := d.options, nodeName()
	name := o.Subject
	if name == "" {
		name = fmt.Sprintf("_%s_%d_%d", node, os.Getpid(), connections.Add(1)) // a server in this process has the name without a number
	}
	d.hello = message.Hello{
		Version: message.ProtocolVersion, Project: o.Project, Unique: name, Ident: o.Ident, User: osUser(), Node: node,
		PID: int32(os.Getpid()), Arch: runtime.GOOS + "/" + runtime.GOARCH, DisconnectMode: disconnectMode,
		Prefix: o.Prefix, HasPrefix: o.Prefix != "", Features: message.FeatureNoResponders,
	}
	_, _ = rand.Read(d.hello.Instance[:]) // never fails
	if o.User != "" || o.Password != "" {
		d.hello.Policy, d.hello.Username, d.hello.Password = message.PolicyPassword, o.User, o.Password
	}
}

// disconnectMode says what becomes of guaranteed messages of a client that has left. Source: Server_Disconnect_Mode.
const disconnectMode = "gmd_failure"

// settleIn takes over what the first server says, and makes the subscriptions that every client has.
func (c *Conn) settleIn(l *link) error {
	c.unique, c.out.prefix = l.welcome.Unique, c.options.Prefix
	if c.out.prefix == "" {
		c.out.prefix = l.welcome.Prefix
	}
	if c.unique == "" {
		full, err := subject.Canonical(nil, c.out.prefix, []byte(c.dialer.hello.Unique))
		if err != nil {
			return fmt.Errorf("pubsub: unique subject %q: %w", c.dialer.hello.Unique, err)
		}
		c.unique = string(full)
	}
	if !subject.IsCanonical([]byte(c.unique)) {
		return fmt.Errorf("pubsub: server %s: its name for this client is none: %q", l.server, c.unique)
	}
	c.dialer.hello.Unique = c.unique // of the next server, too
	self := newInternal(c, nil)
	if direct := c.options.Direct; direct != nil {
		self = newSubscription(c, nil, func(s *Subscription) { s.queue.handle = direct })
		self.internal = true
	}
	self.pattern = c.unique
	c.groups[c.unique] = &group{implied: true}
	names := []string{c.unique}
	if !c.options.NoStandardSubjects {
		names = append(names, "/_all", "/_"+c.dialer.hello.Node)
	}
	for _, name := range names {
		if c.groups[name] == nil {
			c.groups[name] = &group{}
		}
		c.groups[name].members = []*Subscription{self}
		c.table.Add(name, self)
	}
	return nil
}

// newInternal makes a subscription of the package itself; f runs on the goroutine that reads. nil: what comes is thrown away.
func newInternal(c *Conn, f func(*Msg)) *Subscription {
	if f == nil {
		f = func(*Msg) { c.stats.unmatched.Add(1) }
	}
	return newSubscription(c, nil, func(s *Subscription) { s.inline, s.internal = f, true })
}

// nodeName is the name of this host as a component of a subject.
func nodeName() string {
	host, err := os.Hostname()
	host = strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, host)
	if err != nil || host == "" {
		return "unknown"
	}
	return host
}

func osUser() string {
	for _, name := range []string{"USER", "LOGNAME", "USERNAME"} {
		if user := os.Getenv(name); user != "" {
			return user
		}
	}
	return ""
}

// Subject returns the unique subject of the client, in its full form: what is published to it comes to this client only.
func (c *Conn) Subject() string { return c.unique }

// Server returns the server that the client is connected to: its logical connection name and its unique subject; both are empty while
// there is none.
func (c *Conn) Server() (name, unique string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.link == nil {
		return "", ""
	}
	return c.out.link.server, c.out.link.welcome.Server
}

// Closed returns a channel that is closed when the connection has ended for good.
func (c *Conn) Closed() <-chan struct{} { return c.over }

// Err returns why the connection has ended: ErrClosed after Close and Drain; nil while it has not.
func (c *Conn) Err() error {
	select {
	case <-c.over:
		return context.Cause(c.life)
	default:
		return nil
	}
}

// Stats returns the counters.
func (c *Conn) Stats() Stats {
	c.mu.Lock()
	msgs, bytes := c.out.msgs, c.out.bytes
	c.mu.Unlock()
	return Stats{
		OutMsgs: msgs, OutBytes: bytes,
		InMsgs: c.stats.inMsgs.Load(), InBytes: c.stats.inBytes.Load(),
		Dropped: c.stats.dropped.Load(), Unmatched: c.stats.unmatched.Load(), Reconnects: c.stats.reconnects.Load(),
	}
}

// events runs callbacks of Options.
type events struct {
	queue[func()]
	failed func(error) // Callbacks.Error
}

// maxEvents bounds the callbacks that wait because one does not return; more are dropped.
const maxEvents = 1024

// tell runs f after the callbacks before it.
func (e *events) tell(f func()) {
	if e.length() < maxEvents {
		e.push(f)
	}
}

// report tells of an error that no call can return.
func (e *events) report(err error) {
	if e.failed != nil {
		e.tell(func() { e.failed(err) })
	}
}

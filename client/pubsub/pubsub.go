// Package pubsub talks to the router door of a Roundhouse server: it publishes messages to subjects and gets what is published to
// those that it has subscribed to.
//
// A Conn is a client of one project. Connect opens it; when its server goes away, it looks for another one, subscribes again and sends
// what was published meanwhile. Publish and PublishMsg put messages into its output; a goroutine writes what has gathered there, so
// that neither a burst is sent in small pieces nor a single message waits for others. Flush tells that the server has them.
//
// A Subscription has a queue of its own between the goroutine that reads the connection and the callback, or the channel, that gets
// the messages, one by one and in order. The queue has a bound: beyond it messages are dropped, counted, and Callbacks.Error is told.
// Several subscriptions may match one message: each gets it, although it came once.
//
// A name of a subject has components, as /orders/eu/42. In subscriptions and destinations * stands for any bytes within a component
// and ... for any number of components. A name without a slash in front gets the default prefix, that of the server unless Options say
// it. NATS clients of the server have the same subjects: orders.eu.42.
//
// Delivery is at most once: a message that was handed to the network when the connection breaks may be lost. Request and Flush are the
// means to know.
//
// Files: conn.go has the connection, link.go what goes over the network, reconnect.go its life, output.go what waits to be sent,
// publish.go and msg.go messages, subscription.go and queue.go who gets them, dispatch.go how they find them, request.go questions and
// answers, control.go commands, flush.go the ways to wait and to end.
package pubsub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/message"
)

var (
	// ErrClosed means that the connection, or the subscription, has ended.
	ErrClosed = errors.New("pubsub: closed")
	// ErrDisconnected means that the connection was lost while something waited for an answer. It may have been done.
	ErrDisconnected = errors.New("pubsub: connection lost")
	// ErrBufferFull means that there is no connection and no room to keep the message until there is one. It was not taken.
	ErrBufferFull = errors.New("pubsub: not connected, and what waits has reached its limit")
	// ErrTooLarge means that a message is larger than the server takes. Nothing was sent.
	ErrTooLarge = errors.New("pubsub: message too large")
	// ErrMessage means that a message cannot be published as it is. Nothing was sent.
	ErrMessage = errors.New("pubsub: message cannot be published")
	// ErrNoReply means that a message wants no answer.
	ErrNoReply = errors.New("pubsub: the message has no subject for an answer")
	// ErrNoResponders means that nobody has subscribed to the subject of a request.
	ErrNoResponders = errors.New("pubsub: nobody answers requests to this subject")
	// ErrSlow is what Callbacks.Error gets when a subscription takes its messages too slowly.
	ErrSlow = errors.New("pubsub: a subscription takes its messages too slowly")
)

// ServerError is what the server says against the client: when it refuses a connection, ends one, or refuses a request.
type ServerError struct {
	Code message.Code
	Text string // for people; may be empty
}

func (e *ServerError) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("pubsub: the server says: %v", e.Code)
	}
	return "pubsub: the server says: " + e.Text
}

// Callbacks are told what happens to a connection. They run one after another, on a goroutine of their own; nil: nobody is told.
// They may use the connection.
type Callbacks struct {
	Disconnect func(error)         // the connection to the server was lost; Reconnect or Closed follows
	Reconnect  func(server string) // there is one again, every subscription is made again
	Closed     func(error)         // the last one; nil after Close and Drain, otherwise why there is no new connection
	Error      func(error)         // something else went wrong: ErrSlow, a server that refuses a subscription, an attempt to connect
}

// Options are the settings of a connection. The zero value connects to a server on this machine.
type Options struct {
	// Servers to try, in random order unless InOrder: tcp:host:port, tls:host:port, local:host:/path/of/socket, or host:port. Without
	// a port 5101 is meant; _node is this host. Empty: tcp:_node:5101.
	Servers []string
	InOrder bool // try Servers as they stand

	// Who connects.
	Project  string // name space; empty: rtworks
	Subject  string // unique subject of this client; empty: _host_pid_n, with n from 1 for the connections of the process
	Ident    string // what program it is; empty: RTclient
	User     string // for servers that want to know; empty: nobody
	Password string
	Prefix   string // default subject prefix; empty: that of the first server

	TLS *tls.Config // nil: only tls: servers get TLS, with the roots of the system. Without a ServerName, the host that is dialled

	// Times. 0: the default; negative: no limit.
	ConnectTimeout    time.Duration // of one attempt at one server; default 10 s
	ReadTimeout       time.Duration // the server is asked for a sign of life after so long a silence; default 30 s
	KeepAliveTimeout  time.Duration // and given up so long after; default 15 s
	WriteTimeout      time.Duration // the server is given up when it takes nothing for so long; default 30 s
	MaxReconnectDelay time.Duration // between two rounds over Servers: a random time that grows up to this; default 30 s; negative: none
	NoReconnect       bool          // the loss of the connection ends the Conn

	// Sizes in bytes. 0: the default.
	WriteBuffer     int // output that may wait for the network before Publish waits; default 256 KiB
	ReconnectBuffer int // output that may wait for a new connection before Publish fails; default 8 MiB; negative: none
	MaxMessage      int // a larger message from the server breaks the connection; default 64 MiB

	// NoStandardSubjects leaves _all and _host unsubscribed.
	NoStandardSubjects bool
	// Direct gets what comes to the client itself: its unique subject, _all and _host. It is called as that of a subscription. nil: it
	// is dropped.
	Direct func(*Msg)

	Callbacks Callbacks

	// DialContext replaces that of a net.Dialer; nil: none.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Defaults of Options, and limits that cannot be set.
const (
	defaultProject        = "rtworks"
	defaultIdent          = "RTclient"
	defaultConnectTimeout = 10 * time.Second
	defaultReadTimeout    = 30 * time.Second
	defaultKeepAlive      = 15 * time.Second
	defaultWriteTimeout   = 30 * time.Second
	defaultReconnectDelay = 30 * time.Second
	defaultWriteBuffer    = 256 << 10 // bytes
	defaultReconnectSize  = 8 << 20   // bytes
	defaultMaxMessage     = 64 << 20  // bytes
	closeTimeout          = 2 * time.Second
)

// withDefaults fills in what was not said.
func (o Options) withDefaults() Options {
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{
		{&o.ConnectTimeout, defaultConnectTimeout},
		{&o.ReadTimeout, defaultReadTimeout},
		{&o.KeepAliveTimeout, defaultKeepAlive},
		{&o.WriteTimeout, defaultWriteTimeout},
		{&o.MaxReconnectDelay, defaultReconnectDelay},
	} {
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	if o.WriteBuffer <= 0 {
		o.WriteBuffer = defaultWriteBuffer
	}
	if o.ReconnectBuffer == 0 {
		o.ReconnectBuffer = defaultReconnectSize
	}
	if o.MaxMessage <= 0 {
		o.MaxMessage = defaultMaxMessage
	}
	o.MaxMessage = min(o.MaxMessage, frame.MaxSize)
	if o.Project == "" {
		o.Project = defaultProject
	}
	if o.Ident == "" {
		o.Ident = defaultIdent
	}
	if o.DialContext == nil {
		o.DialContext = new(net.Dialer).DialContext
	}
	return o
}

// Stats are counters of a connection since Connect.
type Stats struct {
	OutMsgs, OutBytes uint64 // published; bytes as they go over the network
	InMsgs, InBytes   uint64 // came from the server, each counted once
	Dropped           uint64 // for which a subscription had no room
	Unmatched         uint64 // came, but no subscription wanted them any more
	Reconnects        uint64
}

package main

import (
	"errors"
	"fmt"
	"io"

	"roundhouse/codec/frame"
	"roundhouse/codec/message"
	"roundhouse/codec/natswire"
	"roundhouse/routing/subject"
)

// protocol is what clients speak with a server. Subjects are named as by NATS. The append functions append to dst.
type protocol interface {
	name() string
	// hello introduces client number i.
	hello(dst []byte, i int) []byte
	subscribe(dst []byte, subject string) []byte
	publish(dst []byte, subject string, payload []byte) []byte
	// ping is answered when all before it has been handled.
	ping(dst []byte) []byte
	// pong answers a ping of the server.
	pong(dst []byte) []byte
	// next reads what the server sent; its result is like that of every parser: 0 means that b is too short.
	next(b []byte, e *event) (n int, err error)
}

// kind is what an event is.
type kind uint8

const (
	eventOther kind = iota
	eventMessage
	eventPing
	eventPong
	eventEnd // the server ends the connection, or refuses something
)

// event is something that the server sent.
type event struct {
	kind    kind
	payload []byte // of a message; it aliases what was parsed
	text    string // of an end: why
}

// natsProtocol is that of NATS.
type natsProtocol struct{}

func (natsProtocol) name() string { return "NATS" }

func (natsProtocol) hello(dst []byte, _ int) []byte {
	return natswire.AppendConnect(dst, []byte(`{"verbose":false,"pedantic":false,"lang":"go","version":"1.0.0","protocol":1,"echo":true,"headers":true,"no_responders":true}`))
}

func (natsProtocol) subscribe(dst []byte, name string) []byte {
	return natswire.AppendSub(dst, []byte(name), nil, []byte("1"))
}

func (natsProtocol) publish(dst []byte, name string, payload []byte) []byte {
	return natswire.AppendPub(dst, []byte(name), nil, payload)
}

func (natsProtocol) ping(dst []byte) []byte { return append(dst, natswire.Ping...) }
func (natsProtocol) pong(dst []byte) []byte { return append(dst, natswire.Pong...) }

func (natsProtocol) next(b []byte, e *event) (int, error) {
	var c natswire.Command
	n, err := natswire.ParseServer(b, &c, &natswire.Limits{Line: natswire.DefaultLine, Payload: natswire.DefaultPayload})
	if err != nil || n == 0 {
		return n, err
	}
	*e = event{}
	switch c.Op {
	case natswire.OpMsg:
		e.kind, e.payload = eventMessage, c.Payload
	case natswire.OpPing:
		e.kind = eventPing
	case natswire.OpPong:
		e.kind = eventPong
	case natswire.OpErr:
		e.kind, e.text = eventEnd, string(c.Arg)
	}
	return n, nil
}

// ownProtocol is that of Roundhouse's own clients.
type ownProtocol struct{}

func (ownProtocol) name() string { return "own" }

func appendFrame(dst []byte, write func(dst []byte) []byte) []byte {
	start := len(dst)
	return message.EndFrame(write(message.BeginFrame(dst)), start)
}

func (ownProtocol) hello(dst []byte, i int) []byte {
	return appendFrame(dst, func(dst []byte) []byte {
		return message.AppendHello(dst, &message.Hello{Version: message.ProtocolVersion, Unique: fmt.Sprintf("_fanout_%d", i), Ident: "fanout", User: "fanout", Node: "fanout"})
	})
}

// rtName is a subject as the router names it.
func rtName(name string, pattern bool) []byte {
	b, err := subject.FromNATS(nil, []byte(name), pattern)
	if err != nil {
		panic(fmt.Sprintf("BUG: fanout: subject %q: %v", name, err))
	}
	return b
}

func (ownProtocol) subscribe(dst []byte, name string) []byte {
	return appendFrame(dst, func(dst []byte) []byte {
		return message.AppendSetSubscribe(dst, &message.SetSubscribe{Subject: rtName(name, true), Start: true, Balance: true})
	})
}

func (ownProtocol) publish(dst []byte, name string, payload []byte) []byte {
	return message.AppendFrame(dst, &message.Message{Type: message.TypeJMSBytes, Dest: rtName(name, false), Fields: message.AppendBinary(nil, payload)})
}

func (ownProtocol) ping(dst []byte) []byte {
	return message.AppendFrame(dst, &message.Message{Type: message.TypeKeepAliveCall})
}

func (ownProtocol) pong(dst []byte) []byte {
	return message.AppendFrame(dst, &message.Message{Type: message.TypeKeepAliveResult})
}

func (ownProtocol) next(b []byte, e *event) (int, error) {
	size, n, err := frame.ParseHeader(b, frame.MaxSize)
	if err != nil || n == 0 || len(b) < n+size {
		return 0, err
	}
	var m message.Message
	if err := message.Parse(b[n:n+size], &m); err != nil {
		return 0, err
	}
	*e = event{}
	switch m.Type {
	case message.TypeJMSBytes:
		e.kind = eventMessage
		_, e.payload = message.NATSPayload(&m)
	case message.TypeKeepAliveCall:
		e.kind = eventPing
	case message.TypeKeepAliveResult:
		e.kind = eventPong
	case message.TypeConnectResult:
		var w message.Welcome
		if err := message.ParseWelcome(&m, &w); err != nil {
			return 0, err
		}
		if w.Code != message.CodeOK {
			e.kind, e.text = eventEnd, w.Text
		}
	case message.TypeClientCloseCall:
		e.kind = eventEnd
		f, _, err := message.NextField(m.Fields)
		if err == nil {
			e.text, err = f.Text()
		}
		if err != nil {
			return 0, err
		}
	}
	return n + size, nil
}

// stream reads events from a connection that blocks.
type stream struct {
	protocol protocol
	conn     io.ReadWriter
	buf      []byte
	at, end  int // of what is not parsed yet
}

func newStream(p protocol, conn io.ReadWriter) *stream {
	const size = 2 << 10 // an INFO fits; it grows for what does not
	return &stream{protocol: p, conn: conn, buf: make([]byte, size)}
}

// next waits for the next event. It answers pings and does not return them. The event is valid until the next call.
func (s *stream) next(e *event) error {
	for {
		n, err := s.protocol.next(s.buf[s.at:s.end], e)
		if err != nil {
			return err
		}
		if n == 0 {
			if err := s.fill(); err != nil {
				return err
			}
			continue
		}
		s.at += n
		if e.kind != eventPing {
			return nil
		}
		if _, err := s.conn.Write(s.protocol.pong(nil)); err != nil {
			return err
		}
	}
}

func (s *stream) fill() error {
	s.end = copy(s.buf, s.buf[s.at:s.end])
	if s.at = 0; s.end == len(s.buf) {
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	n, err := s.conn.Read(s.buf[s.end:])
	s.end += n
	if n > 0 {
		return nil
	}
	return err
}

// rest is what was read and not parsed yet.
func (s *stream) rest() []byte { return s.buf[s.at:s.end] }

// enter introduces client number i and subscribes it. It returns when the server has handled that.
func (s *stream) enter(i int, subjects ...string) error {
	out := s.protocol.hello(nil, i)
	for _, name := range subjects {
		out = s.protocol.subscribe(out, name)
	}
	if _, err := s.conn.Write(s.protocol.ping(out)); err != nil {
		return err
	}
	return s.pong()
}

// pong waits for the answer to a ping.
func (s *stream) pong() error {
	for {
		var e event
		if err := s.next(&e); err != nil {
			return err
		}
		switch e.kind {
		case eventPong:
			return nil
		case eventEnd:
			return errors.New("the server says " + e.text)
		}
	}
}

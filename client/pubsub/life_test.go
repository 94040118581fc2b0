package pubsub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"roundhouse/codec"
	"roundhouse/codec/frame"
	"roundhouse/codec/message"
)

// TestReconnect loses the server twice: everything is subscribed again, and what was published meanwhile comes after that, in order.
func TestReconnect(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	w := newTold()
	c := f.connect(Options{MaxReconnectDelay: quick.MaxReconnectDelay, Callbacks: w.callbacks()})
	s, err := c.SubscribeChan(ctx, "/a/*")
	must(t, err)
	for i := range 1200 { // more than one batch
		_, err := c.Subscribe(ctx, fmt.Sprint("/many/", i), func(*Msg) {}, NoBalancing())
		must(t, err)
	}
	must(t, c.Flush(ctx))
	for round := range 2 {
		f.set(func() { f.away = true })
		f.drop()
		wantErr(t, await(t, "disconnect", w.disconnect), ErrDisconnected)
		if name, _ := c.Server(); name != "" {
			t.Error(name)
		}
		late, err := c.SubscribeChan(ctx, "/late")
		must(t, err)
		for i := range 100 {
			must(t, c.Publish(ctx, fmt.Sprint("/a/", i), nil))
		}
		must(t, c.Publish(ctx, "/late", nil))
		await(t, "an attempt that failed", w.err)
		f.set(func() { f.away = false })
		await(t, "reconnect", w.reconnect)
		for i := range 100 {
			m, err := s.Next(ctx)
			must(t, err)
			if m.Subject != fmt.Sprint("/a/", i) {
				t.Fatalf("round %d: %s where %d should be", round, m.Subject, i)
			}
		}
		if _, err := late.Next(ctx); err != nil {
			t.Error(err)
		}
		must(t, late.Unsubscribe())
		if there, balanced := f.subscribed("/many/1199"); !there || balanced {
			t.Error("not subscribed again")
		}
	}
	if h := f.helloNo(2); h.Instance != f.helloNo(0).Instance || h.LastServer != "/_server_1" || h.Unique != c.Subject() {
		t.Errorf("%v, last server %s", h, h.LastServer)
	}
	if n := c.Stats().Reconnects; n != 2 {
		t.Errorf("%d reconnects", n)
	}
	must(t, c.Close())
	if err := await(t, "closed", w.closed); err != nil {
		t.Error(err)
	}
	wantErr(t, c.Err(), ErrClosed)
}

// TestAway has a client without a server: what it may and may not do.
func TestAway(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	w := newTold()
	c := f.connect(Options{MaxReconnectDelay: time.Hour, ReconnectBuffer: 1000, Callbacks: w.callbacks()})
	f.set(func() { f.away = true })
	f.drop()
	await(t, "disconnect", w.disconnect)
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = c.Publish(ctx, "/a", make([]byte, 100))
	}
	wantErr(t, err, ErrBufferFull)
	_, err = c.Subscribe(ctx, "/a", func(*Msg) {})
	must(t, err)
	soon, stop := context.WithTimeout(ctx, 10*time.Millisecond)
	defer stop()
	wantErr(t, c.Flush(soon), context.DeadlineExceeded)
	wantErr(t, c.StopServer(ctx, message.StopNormal), ErrDisconnected)
	go func() { must(t, c.Close()) }() // ends soon; Flush waits for that
	wantErr(t, c.Flush(ctx), ErrClosed)
	<-c.Closed()
	wantErr(t, c.Publish(ctx, "/a", nil), ErrClosed)
	_, err = c.SubscribeChan(ctx, "/a")
	wantErr(t, err, ErrClosed)
	_, err = c.Request(ctx, "/a", nil)
	wantErr(t, err, ErrClosed)
	wantErr(t, c.Flush(ctx), ErrClosed)
	wantErr(t, c.Drain(ctx), ErrClosed)
	must(t, c.Close())
}

// TestNoReconnect ends with the first connection; what has come by then is still handled.
func TestNoReconnect(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	w := newTold()
	c := f.connect(Options{NoReconnect: true, Callbacks: w.callbacks()})
	s, err := c.SubscribeChan(ctx, "/a")
	must(t, err)
	f.set(func() {
		f.meet = func(p *fakePeer, m *message.Message) bool {
			if m.Type == message.TypeKeepAliveCall { // four messages, the reason, and the end
				for range 4 {
					p.send(message.Append(nil, &message.Message{Dest: []byte("/a"), Type: 1}))
				}
				p.send(closeCall("client too slow", message.CodeTooLarge))
				_ = p.nc.Close()
				return true
			}
			return false
		}
	})
	wantErr(t, c.Flush(ctx), ErrDisconnected)
	var said *ServerError
	if err := await(t, "closed", w.closed); !errors.As(err, &said) || said.Text != "client too slow" || said.Code != message.CodeTooLarge || !errors.As(c.Err(), &said) {
		t.Errorf("%v, %v", err, c.Err())
	}
	wantErr(t, await(t, "disconnect", w.disconnect), ErrDisconnected)
	n := 0
	for range s.Messages() {
		n++
	}
	if n != 4 {
		t.Errorf("%d messages", n)
	}
	wantErr(t, s.Unsubscribe(), nil)
}

// TestGarbage has servers that send what is no message: the connection is made anew.
func TestGarbage(t *testing.T) {
	for name, b := range map[string]string{
		"no frame":         "GET / HTTP/1.1\r\n\r\n",
		"no message":       "00000003abc",
		"bad lengths":      "00000016" + string(make([]byte, 12)) + "\xff\xff\x00\x00",
		"too large":        "99999999",
		"unsure batch":     string(message.EndFrame(message.AppendInt4(message.Append(message.BeginFrame(nil), &message.Message{Type: message.TypeBatchSubjectSetSubscribeResult}), 1), 0)),
		"a torn frame":     "00000020abc",
		"half a header":    "0000",
		"negative lengths": "-0000001",
	} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			f := newFake(t)
			w := newTold()
			c := f.connect(Options{MaxReconnectDelay: quick.MaxReconnectDelay, Callbacks: w.callbacks()})
			f.set(func() {
				f.meet = func(p *fakePeer, m *message.Message) bool {
					if m.Type != message.TypeInfo {
						return false
					}
					p.raw([]byte(b))
					if len(b) < 12 || strings.HasPrefix(name, "a torn") {
						_ = p.nc.Close()
					}
					return true
				}
			})
			must(t, c.PublishMsg(ctx, &Msg{Subject: "/a", Type: message.TypeInfo}))
			if err := await(t, "disconnect", w.disconnect); strings.HasPrefix(name, "too") && !errors.Is(err, codec.ErrTooLarge) {
				t.Error(err)
			}
			await(t, "reconnect", w.reconnect)
			must(t, c.Flush(ctx))
		})
	}
}

// TestPieces has messages that come byte by byte, and all at once.
func TestPieces(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	c := f.connect(Options{})
	s, err := c.SubscribeChan(ctx, "/a")
	must(t, err)
	var all []byte
	for i := range 20 {
		all = message.AppendFrame(all, &message.Message{Dest: []byte("/a"), Type: 1, Fields: bytes.Repeat([]byte{byte(i)}, i)})
	}
	f.set(func() {
		f.meet = func(p *fakePeer, m *message.Message) bool {
			if m.Type == message.TypeInfo {
				for _, b := range all {
					p.raw([]byte{b})
				}
				p.raw(all)
				p.raw(message.AppendFrame(nil, &message.Message{Dest: []byte("/a"), Type: 1, Fields: make([]byte, 3<<20)}))
				p.raw(all)
			}
			return m.Type == message.TypeInfo
		}
	})
	must(t, c.PublishMsg(ctx, &Msg{Subject: "/x", Type: message.TypeInfo}))
	for i := range 61 {
		m, err := s.Next(ctx)
		must(t, err)
		want := bytes.Repeat([]byte{byte(i % 20)}, i%20)
		switch {
		case i == 40:
			want = make([]byte, 3<<20)
		case i > 40:
			want = bytes.Repeat([]byte{byte((i - 41) % 20)}, (i-41)%20)
		}
		if !bytes.Equal(m.Fields, want) {
			t.Fatalf("message %d has %d bytes", i, len(m.Fields))
		}
	}
}

// TestKeepAlive has both ends ask, and a server that falls silent.
func TestKeepAlive(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	w := newTold()
	asked, answered := make(chan bool, 100), make(chan bool, 100)
	silent := false
	f.meet = func(_ *fakePeer, m *message.Message) bool {
		switch m.Type {
		case message.TypeKeepAliveCall:
			note(asked)
			f.mu.Lock()
			defer f.mu.Unlock()
			return silent
		case message.TypeKeepAliveResult:
			note(answered)
		}
		return false
	}
	c := f.connect(Options{ReadTimeout: 20 * time.Millisecond, KeepAliveTimeout: time.Second, MaxReconnectDelay: quick.MaxReconnectDelay, Callbacks: w.callbacks()})
	for range 3 {
		await(t, "a call", asked)
	}
	f.mu.Lock()
	for p := range f.peers {
		p.send(message.Append(nil, &message.Message{Type: message.TypeKeepAliveCall}))
		p.send(message.Append(nil, &message.Message{Type: message.TypeKeepAliveResult})) // that nobody wants
	}
	f.mu.Unlock()
	await(t, "an answer", answered)
	must(t, c.Flush(ctx))
	f.set(func() { silent = true })
	if err := await(t, "disconnect", w.disconnect); !errors.Is(err, ErrDisconnected) || !strings.Contains(err.Error(), "no sign of life") {
		t.Error(err)
	}
	await(t, "reconnect", w.reconnect)
	must(t, c.Close())
}

// TestFullOutput has a server that reads nothing: publishers wait, or go with their context, and Close does not wait for ever.
func TestFullOutput(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	reads := make(chan bool)
	f.meet = func(_ *fakePeer, m *message.Message) bool {
		if m.Type == message.TypeInfo {
			<-reads
		}
		return m.Type == message.TypeJMSBytes
	}
	c := f.connect(Options{WriteBuffer: 10_000})
	must(t, c.PublishMsg(ctx, &Msg{Subject: "/a", Type: message.TypeInfo}))
	data := make([]byte, 900_000)
	soon, stop := context.WithTimeout(ctx, 200*time.Millisecond)
	defer stop()
	var err error
	for err == nil {
		err = c.Publish(soon, "/a", data)
	}
	wantErr(t, err, context.DeadlineExceeded)
	published := make(chan error)
	go func() { published <- c.Publish(ctx, "/a", data) }() // ends when there is room
	close(reads)
	must(t, await(t, "publish", published))
	must(t, c.Flush(ctx))

	stuck := make(chan bool)
	f.set(func() {
		f.meet = func(*fakePeer, *message.Message) bool { <-stuck; return true }
	})
	for err = nil; err == nil; {
		soon, stop := context.WithTimeout(ctx, 50*time.Millisecond)
		err = c.Publish(soon, "/a", data)
		stop()
	}
	go func() { // ends with the connection: at the latest when there is no more room, it waits
		for {
			if err := c.Publish(ctx, "/a", data); err != nil {
				published <- err
				return
			}
		}
	}()
	must(t, c.Close())
	wantErr(t, await(t, "publish", published), ErrClosed)
	close(stuck)
}

// TestWriteTimeout has a server that takes nothing.
func TestWriteTimeout(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	w := newTold()
	stuck := make(chan bool)
	f.meet = func(_ *fakePeer, m *message.Message) bool {
		if m.Type == message.TypeInfo {
			<-stuck
		}
		return false
	}
	c := f.connect(Options{WriteTimeout: 50 * time.Millisecond, MaxReconnectDelay: quick.MaxReconnectDelay, ReconnectBuffer: 1 << 30, Callbacks: w.callbacks()})
	must(t, c.PublishMsg(ctx, &Msg{Subject: "/a", Type: message.TypeInfo}))
	data := make([]byte, 900_000)
	for i := 0; len(w.disconnect) == 0 && i < 100; i++ {
		must(t, c.Publish(ctx, "/a", data))
	}
	wantErr(t, await(t, "disconnect", w.disconnect), ErrDisconnected)
	close(stuck)
	await(t, "reconnect", w.reconnect)
	must(t, c.Close())
}

// TestUnsent has a connection that ends in the middle of its output.
func TestUnsent(t *testing.T) {
	var b []byte
	var ends []int
	for i := range 3 {
		b = message.AppendFrame(b, &message.Message{Dest: []byte("/a"), Type: message.Type(i + 1)})
		b = message.EndFrame(message.AppendDisconnect(message.BeginFrame(b), ""), len(b))
		ends = append(ends, len(b))
	}
	for n := range len(b) + 1 {
		at := sentFrames(b, n)
		if at > n || n-at >= frame.HeaderLen+message.HeaderLen+5 {
			t.Errorf("%d bytes sent: the next frame is at %d", n, at)
		}
		var m message.Message
		kept := appendPublished([]byte("x"), b[at:])[1:]
		for len(kept) > 0 {
			size, h, err := frame.ParseHeader(kept, frame.MaxSize)
			must(t, errors.Join(err, message.Parse(kept[h:h+size], &m)))
			if m.Type <= 0 {
				t.Errorf("%s is kept", m.Type)
			}
			kept = kept[h+size:]
		}
		if n < ends[1] && m.Type != 3 {
			t.Errorf("%d bytes sent: the last message is lost", n)
		}
	}
}

// slowReader gives one byte at a time.
type slowReader struct{ b []byte }

func (r *slowReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:1], r.b)
	r.b = r.b[n:]
	return n, nil
}

func TestInput(t *testing.T) {
	var want [][]byte
	var all []byte
	for i := range 50 {
		b := bytes.Repeat([]byte{byte(i)}, i*i*5)
		want = append(want, b)
		all = append(frame.AppendHeader(all, len(b)), b...)
	}
	for name, r := range map[string]io.Reader{"at once": bytes.NewReader(all), "in bytes": &slowReader{all}} {
		in := input{limit: 1 << 20}
		for i := 0; i < len(want); {
			payload, ok, err := in.next()
			if err != nil {
				t.Fatal(name, err)
			}
			if !ok {
				must(t, in.fill(r))
				continue
			}
			if !bytes.Equal(payload, want[i]) {
				t.Fatalf("%s: frame %d has %d bytes", name, i, len(payload))
			}
			i++
		}
		if err := in.fill(r); err != io.EOF {
			t.Error(name, err)
		}
	}
}

package pubsub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"roundhouse/codec/message"
)

// TestDrain has a client that answers requests while it drains.
func TestDrain(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	server, asker := f.connect(Options{}), f.connect(Options{})
	gate, first := make(chan bool), make(chan bool, 1)
	handled := 0
	_, err := server.Subscribe(ctx, "/work", func(m *Msg) {
		select {
		case first <- true:
		default:
		}
		<-gate
		handled++
		if err := m.Respond(ctx, m.Data); err != nil {
			t.Error(err)
		}
	})
	must(t, err)
	ch, err := server.SubscribeChan(ctx, "/...")
	must(t, err)
	must(t, server.Flush(ctx))
	answers, err := asker.SubscribeChan(ctx, "/answers")
	must(t, err)
	for i := range 100 {
		must(t, asker.PublishMsg(ctx, &Msg{Subject: "/work", Reply: "/answers", Data: []byte(fmt.Sprint(i))}))
	}
	must(t, asker.Flush(ctx))
	await(t, "the first", first)
	var all sync.WaitGroup
	all.Go(func() { must(t, server.Drain(ctx)) })
	eventually(t, "the subscription ends", func() bool { there, _ := f.subscribed("/work"); return !there })
	_, err = server.Subscribe(ctx, "/more", func(*Msg) {})
	wantErr(t, err, ErrClosed)
	wantErr(t, server.Drain(ctx), ErrClosed)
	close(gate)
	n := 0
	for range ch.Messages() {
		n++
	}
	all.Wait()
	if handled != 100 || n != 100 {
		t.Errorf("%d handled, %d in the channel", handled, n)
	}
	for i := range 100 {
		m, err := answers.Next(ctx)
		must(t, err)
		if string(m.Data) != fmt.Sprint(i) {
			t.Errorf("answer %d: %s", i, m.Data)
		}
	}
	wantErr(t, server.Publish(ctx, "/a", nil), ErrClosed)
}

// TestDrainLate has a callback that does not return in time.
func TestDrainLate(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	c := f.connect(Options{})
	gate, runs := make(chan bool), make(chan bool, 10)
	s, err := c.Subscribe(ctx, "/a", func(*Msg) { runs <- true; <-gate })
	must(t, err)
	other, err := c.Subscribe(ctx, "/b", func(*Msg) { runs <- true; <-gate })
	must(t, err)
	for _, name := range []string{"/a", "/a", "/b"} {
		must(t, c.Publish(ctx, name, nil))
	}
	await(t, "callback", runs)
	await(t, "callback", runs)
	soon, stop := context.WithTimeout(ctx, 20*time.Millisecond)
	defer stop()
	wantErr(t, s.Drain(soon), context.DeadlineExceeded)
	again, stop := context.WithTimeout(ctx, 20*time.Millisecond)
	defer stop()
	wantErr(t, c.Drain(again), context.DeadlineExceeded)
	wantErr(t, other.Unsubscribe(), nil)
	close(gate)
	must(t, s.queue.drain(ctx))
	must(t, other.queue.drain(ctx))
	if len(runs) > 0 {
		t.Error("the second message was handled")
	}
}

// TestCloseInCallback closes from every callback that may.
func TestCloseInCallback(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	for i := range 3 {
		closed := make(chan bool)
		var c *Conn
		ready := make(chan bool)
		end := func() { <-ready; must(t, c.Close()); close(closed) }
		o := quick
		switch i {
		case 1:
			o.Callbacks.Disconnect = func(error) { end() }
		case 2:
			o.Callbacks.Reconnect = func(string) { end() }
		}
		c = f.connect(o)
		close(ready)
		if i == 0 {
			_, err := c.Subscribe(ctx, "/a", func(*Msg) { end() })
			must(t, err)
			must(t, c.Publish(ctx, "/a", nil))
		} else {
			f.drop()
		}
		await(t, "close", func() chan bool {
			done := make(chan bool, 1)
			go func() { <-closed; done <- true }() // ends with the callback
			return done
		}())
	}
}

// TestClose sends what was published, and nothing is called afterwards.
func TestClose(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	c, other := f.connect(Options{}), f.connect(Options{})
	got, err := other.SubscribeChan(ctx, "/a")
	must(t, err)
	must(t, other.Flush(ctx))
	own, err := c.SubscribeChan(ctx, "/...")
	must(t, err)
	var left []string
	f.set(func() {
		f.meet = func(_ *fakePeer, m *message.Message) bool {
			if m.Type == message.TypeDisconnect {
				mode, err := message.ParseDisconnect(m)
				left = append(left, fmt.Sprint(mode, err))
			}
			return false
		}
	})
	const messages = 300 // the server has two seconds to take them
	for range messages {
		must(t, c.Publish(ctx, "/a", make([]byte, 100)))
	}
	must(t, c.Close())
	for range messages {
		_, err := got.Next(ctx)
		must(t, err)
	}
	for range own.Messages() { // closed
	}
	if _, err := own.Next(ctx); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	f.set(func() { f.meet = nil })
	if len(left) != 1 || left[0] != "gmd_failure<nil>" {
		t.Error(left)
	}
	must(t, c.Close())
}

// TestCloseIsNoLoss: that the server answers the farewell by closing the connection is not taken for a loss, however soon it does.
func TestCloseIsNoLoss(t *testing.T) {
	f := newFake(t)
	for range 200 {
		w := newTold()
		c := f.connect(Options{MaxReconnectDelay: quick.MaxReconnectDelay, Callbacks: w.callbacks()})
		must(t, c.Close())
		if err := await(t, "closed", w.closed); err != nil || len(w.disconnect) > 0 {
			t.Fatalf("closed: %v; %d times told of a loss", err, len(w.disconnect))
		}
	}
}

// TestSlow has a subscription that is not read: what it has no room for is dropped and counted, and another one is not held up.
func TestSlow(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	w := newTold()
	c := f.connect(Options{Callbacks: w.callbacks()})
	gate := make(chan bool)
	byMsgs, err := c.Subscribe(ctx, "/a", func(*Msg) { <-gate }, Queue(10, 0))
	must(t, err)
	byBytes, err := c.Subscribe(ctx, "/a", func(*Msg) { <-gate }, Queue(0, 1000))
	must(t, err)
	quickOne, err := c.SubscribeChan(ctx, "/a")
	must(t, err)
	for range 50 {
		must(t, c.Publish(ctx, "/a", make([]byte, 100)))
	}
	for range 50 {
		_, err := quickOne.Next(ctx)
		must(t, err)
	}
	must(t, c.Flush(ctx))
	if byMsgs.Pending() != 10 || byMsgs.Dropped() != 40 || byBytes.Pending() != 9 || byBytes.Dropped() != 41 || c.Stats().Dropped != 81 || quickOne.Dropped() != 0 {
		t.Errorf("%d and %d wait, %d and %d are dropped, %d in all", byMsgs.Pending(), byBytes.Pending(), byMsgs.Dropped(), byBytes.Dropped(), c.Stats().Dropped)
	}
	for range 2 {
		wantErr(t, await(t, "error", w.err), ErrSlow)
	}
	close(gate)
	eventually(t, "the queues are empty", func() bool { return byMsgs.Pending()+byBytes.Pending() == 0 })
	must(t, c.Publish(ctx, "/a", make([]byte, 2000))) // larger than the queue, which is empty
	eventually(t, "the large one", func() bool { return byBytes.Delivered() == 10 && byMsgs.Delivered() == 11 })
	if len(w.err) > 0 {
		t.Error(<-w.err)
	}
}

// TestInline runs the callback where the connection is read.
func TestInline(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	c := f.connect(Options{})
	n := 0
	s, err := c.Subscribe(ctx, "/a", func(m *Msg) {
		if n++; n == 5 {
			must(t, m.Subscription().Unsubscribe())
		}
	}, Inline())
	must(t, err)
	for range 10 {
		must(t, c.Publish(ctx, "/a", nil))
	}
	must(t, c.Flush(ctx))
	if n != 5 || s.Delivered() != 5 {
		t.Errorf("%d calls, %d", n, s.Delivered())
	}
}

// TestDenied has a subscription that the server does not make.
func TestDenied(t *testing.T) {
	ctx := testContext(t)
	w := newTold()
	c := newFake(t).connect(Options{Callbacks: w.callbacks()})
	_, err := c.Subscribe(ctx, "/denied", func(*Msg) {})
	must(t, err)
	var said *ServerError
	if err := await(t, "error", w.err); !errors.As(err, &said) || said.Code != message.CodeDenied {
		t.Error(err)
	}
}

func TestQueue(t *testing.T) {
	ctx := testContext(t)
	var got []int
	finished := make(chan bool, 2)
	q := queue[int]{handle: func(i int) { got = append(got, i) }, finish: func() { finished <- true }}
	for i := range 10_000 {
		if !q.push(i) {
			t.Fatal("it takes nothing")
		}
	}
	must(t, q.drain(ctx))
	for i := range got {
		if got[i] != i {
			t.Fatalf("%d at %d", got[i], i)
		}
	}
	q.end(false)
	q.end(true)
	await(t, "finish", finished)
	must(t, q.drain(ctx))
	if q.push(1) || len(finished) > 0 || len(got) != 10_000 {
		t.Error("not at its end")
	}
}

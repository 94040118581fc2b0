package loop

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// whim is a session that takes what it likes of its input and pauses when it likes.
type whim struct {
	funcSession
	rng   *rand.Rand
	got   []byte
	lines bool
	shown int // how much of the stream it was ever shown
}

func (s *whim) Data(c *Conn, in []byte) (int, error) {
	s.shown = max(s.shown, len(s.got)+len(in))
	n := 0
	switch {
	case s.lines: // all complete lines, or one
		if n = bytes.LastIndexByte(in, '\n') + 1; s.rng.IntN(3) == 0 {
			n = bytes.IndexByte(in, '\n') + 1
			c.Again()
		}
	case s.rng.IntN(3) > 0:
		n = s.rng.IntN(len(in) + 1)
	}
	s.got = append(s.got, in[:n]...)
	switch s.rng.IntN(8) {
	case 0:
		c.Pause()
	case 1:
		c.Resume()
	}
	if n == 0 && !s.lines && s.rng.IntN(2) == 0 {
		c.Again()
	}
	return n, nil
}

// Whatever a session takes and however the stream is cut: it sees each byte, in order, once it is taken.
func TestInputIsStitched(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 0))
		s := &whim{rng: rng, lines: seed%2 == 0}
		l := bareLoop()
		l.group.log = discardLog()
		c := bareConn(l, s)
		stream := make([]byte, 1+rng.IntN(1<<13))
		for i := range stream {
			stream[i] = byte(i>>8) ^ byte(i)
			if rng.IntN(200) == 0 {
				stream[i] = '\n'
			}
		}
		stream[len(stream)-1] = '\n'
		callback := func(f func()) {
			l.turn.enter()
			f()
			l.turn.leave()
		}
		for rest := stream; len(rest) > 0; {
			n := min(len(rest), 1+rng.IntN(1<<rng.IntN(12)))
			read := bytes.Clone(rest[:n]) // the loop's buffer: overwritten after the callback
			callback(func() { c.in.received(read) })
			clear(read)
			rest = rest[n:]
			if rng.IntN(3) == 0 {
				callback(c.Resume)
			}
			if !c.Paused() && s.lines && bytes.IndexByte(unread(c), '\n') >= 0 && s.shown < len(stream)-len(rest) {
				t.Fatalf("seed %d: input is kept back", seed)
			}
		}
		for range 100_000 {
			if len(s.got) == len(stream) {
				break
			}
			callback(c.Resume)
		}
		if !bytes.Equal(s.got, stream) {
			t.Fatalf("seed %d: %d of %d bytes, or others", seed, len(s.got), len(stream))
		}
		if n := l.group.stats.panics.Load(); n != 0 {
			t.Fatalf("seed %d: %d panics", seed, n)
		}
	}
}

// unread is the input that is kept.
func unread(c *Conn) []byte {
	if c.in.buf == nil {
		return nil
	}
	return c.in.buf.B[c.in.taken:]
}

// A session that asks in Data to be offered the rest again gets it, although the rest is known only when Data returns.
func TestAgainInData(t *testing.T) {
	for name, ask := range map[string]func(*Conn){
		"again":   (*Conn).Again,
		"resume":  (*Conn).Resume,
		"both":    func(c *Conn) { c.Pause(); c.Resume() },
		"session": func(c *Conn) { c.SetSession(c.Session()) },
	} {
		l := bareLoop()
		var got []byte
		c := bareConn(l, &funcSession{data: func(c *Conn, in []byte) (int, error) {
			got = append(got, in[0])
			ask(c)
			return 1, nil
		}})
		l.turn.enter()
		c.in.received([]byte("abc"))
		l.turn.leave()
		if string(got) != "abc" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// Resume in Data on a connection that is not paused must not go round and round when nothing is taken.
func TestResumeWithoutProgress(t *testing.T) {
	l := bareLoop()
	calls := 0
	c := bareConn(l, &funcSession{data: func(c *Conn, in []byte) (int, error) {
		calls++
		c.Resume()
		return 0, nil
	}})
	l.turn.enter()
	c.in.received([]byte("abc"))
	l.turn.leave()
	if calls != 1 {
		t.Errorf("%d calls", calls)
	}
}

func TestDataErrorClosesAfterOutput(t *testing.T) {
	g := newGroup(t, 1)
	broken, closed := errors.New("broken"), make(chan error, 2)
	addr := listen(t, g, AcceptOptions{Open: func(*Conn) Session {
		return &funcSession{
			data:   func(c *Conn, in []byte) (int, error) { c.Write([]byte("sorry\n")); return 0, broken },
			closed: func(_ *Conn, err error) { closed <- err },
		}
	}})
	nc := dial(t, addr)
	if got := ask(nc, "x"); got != "sorry" {
		t.Errorf("the output is lost: %q", got)
	}
	nc.Close()
	if err := receive(t, "Closed", closed); err != broken {
		t.Errorf("Closed got %v", err)
	}
	nc = dial(t, addr) // and when the peer goes on talking
	for {
		if _, err := nc.Write(make([]byte, 64<<10)); err != nil {
			break
		}
	}
	if err := receive(t, "Closed", closed); err != broken {
		t.Errorf("Closed got %v", err)
	}
}

func TestResetEndsWithError(t *testing.T) {
	g := newGroup(t, 1)
	closed := make(chan error, 1)
	_, nc := pair(t, g.Loops()[0], "tcp", &funcSession{closed: func(_ *Conn, err error) { closed <- err }})
	reset(t, nc)
	if err := receive(t, "Closed", closed); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("Closed got %v", err)
	}
}

func TestDataTakesTooMuch(t *testing.T) {
	for _, n := range []int{-1, 4} {
		g := newGroup(t, 1)
		closed := make(chan error, 1)
		_, nc := pair(t, g.Loops()[0], "tcp", &funcSession{
			data:   func(c *Conn, in []byte) (int, error) { return n, nil },
			closed: func(_ *Conn, err error) { closed <- err },
		})
		if _, err := nc.Write([]byte("abc")); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, "Closed", closed); err != errPanic {
			t.Errorf("Closed got %v", err)
		}
	}
}

package loop

import (
	"net"
	"testing"
)

// bomb is a session that panics where it is told to.
type bomb struct {
	where  string
	closed chan error
}

func (b *bomb) at(where string) {
	if b.where == where {
		panic(where)
	}
}

func (b *bomb) Data(c *Conn, in []byte) (int, error) {
	b.at("Data")
	c.SetWatermarks(10, 1)
	c.Write(make([]byte, 100)) // Drained follows
	return len(in), nil
}
func (b *bomb) Drained(*Conn)          { b.at("Drained") }
func (b *bomb) BeforeFlush(*Conn)      { b.at("BeforeFlush") }
func (b *bomb) InputClosed(*Conn) bool { b.at("InputClosed"); return false }
func (b *bomb) Closed(_ *Conn, err error) {
	b.closed <- err
	b.at("Closed")
}

// A panic in a session ends its connection and nothing else.
func TestPanicInSession(t *testing.T) {
	g := newGroup(t, 1)
	l := g.Loops()[0]
	_, other := pair(t, l, "tcp", &funcSession{data: echo})
	for i, where := range []string{"Data", "Drained", "BeforeFlush", "InputClosed", "Closed"} {
		b := &bomb{where: where, closed: make(chan error, 2)}
		_, nc := pair(t, l, "tcp", b)
		// It may be reset before, between or after.
		_, _ = nc.Write([]byte("x"))
		_ = nc.(*net.TCPConn).CloseWrite()
		want := errPanic
		if where == "Closed" {
			want = nil
		}
		if err := receive(t, "Closed", b.closed); err != want {
			t.Errorf("%s: Closed got %v", where, err)
		}
		if ask(other, where) != where {
			t.Fatalf("%s: another connection is not served", where)
		}
		if n := g.Stats().Panics; n != int64(i+1) {
			t.Errorf("%s: %d panics counted", where, n)
		}
		if g.Stats().Open != 1 || len(b.closed) > 0 {
			t.Errorf("%s: %d open, Closed called %d more times", where, g.Stats().Open, len(b.closed))
		}
	}
}

// A panic in what Move runs, and in a timer.
func TestPanicElsewhere(t *testing.T) {
	g := newGroup(t, 2)
	b := &bomb{closed: make(chan error, 2)}
	c, _ := pair(t, g.Loops()[0], "tcp", b)
	onLoop(g.Loops()[0], func() { c.Move(g.Loops()[1], func(*Conn) { panic("moved") }) })
	if err := receive(t, "Closed", b.closed); err != errPanic {
		t.Errorf("Closed got %v", err)
	}
	fired := make(chan int)
	onLoop(g.Loops()[1], func() {
		g.Loops()[1].NewTimer(func() { panic("timer") }).Arm(0)
		g.Loops()[1].NewTimer(func() { close(fired) }).Arm(0)
	})
	receive(t, "the next timer", fired)
	if n := g.Stats().Panics; n != 2 {
		t.Errorf("%d panics counted", n)
	}
}

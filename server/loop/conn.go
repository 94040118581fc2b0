package loop

// Session is one connection's protocol state. All its methods run on the connection's loop, one at a time.
type Session interface {
	// Data handles the unread input and returns how many bytes of it are done. The slice is valid only during the call.
	// What is left is offered again, with what follows it, when more arrives or after Resume or Again. An error closes the
	// connection after its output, and is what Closed gets.
	Data(c *Conn, in []byte) (done int, err error)
	// Drained tells that the output fell below the low watermark after it had passed the high one.
	Drained(c *Conn)
	// Closed is the last call. err is nil after a close of ours.
	Closed(c *Conn, err error)
}

// InputCloser is implemented by sessions that want to know that the peer ended its side. The connection stays open for output
// when InputClosed returns true; then it is the session that closes it. Other sessions are closed after their output.
type InputCloser interface {
	InputClosed(c *Conn) (keep bool)
}

// Flusher is implemented by sessions that add something to their output before it goes out at the end of a callback or a turn.
// It is never called inside another callback of the session: large output that goes out earlier goes without.
type Flusher interface {
	BeforeFlush(c *Conn)
}

type connState uint8

const (
	connOpening   connState = iota // dialled, accepted or moved, not yet on its loop
	connOpen                       // serves
	connFlushing                   // Close was called: the output goes out, input is thrown away
	connLingering                  // our side has ended, the peer's not yet
	connDead                       // to be closed at the end of the callback
	connClosed
)

// Conn is one connection. It is owned by its loop: all methods but ID may be called there only.
//
// Its parts have rules of their own, each in the file of that name. They reach each other through the Conn.
type Conn struct {
	// Fixed at open.
	id uint64
	address
	acceptor *Acceptor // that counts the connection; nil when dialled or adopted
	tls      *tlsState // nil on a plain connection

	// Owned by the loop.
	loop    *Loop
	session guarded
	sock    socket
	in      input
	out     output
	peer    peerEnd
	arrival *arrival // on the way to its loop; nil when there
	ending  *ending  // from Close on
	err     error    // why it died
	state   connState
}

// newConn makes a connection that is not on its loop yet. Any goroutine.
func newConn(l *Loop) *Conn {
	g := l.group
	c := &Conn{id: g.connIDs.Add(1), loop: l}
	c.sock.fd = -1
	c.in.c, c.out.c, c.peer.c = c, c, c
	c.SetWatermarks(DefaultHigh, DefaultLow)
	g.stats.open.Add(1)
	return c
}

// ID is unique in the process. Any goroutine may ask.
func (c *Conn) ID() uint64 { return c.id }

// Loop is the loop that owns the connection.
func (c *Conn) Loop() *Loop { return c.loop }

// Session is what SetSession, accepting or dialling has set.
func (c *Conn) Session() Session { return c.session.own }

// SetSession replaces the session: another protocol goes on from here. In Data, the new session is offered what is left.
func (c *Conn) SetSession(s Session) {
	c.in.wantsAgain = true
	c.session.set(s)
}

// Closing tells that Close or Abort was called, or that the connection is broken: writes do nothing.
func (c *Conn) Closing() bool { return c.state != connOpen && c.state != connOpening }

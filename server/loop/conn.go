package loop

import (
	"errors"
	"net/netip"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/valyala/bytebufferpool"
	"golang.org/x/sys/unix"
)

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

// Default watermarks of a connection's output, in bytes.
const (
	DefaultHigh = 256 << 10
	DefaultLow  = 64 << 10
)

const (
	flushAt       = 64 << 10         // bytes of output that go out without waiting for the end of the callback
	closeStall    = 30 * time.Second // a closing connection whose peer takes nothing for so long is cut
	lingerTime    = 2 * time.Second  // how long a closed connection still reads, so that the peer sees our last bytes and no reset
	lingerBytes   = 1 << 20          // how much it reads and throws away
	handshakeTime = 10 * time.Second // how long a TLS handshake may take
)

// ErrAborted is what a session's Closed gets after Abort(nil).
var ErrAborted = errors.New("loop: aborted")

type connState uint8

const (
	connOpening   connState = iota // dialled or accepted, not yet on its loop
	connOpen                       // serves
	connFlushing                   // Close was called: the output goes out, input is thrown away
	connLingering                  // our side has ended, the peer's not yet
	connDead                       // to be closed at the end of the callback
	connClosed
)

// Conn is one connection. It is owned by its loop: all methods but ID may be called there only.
type Conn struct {
	// Fixed at open.
	id     uint64
	remote netip.AddrPort

	// Owned by the loop.
	loop     *Loop
	gc       gnet.Conn // nil when gnet does not read it: moving, or the peer has ended its side
	fd       int       // what we write to; -1 when there is none
	session  Session
	flusher  Flusher
	in       *bytebufferpool.ByteBuffer // input that the session left; nil when none
	out      *bytebufferpool.ByteBuffer // output not yet taken by the socket; nil when none
	tls      *tlsState                  // nil on a plain connection
	err      error                      // why it died
	timer    *Timer                     // of closing; nil until then
	open     func(*Conn, error) Session // called once, when the connection is on its loop
	moveTo   *Loop                      // set between Move and the end of the callback
	acceptor *Acceptor                  // that counts the connection; nil when dialled or adopted
	sent     int                        // bytes at the front of out that are gone; 0 <= sent <= len(out)
	high     int
	low      int
	taken    int // bytes at the front of in that the session has taken; 0 <= taken <= len(in)
	thrown   int // input thrown away while lingering, in bytes
	stalled  int // bytes that were unsent when the closing timer was set
	state    connState

	paused, above, isBlocked, watched      bool
	batched, queuedOut, queuedAgain        bool // queued...: is in its loop's list of that name
	inFlush, inData, wantsAgain, mayAgain  bool // wantsAgain, mayAgain: what was asked for during Data
	inputEnded, keeps, hungUp, staysPaused bool // keeps: what InputClosed said; hungUp: the peer is gone, input is left
}

// ID is unique in the process. Any goroutine may ask.
func (c *Conn) ID() uint64 { return c.id }

// Loop is the loop that owns the connection.
func (c *Conn) Loop() *Loop { return c.loop }

// Remote is the peer's address; invalid for a Unix socket.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// Session is what SetSession, accepting or dialling has set.
func (c *Conn) Session() Session { return c.session }

// SetSession replaces the session: another protocol goes on from here. In Data, the new session is offered what is left.
func (c *Conn) SetSession(s Session) {
	c.wantsAgain = true
	c.session = s
	c.flusher, _ = s.(Flusher)
}

// SetWatermarks sets the output watermarks, in bytes; 0 <= low < high.
func (c *Conn) SetWatermarks(high, low int) { c.high, c.low = high, low }

// SetBatch makes the output go out at the end of the turn, with what other connections' callbacks add to it, and not at the
// end of the callback.
func (c *Conn) SetBatch(on bool) { c.batched = on }

// Closing tells that Close or Abort was called, or that the connection is broken: writes do nothing.
func (c *Conn) Closing() bool { return c.state != connOpen && c.state != connOpening }

// Pending is the output that the socket has not yet taken, in bytes.
func (c *Conn) Pending() int {
	n := 0
	if c.out != nil {
		n = len(c.out.B) - c.sent
	}
	if c.tls != nil {
		n += c.tls.plainLen()
	}
	return n
}

// High tells that the output is above the high watermark: Drained will follow, the session should produce no more.
func (c *Conn) High() bool { return c.above }

// Unread is the input that the session left, in bytes.
func (c *Conn) Unread() int {
	if c.in == nil {
		return 0
	}
	return len(c.in.B) - c.taken
}

// InputEnded tells that the peer has ended its side: no Data will follow but for what is left unread.
func (c *Conn) InputEnded() bool { return c.inputEnded }

// Pause stops reading. At most one read's worth that is on its way may still be kept; Data is not called.
func (c *Conn) Pause() {
	if !c.paused {
		c.paused = true
		c.setMask()
	}
}

// Resume starts reading again and offers what was left unread, at the end of the current callback. In Data, on a connection
// that is not paused, it does so only when Data made progress.
func (c *Conn) Resume() {
	switch {
	case c.paused:
		c.paused = false
		c.setMask()
		c.Again()
	case c.inData:
		c.mayAgain = true
	default:
		c.Again()
	}
}

// Again offers the unread input to the session once more, at the end of the current callback.
func (c *Conn) Again() {
	switch {
	case c.inData: // what is unread is known when Data returns
		c.wantsAgain = true
	case c.Unread() > 0 || c.tls != nil || c.hungUp:
		c.queueAgain()
	}
}

func (c *Conn) queueAgain() {
	if !c.queuedAgain && c.state == connOpen {
		c.queuedAgain = true
		c.loop.turn.again = append(c.loop.turn.again, c)
	}
}

// Paused tells whether reading is stopped.
func (c *Conn) Paused() bool { return c.paused }

// setMask sets what gnet's epoll reports of the connection. gnet never changes it: it does so only when it writes, and it
// does not write.
func (c *Conn) setMask() {
	if c.gc == nil {
		return
	}
	ev := unix.EpollEvent{Fd: int32(c.fd), Events: unix.EPOLLIN | unix.EPOLLPRI}
	if c.paused {
		ev.Events = 0 // errors and hang-ups are reported all the same
	}
	if err := unix.EpollCtl(c.loop.epfd, unix.EPOLL_CTL_MOD, c.fd, &ev); err != nil {
		c.fail(err)
	}
}

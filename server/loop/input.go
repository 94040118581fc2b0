package loop

import (
	"github.com/valyala/bytebufferpool"
	"golang.org/x/sys/unix"
)

// input is what a connection has read and its session has not taken yet, and whether it reads at all. What is kept is what the
// session left of one read, and that read: a session that leaves more and more has to pause, or to close.
type input struct {
	c     *Conn
	buf   *bytebufferpool.ByteBuffer // what the session left; nil when nothing
	taken int                        // bytes at the front of buf that the session has taken; 0 <= taken <= len(buf)

	paused     bool
	inTurn     bool // paused by the rota, until it is its turn
	queued     bool // is in its turn's list again
	inData     bool
	wantsAgain bool // asked for during Data
	mayAgain   bool // asked for during Data, if that makes progress
}

// Unread is the input that the session left, in bytes.
func (c *Conn) Unread() int {
	if c.in.buf == nil {
		return 0
	}
	return len(c.in.buf.B) - c.in.taken
}

// Pause stops reading. At most one read's worth that is on its way may still be kept; Data is not called.
func (c *Conn) Pause() {
	c.in.inTurn = false
	if !c.in.paused {
		c.in.paused = true
		c.in.setMask()
	}
}

// Resume starts reading again and offers what was left unread, at the end of the current callback. In Data, on a connection
// that is not paused, it does so only when Data made progress.
func (c *Conn) Resume() {
	switch {
	case c.in.paused:
		c.in.paused, c.in.inTurn = false, false
		c.in.setMask()
		c.Again()
	case c.in.inData:
		c.in.mayAgain = true
	default:
		c.Again()
	}
}

// Again offers the unread input to the session once more, at the end of the current callback.
func (c *Conn) Again() {
	switch {
	case c.in.inData: // what is unread is known when Data returns
		c.in.wantsAgain = true
	case c.Unread() > 0 || c.tls != nil || c.peer.hungUp:
		c.in.queue()
	}
}

// Paused tells whether reading is stopped.
func (c *Conn) Paused() bool { return c.in.paused }

// setMask has gnet read the connection, or not.
func (in *input) setMask() {
	if err := in.c.sock.setMask(in.c.loop.epfd, in.paused); err != nil {
		in.c.fail(err)
	}
}

// queue has what is unread offered at the end of the callback.
func (in *input) queue() {
	if !in.queued && in.c.state == connOpen {
		in.queued = true
		in.c.loop.turn.addAgain(in.c)
	}
}

// received takes b, which is valid until it returns.
func (in *input) received(b []byte) {
	c := in.c
	switch {
	case c.tls == nil && c.state == connOpen:
		in.offer(b)
	case c.state == connOpen:
		c.tls.incoming(b)
		c.tls.pump(c)
	case c.state == connLingering:
		c.ending.throwAway(len(b))
	}
}

// resume offers what is unread.
func (in *input) resume() {
	if in.c.tls != nil {
		in.c.tls.pump(in.c)
		return
	}
	in.offer(nil)
}

// offer gives the session what was left unread and then b. Left-over bytes are joined with as little of b as completes them,
// so that the bulk of b is never copied.
func (in *input) offer(b []byte) {
	c := in.c
	if c.state != connOpen {
		return
	}
	if in.paused {
		in.keep(b)
		return
	}
	if c.Unread() > 0 {
		b = in.offerJoined(b)
		if in.paused || c.state != connOpen {
			in.keep(b)
			return
		}
	}
	if len(b) == 0 {
		return
	}
	if n, ok := in.data(b); ok && n < len(b) {
		in.keep(b[n:])
	}
}

// offerJoined works off the left-over bytes. It returns what is then unread of b, or nil when all of b is kept or gone.
func (in *input) offerJoined(b []byte) []byte {
	const first = 512 // bytes: completes most left-overs, which are parts of a line or of a frame's header
	for take := min(first, len(b)); ; take = min(2*take, len(b)) {
		in.compact()
		left, from := in.buf, in.taken
		in.buf, in.taken = nil, 0
		old := len(left.B)
		left.B = append(left.B, b[:take]...)
		n, ok := in.data(left.B[from:])
		if !ok {
			bytebufferpool.Put(left)
			return nil
		}
		if from+n >= old { // the left-over bytes are gone: go on in b itself
			bytebufferpool.Put(left)
			if take < len(b) {
				return b[from+n-old:]
			}
			in.keep(b[from+n-old:]) // the session has seen it
			return nil
		}
		left.B = left.B[:old]
		in.buf, in.taken = left, from+n
		if take == len(b) || in.paused || n > 0 {
			in.keep(b)
			if n > 0 && take < len(b) {
				in.c.Again() // the session has not seen all of it
			}
			return nil
		}
	}
}

// data has the session handle b. It returns how much of it is done; ok is false when nothing of the rest is to be kept. It does not
// go through guarded: one more call is a tenth of BenchmarkInput.
func (in *input) data(b []byte) (n int, ok bool) {
	c := in.c
	defer contain(c)
	in.inData, in.wantsAgain, in.mayAgain = true, false, false
	n, err := c.session.own.Data(c, b)
	in.inData = false
	if uint(n) > uint(len(b)) {
		panic("BUG: Data took more than there was")
	}
	if err != nil {
		c.err = err
		c.Close()
		return 0, false
	}
	if n < len(b) && (in.wantsAgain || in.mayAgain && n > 0) {
		in.queue()
	}
	return n, c.state == connOpen
}

// compact moves the unread input to the front when that is worth the copy.
func (in *input) compact() {
	if in.taken > len(in.buf.B)/2 {
		n := copy(in.buf.B, in.buf.B[in.taken:])
		in.buf.B, in.taken = in.buf.B[:n], 0
	}
}

// keep stores input that the session has not taken.
func (in *input) keep(b []byte) {
	if len(b) == 0 || in.c.state != connOpen {
		return
	}
	if in.buf == nil {
		in.buf = bytebufferpool.Get()
	}
	in.buf.B = append(in.buf.B, b...)
}

// readRest keeps what the socket holds.
func (in *input) readRest() {
	c := in.c
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(c.sock.fd, buf)
		switch {
		case n > 0 && c.tls != nil:
			c.tls.mem.kept = append(c.tls.mem.kept, buf[:n]...)
		case n > 0:
			in.keep(buf[:n])
		case err != unix.EINTR:
			return
		}
		c.loop.bytesIn.Add(int64(max(n, 0)))
	}
}

func (in *input) release() {
	if in.buf != nil {
		bytebufferpool.Put(in.buf)
		in.buf, in.taken = nil, 0
	}
}

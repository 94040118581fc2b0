package laneio

import (
	"roundhouse/codec/lane"
)

// MaxPad is the most padding after a burst, in bytes.
const MaxPad = 1 << 20

// SetPad makes a pad packet of size bytes follow each burst, so that a proxy which passes on full buffers only passes the burst on.
// 0 or less: none, which is how an End begins; at most MaxPad. A socket needs none and gets none.
func (e *End) SetPad(size int) {
	e.pad = min(max(size, 0), MaxPad)
	e.special = e.special || e.pad > 0
}

// sendSpecial is the end of SendData for what is not just chunked.
func (e *End) sendSpecial(flags lane.Flags, stream uint32, data []byte) {
	e.buf = lane.AppendHead(e.buf, lane.OpData, flags, stream, len(data))
	e.write(data)
	if e.pad > 0 && e.socket == nil {
		e.unpadded = true
		e.out.WantFlush()
	}
}

// flushSpecial is flush for what is not just chunked.
func (e *End) flushSpecial() {
	if len(e.buf) == 0 && !e.unpadded {
		return
	}
	if e.pad > 0 && e.socket == nil && !e.exhausted() {
		e.appendPad()
	}
	wasFull := len(e.buf) > high
	e.write(nil)
	if wasFull && !e.closing && !e.Full() { // as in flush
		e.handler.Writable()
	}
}

// write sends the packets of the turn and, after them, data, in the framing of out.
func (e *End) write(data []byte) {
	switch {
	case e.socket != nil:
		e.socket.write(e, data)
	case e.lengthOut != nil:
		e.writeLength(data)
	default:
		e.out.Writev(appendChunkHead(e.scratch[:0], len(e.buf)+len(data)), e.buf, data, crlf)
		e.resetBuf()
	}
}

// appendPad appends pad packets that are as long as the padding is to be, or little more.
func (e *End) appendPad() {
	e.unpadded = false
	for left := e.pad; left > 0; {
		size := min(max(left-lane.HeadLen, 0), lane.MaxControl)
		e.buf = lane.AppendHead(e.buf, lane.OpPad, 0, 0, size)
		e.buf = append(e.buf, zeros[:size]...)
		left -= lane.HeadLen + size
	}
}

var zeros [lane.MaxControl]byte

// writeEnd says that nothing more comes, in the framing of out. A body of a given length has no such end: it is cut.
func (e *End) writeEnd() {
	switch {
	case e.socket != nil:
		e.socket.writeClose(e.out)
	case e.lengthOut == nil:
		e.out.Write([]byte("0\r\n\r\n"))
	}
}

// dropNext gives up the connections that were to come after out and in.
func (e *End) dropNext() {
	if l := e.lengthOut; l != nil {
		l.again.Stop()
		if l.next != nil {
			l.next.Abort(nil)
			l.next = nil
		}
	}
	if l := e.lengthIn; l != nil {
		for _, b := range l.nexts {
			if b.c != nil {
				b.c.Abort(nil)
			}
		}
	}
}

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
	if e.pad > 0 && e.socket == nil && !e.lengthOut.exhausted() {
		e.buf, e.unpadded = appendPad(e.buf, e.pad), false
	}
	wasFull := len(e.buf) > high
	e.write(nil)
	if wasFull && !e.closing && !full(e) { // as in flush
		e.handler.Writable()
	}
}

// write sends the packets of the turn and, after them, data, in the framing of out.
func (e *End) write(data []byte) {
	switch {
	case e.socket != nil:
		e.socket.write(e, data)
	case e.lengthOut != nil:
		e.lengthOut.write(data)
	default:
		e.out.Writev(appendChunkHead(e.scratch[:0], len(e.buf)+len(data)), e.buf, data, crlf)
		e.resetBuf()
	}
}

// appendPad appends pad packets of size bytes, or little more.
func appendPad(dst []byte, size int) []byte {
	for size > 0 {
		n := min(max(size-lane.HeadLen, 0), lane.MaxControl)
		dst = lane.AppendHead(dst, lane.OpPad, 0, 0, n)
		dst = append(dst, zeros[:n]...)
		size -= lane.HeadLen + n
	}
	return dst
}

var zeros [lane.MaxControl]byte

package lane

import (
	"fmt"

	"roundhouse/codec"
)

// Sizes of windows, in bytes.
const (
	// DefaultWindow is the window of a stream when nothing else is configured.
	DefaultWindow = 256 << 10
	// MaxWindow is the most credit that a stream may ever have.
	MaxWindow = 1 << 30
)

// SendWindow is the credit that the other end has given us on a stream.
type SendWindow struct {
	left int64 // 0 <= left <= MaxWindow
}

// NewSendWindow starts with what the other end's hello has granted.
func NewSendWindow(size uint32) SendWindow { return SendWindow{left: int64(size)} }

// Left is how many body bytes may be sent.
func (w *SendWindow) Left() int { return int(w.left) }

// Spend takes n bytes off; to send more than Left is a bug of ours.
func (w *SendWindow) Spend(n int) {
	if w.left -= int64(n); w.left < 0 {
		panic("BUG: lane: sent more than the credit")
	}
}

// Grant adds credit. An error (codec.ErrTooLarge) means that the other end gives more than it can mean.
func (w *SendWindow) Grant(n uint32) error {
	if w.left+int64(n) > MaxWindow {
		return fmt.Errorf("lane: credit of %d on top of %d, limit %d: %w", n, w.left, MaxWindow, codec.ErrTooLarge)
	}
	w.left += int64(n)
	return nil
}

// RecvWindow is the credit that we have given the other end on a stream.
type RecvWindow struct {
	size int // what it is filled up to
	left int // what the other end may still send; 0 <= left
	done int // bytes passed on for which no credit has been given back; left + done <= size
}

// NewRecvWindow starts with what our hello has granted.
func NewRecvWindow(size int) RecvWindow { return RecvWindow{size: size, left: size} }

// Receive takes n bytes that came in. An error (codec.ErrTooLarge) means that the other end sent more than it may.
func (w *RecvWindow) Receive(n int) error {
	if n > w.left {
		return fmt.Errorf("lane: %d bytes of body, credit %d: %w", n, w.left, codec.ErrTooLarge)
	}
	w.left -= n
	return nil
}

// Release tells that n received bytes have been passed on.
func (w *RecvWindow) Release(n int) { w.done += n }

// Credit is what is worth giving back now: nothing until a quarter of the window has been passed on, so that credits stay few.
func (w *RecvWindow) Credit() uint32 {
	if w.done < w.size/4 {
		return 0
	}
	n := w.done
	w.left, w.done = w.left+n, 0
	return uint32(n)
}

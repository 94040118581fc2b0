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

// NewSendWindow starts with what the other end's hello has granted. ParseHello has checked it: more than MaxWindow is a bug of
// ours.
func NewSendWindow(size uint32) SendWindow {
	if size > MaxWindow {
		panic("BUG: lane: first credit above the limit")
	}
	return SendWindow{left: int64(size)}
}

// Left is how many body bytes may be sent.
func (w *SendWindow) Left() int { return int(w.left) }

// Spend takes n bytes off; n below 0 or above Left is a bug of ours.
func (w *SendWindow) Spend(n int) {
	if n < 0 || int64(n) > w.left {
		panic(fmt.Sprintf("BUG: lane: sent %d bytes on a credit of %d", n, w.left))
	}
	w.left -= int64(n)
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
	size int // what it is filled up to; 1 <= size <= MaxWindow
	left int // what the other end may still send; 0 <= left
	done int // bytes passed on for which no credit has been given back; left + done <= size
}

// NewRecvWindow starts with what our hello has granted: 1 to MaxWindow, everything else is a bug of ours.
func NewRecvWindow(size int) RecvWindow {
	if size < 1 || size > MaxWindow {
		panic(fmt.Sprintf("BUG: lane: window of %d bytes", size))
	}
	return RecvWindow{size: size, left: size}
}

// Receive takes n bytes that came in; n < 0 is a bug of ours. An error (codec.ErrTooLarge) means that the other end sent more
// than it may.
func (w *RecvWindow) Receive(n int) error {
	if n < 0 {
		panic(fmt.Sprintf("BUG: lane: received %d bytes", n))
	}
	if n > w.left {
		return fmt.Errorf("lane: %d bytes of body, credit %d: %w", n, w.left, codec.ErrTooLarge)
	}
	w.left -= n
	return nil
}

// Release tells that n received bytes have been passed on; n below 0, or more than have been received, is a bug of ours.
func (w *RecvWindow) Release(n int) {
	if n < 0 || n > w.size-w.left-w.done {
		panic(fmt.Sprintf("BUG: lane: released %d bytes of %d", n, w.size-w.left-w.done))
	}
	w.done += n
}

// Credit is what is worth giving back now: nothing until a quarter of the window has been passed on, so that credits stay few.
func (w *RecvWindow) Credit() uint32 {
	if w.done < w.size/4 {
		return 0
	}
	n := w.done
	w.left, w.done = w.left+n, 0
	return uint32(n)
}

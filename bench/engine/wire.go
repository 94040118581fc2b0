package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"

	"roundhouse/bench/harness"
	"roundhouse/codec/oes"
)

const (
	// stampLen is the length of what makes each payload different: its first bytes, the number of the request in hexadecimal digits.
	stampLen = 16
	maxSize  = 64 << 20
	// smallRequest is the size in bytes up to which a request lies in one piece, written by a plain write.
	smallRequest = 4 << 10
)

// wire is what one load sends and expects: a request is head, stamp, tail and end; so is a reply, but for the head of HTTP, which
// is read. Read only once it is made.
type wire struct {
	size      int // of the payload, in bytes
	tail      []byte
	head, end []byte // of the request
	// Of the reply; replyHead is nil for HTTP.
	replyHead, replyEnd []byte
	contentLength       []byte // as a line of the reply's head; HTTP only
}

func newWire(protocol harness.Protocol, size int) (*wire, error) {
	tail, err := printable(size - stampLen)
	if err != nil {
		return nil, err
	}
	w := &wire{size: size, tail: tail}
	switch protocol {
	case harness.ProtocolFrames:
		w.head = fmt.Appendf(nil, "%08d", size)
		w.replyHead = w.head
	case harness.ProtocolEngine: // "3^payload^", and "00^payload^" back
		w.head = fmt.Appendf(nil, "%08d3\x01", size+3)
		w.replyHead = fmt.Appendf(nil, "%08d00\x01", size+4)
		w.end = []byte{1}
		w.replyEnd = w.end
	default:
		w.head = fmt.Appendf(nil, "POST /echo HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n", size)
		w.contentLength = fmt.Appendf(nil, "\r\nContent-Length: %d\r\n", size)
	}
	return w, nil
}

// printable returns n pseudo-random characters that mean nothing to any protocol.
func printable(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(harness.NewBodyReader(int64(n)), b); err != nil {
		return nil, err
	}
	const first, count = '!', '~' - '!' + 1
	for i := range b {
		b[i] = first + b[i]%count
	}
	return b, nil
}

// request is what a client has to write, in one piece or two. Its stamp is changed for each request.
type request struct {
	first, rest []byte
	stamp       []byte // part of first
}

func (w *wire) newRequest() request {
	first := append(bytes.Clone(w.head), make([]byte, stampLen)...)
	rest := append(bytes.Clone(w.tail), w.end...)
	if len(first)+len(rest) <= smallRequest {
		first, rest = append(first, rest...), nil
	} else if len(w.end) == 0 {
		rest = w.tail // all clients share it
	}
	return request{first: first, rest: rest, stamp: first[len(w.head) : len(w.head)+stampLen]}
}

func (r *request) setStamp(n uint64) {
	var b [stampLen / 2]byte
	binary.BigEndian.PutUint64(b[:], n)
	hex.Encode(r.stamp, b[:])
}

// reply checks the bytes of one reply as they come.
type reply struct {
	got  int    // bytes of head, stamp, tail and end so far; the head of HTTP is not among them
	head []byte // of HTTP, what has come of it
	body bool   // the head of HTTP is complete
}

// take checks what has come. done: the reply is complete. A wrong byte, or one too many, is an error.
func (r *reply) take(w *wire, stamp, b []byte) (done bool, err error) {
	if w.replyHead == nil && !r.body {
		if b, err = r.takeHead(w, b); err != nil || !r.body {
			return false, err
		}
	}
	end := 0
	for _, part := range [...][]byte{w.replyHead, stamp, w.tail, w.replyEnd} {
		begin := end
		end += len(part)
		if r.got >= end || r.got < begin {
			continue // it is complete, or the bytes ended before it
		}
		n := min(len(b), end-r.got)
		if want := part[r.got-begin:][:n]; !bytes.Equal(want, b[:n]) {
			return false, fmt.Errorf("after %d bytes of the reply: got %.60q, want %.60q", r.got, b[:n], want)
		}
		r.got, b = r.got+n, b[n:]
	}
	if len(b) > 0 {
		return false, fmt.Errorf("after the reply: %.60q", b)
	}
	return r.got == end, nil
}

// takeHead reads the head of an HTTP reply and returns what follows it.
func (r *reply) takeHead(w *wire, b []byte) ([]byte, error) {
	const limit = 4 << 10
	before := len(r.head)
	r.head = append(r.head, b[:min(len(b), limit)]...)
	i := bytes.Index(r.head, []byte("\r\n\r\n"))
	if i < 0 {
		if len(r.head) >= limit {
			return nil, fmt.Errorf("head of %d bytes or more", limit)
		}
		return nil, nil
	}
	head := r.head[:i+2]
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) || !bytes.Contains(head, w.contentLength) {
		return nil, fmt.Errorf("reply %.300q", head)
	}
	r.body = true
	return b[i+4-before:], nil
}

// reset makes r ready for the next reply. The head keeps its memory.
func (r *reply) reset() { r.got, r.head, r.body = 0, r.head[:0], false }

// login logs a client in at the engine door: mode 0, in which a request is a block and so is its reply.
func login(c net.Conn) error {
	_, err := c.Write(oes.AppendLogin(nil, oes.LoginFields{
		User: []byte("bench"), Application: []byte("BENCH"), Mode: []byte("0"), Procedure: []byte("ECHO"),
	}))
	if err != nil {
		return err
	}
	head := make([]byte, 8)
	if _, err := io.ReadFull(c, head); err != nil {
		return fmt.Errorf("login: %w", err)
	}
	var size int
	if _, err := fmt.Sscanf(string(head), "%08d", &size); err != nil || size < 0 || size > 1<<20 {
		return fmt.Errorf("login: header %q", head)
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(c, payload); err != nil {
		return fmt.Errorf("login: %w", err)
	}
	if !bytes.HasPrefix(payload, []byte("00\x01")) {
		return fmt.Errorf("login: %q", payload)
	}
	return nil
}

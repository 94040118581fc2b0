// Package websocket reads and writes the frames of WebSocket connections, and the field that accepts a handshake.
//
//	byte 0       FIN 0x80 | RSV 0x70, must be 0 | opcode 0x0f
//	byte 1       MASK 0x80 | length 0x7f: 0 to 125, 126 = 2 bytes follow, 127 = 8 bytes follow, big endian, in as few bytes as can be
//	             then 4 bytes of key when MASK is set, then the payload, each byte XORed with key[i%4] when MASK is set
//
// A message is one data frame, or a first one and continuations, of which the last has FIN. Control frames (close, ping, pong)
// have FIN and at most 125 bytes, and may stand between the frames of a message. Frames of a client are masked, those of a server
// are not. No extension is known, so the reserved bits are 0.
//
// Source: RFC 6455, sections 4.2.2 and 5.
package websocket

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"roundhouse/codec"
)

// Op is a frame's opcode.
type Op uint8

// The opcodes (RFC 6455, 5.2). OpNone is no frame at all: no opcode of a reader's piece, which never is a continuation.
const (
	OpNone         Op = 0
	OpContinuation Op = 0
	OpText         Op = 1
	OpBinary       Op = 2
	OpClose        Op = 8
	OpPing         Op = 9
	OpPong         Op = 10
)

// Lengths, in bytes.
const (
	// MaxHead is the longest head of a frame.
	MaxHead = 14
	// MaxControl is the longest payload of a control frame.
	MaxControl = 125
)

const (
	finBit      = 0x80
	reservedBit = 0x70
	opBits      = 0x0f
	maskBit     = 0x80
	lengthBits  = 0x7f
	length16    = 126
	length64    = 127
)

func (o Op) control() bool { return o >= OpClose }

// AppendHead appends the head of a frame with FIN whose payload of size bytes is to follow. With a key, that is not nil, the
// payload is to be masked with it.
func AppendHead(dst []byte, op Op, size int, key *[4]byte) []byte {
	masked := byte(0)
	if key != nil {
		masked = maskBit
	}
	dst = append(dst, finBit|byte(op))
	switch {
	case size < length16:
		dst = append(dst, masked|byte(size))
	case size < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, masked|length16), uint16(size))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, masked|length64), uint64(size))
	}
	if key != nil {
		dst = append(dst, key[:]...)
	}
	return dst
}

// AppendControl appends a control frame with its payload of at most MaxControl bytes; more is a bug of ours.
func AppendControl(dst []byte, op Op, payload []byte, key *[4]byte) []byte {
	if len(payload) > MaxControl {
		panic(fmt.Sprintf("BUG: websocket: control frame of %d bytes", len(payload)))
	}
	dst = append(AppendHead(dst, op, len(payload), key), payload...)
	if key != nil {
		Mask(*key, 0, dst[len(dst)-len(payload):])
	}
	return dst
}

// AppendClose appends a close frame. The reason is cut to what fits, at the end of a character.
func AppendClose(dst []byte, code uint16, reason string, key *[4]byte) []byte {
	var payload [MaxControl]byte
	binary.BigEndian.PutUint16(payload[:], code)
	for len(reason) > MaxControl-2 || !utf8.ValidString(reason) {
		reason = reason[:min(len(reason)-1, MaxControl-2)]
	}
	return AppendControl(dst, OpClose, payload[:2+copy(payload[2:], reason)], key)
}

// ParseClose reads the payload of a close frame. code is 1005 when there is none (RFC 6455, 7.1.5). reason aliases b. The error
// is codec.ErrMalformed.
func ParseClose(b []byte) (code uint16, reason []byte, err error) {
	switch len(b) {
	case 0:
		return CloseNone, nil, nil
	case 1:
		return 0, nil, fmt.Errorf("websocket: close frame of 1 byte: %w", codec.ErrMalformed)
	}
	code, reason = binary.BigEndian.Uint16(b), b[2:]
	if code < 1000 || code >= 5000 || code == 1004 || code == CloseNone || code == 1006 || code == 1015 { // RFC 6455, 7.4
		return 0, nil, fmt.Errorf("websocket: close code %d: %w", code, codec.ErrMalformed)
	}
	if !utf8.Valid(reason) {
		return 0, nil, fmt.Errorf("websocket: close reason that is no UTF-8: %w", codec.ErrMalformed)
	}
	return code, reason, nil
}

// Codes of close frames (RFC 6455, 7.4.1).
const (
	CloseNormal      = 1000
	CloseGoingAway   = 1001
	CloseProtocol    = 1002
	CloseUnsupported = 1003
	CloseNone        = 1005 // never sent: there was no code
	CloseTooLarge    = 1009
)

// Mask masks b, or unmasks it, in place; pos is where in the payload it stands. It returns where the byte after it stands.
func Mask(key [4]byte, pos int, b []byte) int {
	end := pos + len(b)
	k := [8]byte{key[pos&3], key[(pos+1)&3], key[(pos+2)&3], key[(pos+3)&3]}
	copy(k[4:], k[:4])
	word := binary.LittleEndian.Uint64(k[:])
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= k[i]
	}
	return end
}

// Accept is the value of Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455, 4.2.2, step 5).
func Accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Package revcap reads and writes what travels between the server and an engine process.
//
// Each message is a frame of package frame. In its payload fields end with 0x01, here <d>; the code comes first, then the
// request's number, rid, which is unique on this engine's connection. The last field of an event, and of an input, goes raw to
// the end of the frame: it needs no <d> and may hold any byte.
//
// Orders go from the server to the engine (order.go):
//
//	code              name      after code <d> rid <d>
//	1                 login     user <d> password <d> application <d> mode <d> procedure <d> flags <d> location <d>
//	2                 logoff    -: finish, then exit
//	3 4 400           call      kind <d> procedure <d> deadline in ms, 0 = none <d> arguments, each with <d>
//	5-17 20-99        JD3 verb  as a call
//	19                input     answer to a question, raw
//	100 101           break, debug  -
//
// Events go from the engine to the server (event.go):
//
//	code   name         after code <d> rid <d>                                       what becomes of the request
//	HELLO  -            version <d> name <d> engine version <d> requests ahead <d>
//	                    token <d> applications, with commas <d>; rid is 0            -
//	0      unprocessed  -                                                            is begun
//	1      processing   percent, or empty                                            goes on
//	2      data         output, raw                                                  goes on
//	3      completed    status text <d> output, raw                                  ends
//	4      proc error   error code <d> error text, raw                               ends
//	5      info         text, raw                                                    goes on
//	10     info request prompt, raw                                                  waits for an input
//	BYE    -            reason; rid is 0                                             -
//
// Nothing is sent without its <d> here, but where nothing follows it may be missing: "0<d>7", "3<d>7" and "BYE" are events.
//
// Source: our protocol; the framing is that of Revelation's OEngineServer and the events' numbers are those of REVCAPI.
package revcap

import (
	"fmt"
	"strconv"

	"roundhouse/codec"
	"roundhouse/codec/frame"
)

// Version of the protocol.
const Version = 1

// Limits.
const (
	// MaxHead is the longest head of an event, in bytes: all in front of its body.
	MaxHead = 64 << 10
	// MaxRIDDigits is the most digits of a request's number.
	MaxRIDDigits = 18
)

const codeDigits = 3 // of an order's code

// number reads all of b as a decimal number. ok is false when b is empty, has more than limit digits or anything but digits.
func number(b []byte, limit int) (v uint64, ok bool) {
	if len(b) == 0 || len(b) > limit {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = 10*v + uint64(c-'0') // limit is at most 18: cannot overflow
	}
	return v, true
}

// begin appends room for a frame's header, a code and rid. finish puts the header in.
func begin(dst []byte, code int, rid uint64) []byte {
	dst = append(dst, "00000000"...)
	dst = append(strconv.AppendInt(dst, int64(code), 10), frame.Delimiter)
	return append(strconv.AppendUint(dst, rid, 10), frame.Delimiter)
}

// finish writes the header of the frame that begins at start and to which more bytes are going to be appended.
func finish(dst []byte, start, more int) []byte {
	frame.PutHeader(dst[start:], len(dst)-start-frame.HeaderLen+more)
	return dst
}

func appendField(dst []byte, field string) []byte {
	return append(append(dst, field...), frame.Delimiter)
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("revcap: %s: %w", fmt.Sprintf(format, args...), codec.ErrMalformed)
}

func tooLarge(what string, size, limit int) error {
	return fmt.Errorf("revcap: %s is %d, limit %d: %w", what, size, limit, codec.ErrTooLarge)
}

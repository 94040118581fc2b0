// Package oes reads and writes what a client and the engine door say to each other inside a frame.
//
// A command is a code and fields, each ended by byte 0x01 (here ^). The last one may stand without it:
//
//	3^LIST VOC^                                     execute with one parameter
//	1^guest^pw^EXAMPLES^1^^^^^^                     login: user, password, application, mode, server, procedure,
//	                                                start-up flags, shut-down flags, location
//	-4^1~guest~pw~EXAMPLES~3~~PROC~~~~^3~NIGHTLY~^  phantom: each field is a command whose parts end with byte 0x02 (here ~)
//
// The code is at most three digits, with a minus for control commands, which need no login.
//
// A reply is a code and a body, which stands between the first 0x01 and the last byte of the payload, another 0x01. The body may be
// several fields, or hold any byte. Its meaning is that of the code:
//
//	0^output^       done             in char and JD3 mode a second field with a status text may follow
//	1^text^         failed           a second field may have the output up to there
//	2^chunk^        output           the client answers 18 (go on), 100 (break) or 101 (debug)
//	5^text^         information      the same
//	18^^            still working    the same
//	19^prompt^      a question       the client answers 19 (with its input), 100 or 101
//
// In every mode but JD3 one more byte stands in front of the reply, without a delimiter: 0, or 1 when the code is Failed. So done is
// 00^output^ and failed is 11^text^. Replies to control commands never have it, but for the list of a char client: 00^list^.
//
// Source: Revelation's OEngineServer for the commands, replies 0 and 1 and the prefix; our protocol for the other replies.
package oes

import (
	"fmt"
	"strconv"

	"roundhouse/codec"
	"roundhouse/codec/frame"
)

// Codes of commands, which a client sends.
const (
	List       = -1  // the engines and their state; a field 1 asks for text with marks in place of HTML
	StopIdle   = -2  // stops idle engines: control password, selectors
	StopAll    = -3  // stops engines by force: control password, selectors
	Phantom    = -4  // starts an engine without a client: subcommands
	Times      = -5  // when the server started, and the time now
	Admin      = -10 // control password, verb, arguments
	Statistics = -90 // id, JSON

	Login      = 1
	Logoff     = 2
	Execute    = 3   // parameters
	Call       = 4   // parameters
	Continue   = 18  // answers Output, Info and Working
	Input      = 19  // answers Ask: the text
	Break      = 100 // asks the running call to stop; may come out of turn, and then has no reply of its own
	Debug      = 101 // calls the debugger; as Break
	CallEvents = 400 // Call with the dialogue of char mode, in JD3 mode only
)

// Codes of replies, which the server sends. Done and Failed end a call.
const (
	Done    = 0
	Failed  = 1
	Output  = 2
	Info    = 5
	Working = 18
	Ask     = 19
)

// maxDigits is how many digits the code of a command has at most.
const maxDigits = 3

// Mode is the kind of a connection, which its login chooses.
type Mode int8

// The modes.
const (
	JD3         Mode = -1 // one string as the argument of the procedure; replies without prefix
	Block       Mode = 0
	Char        Mode = 1 // an engine of its own, and a dialogue during a call
	Web         Mode = 2
	PhantomMode Mode = 3 // without a client: stands only in the login of a phantom
)

// ParseMode reads the mode field of a login. A plus behind char and JD3 mode, "1+" and "-1+", sets push: the server sends output,
// information and signs of work without waiting for a Continue. ok is false for everything else, also for an empty field, whose
// meaning the configuration has.
func ParseMode(field []byte) (m Mode, push, ok bool) {
	switch string(field) {
	case "-1":
		return JD3, false, true
	case "-1+":
		return JD3, true, true
	case "0":
		return Block, false, true
	case "1":
		return Char, false, true
	case "1+":
		return Char, true, true
	case "2":
		return Web, false, true
	case "3":
		return PhantomMode, false, true
	}
	return 0, false, false
}

// String returns the mode as a login has it, without a plus.
func (m Mode) String() string { return strconv.Itoa(int(m)) }

// Prefixed tells whether replies in this mode have the extra byte in front.
func (m Mode) Prefixed() bool { return m != JD3 }

// LoginFields are the fields of a login, in their order. An empty one stands for what is configured.
type LoginFields struct {
	User, Password, Application []byte
	Mode                        []byte // see ParseMode
	Server                      []byte // name of an engine to share or to come back to
	Procedure                   []byte
	UpFlags, DownFlags          []byte // numbers
	Location                    []byte
}

// Reply is what the server answers.
type Reply struct {
	Code int    // Done, Failed, Output, Info, Working or Ask
	Body []byte // between the first and the final delimiter
}

func malformed(what string, b []byte) error {
	return fmt.Errorf("oes: %s, %d bytes: %w", what, len(b), codec.ErrMalformed) // never the bytes: they may be a password
}

// codeLen is the number of bytes of a code.
func codeLen(code int) (n int) {
	var b [20]byte
	return len(strconv.AppendInt(b[:0], int64(code), 10))
}

const delimiterLen = 1

// AppendSubcommand appends a command that is one field of a phantom command: its parts end with frame.SubDelimiter, and it is ended by
// frame.Delimiter itself only by who makes it a field. The parts must hold neither delimiter: see frame.Clean.
func AppendSubcommand(dst []byte, code int, parts ...[]byte) []byte {
	dst = append(strconv.AppendInt(dst, int64(code), 10), frame.SubDelimiter)
	for _, part := range parts {
		dst = frame.AppendSub(dst, part)
	}
	return dst
}

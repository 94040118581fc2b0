// Package natswire reads and writes the protocol that NATS clients speak with their server.
//
// A command is a verb in any case, blanks or tabs, arguments with blanks or tabs between them, and an end of line: CR LF or LF alone.
// Commands with a payload go on with that many bytes and CR LF.
//
//	from a client                              from a server
//	CONNECT json                               INFO json
//	PUB subject [reply] size                   MSG subject sid [reply] size
//	HPUB subject [reply] header-size size      HMSG subject sid [reply] header-size size
//	SUB subject [queue] sid                    +OK
//	UNSUB sid [max]                            -ERR 'text'
//	PING, PONG                                 PING, PONG
//
// The size of HPUB and HMSG counts the header block, which is the beginning of the payload: "NATS/1.0", perhaps a status, CR LF, lines
// "key: value", and an empty line (header.go).
//
// ParseClient takes and refuses what the parser of nats-server v2.15.2 takes and refuses when all of a command arrives in one piece,
// oddities included: a first argument may begin with CR or LF, "PINGxyz" is a PING, a CR inside an unquoted line shortens it when it
// ends with LF alone. Three things differ on purpose. What nats-server reads without limit (blanks before the arguments, what follows
// PING, PONG and +OK) is limited by Limits.Line. HMSG from a client is refused, where nats-server takes it without a payload and
// delivers nothing. And where nats-server closes without a word, the error has a text: TextParser.
//
// Source: https://docs.nats.io/reference/reference-protocols/nats-protocol, and the behaviour of nats-server v2.15.2.
package natswire

// Op says which command it is.
type Op uint8

// The commands; the names follow the verbs.
const (
	OpConnect Op = iota + 1
	OpPub
	OpHPub
	OpSub
	OpUnsub
	OpPing
	OpPong
	OpInfo
	OpMsg
	OpHMsg
	OpOK
	OpErr
)

var opNames = [...]string{"", "CONNECT", "PUB", "HPUB", "SUB", "UNSUB", "PING", "PONG", "INFO", "MSG", "HMSG", "+OK", "-ERR"}

// String returns the verb as it is sent, or an empty text for what is no Op.
func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return ""
}

// Command is one command. Its slices point into the input of the parser.
//
// A parser sets Op and the fields that are named beside it below, and leaves the others as they were; those that the
// input does not have become nil.
//
//	CONNECT, INFO, -ERR   Arg
//	PUB                   Subject Reply Header (nil) Payload
//	HPUB                  Subject Reply Header Payload
//	SUB                   Subject Queue SID
//	UNSUB                 SID Max
//	MSG                   Subject SID Reply Header (nil) Payload
//	HMSG                  Subject SID Reply Header Payload
type Command struct {
	Op      Op
	Subject []byte
	Reply   []byte
	Queue   []byte
	SID     []byte
	Header  []byte // the header block with its empty line; the client's word: nobody has looked at it
	Payload []byte // without Header
	Arg     []byte // JSON of CONNECT and INFO; what follows -ERR, with its quotes
	Max     int    // messages after which the subscription ends; 0: at once
}

const (
	// DefaultLine is the longest line of arguments that nats-server takes unless told otherwise, in bytes.
	DefaultLine = 4096
	// DefaultPayload is the largest payload that nats-server takes unless told otherwise, in bytes.
	DefaultPayload = 1 << 20
)

// Limits bounds what a peer may send.
type Limits struct {
	Line    int // of the arguments of a command, in bytes, without its verb and end of line; ParseServer has a limit of its own
	Payload int // of header block and payload together, in bytes; negative: no limit but the 9 digits of a size
}

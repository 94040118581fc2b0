package message

import (
	"fmt"
	"time"
)

// ProtocolVersion is the version that is spoken here. A message of the hello may have more fields in a later version.
const ProtocolVersion = 1

// Policies of Hello.Policy: how the client says who it is.
const (
	PolicyNone     = 0
	PolicyPassword = 1 // Username and Password
)

// Bits of Hello.Features.
const (
	// FeatureNoResponders: the client wants to be told at its reply subject when nobody gets a message that has one. What it gets is a
	// TypeJMSBytes with an empty payload and the header block "NATS/1.0 503\r\n\r\n", as NATS clients do.
	FeatureNoResponders = 1 << iota
)

// Hello is CONNECT_CALL, the first message of a client. It has no destination.
//
//	int4 version  str project  str unique  str ident  str user  str node  int4 pid  str arch  str disconnect_mode  str prefix
//	guid instance  int4 policy  str username  str password  int8 features  str last_server
type Hello struct {
	Version        int32 // ProtocolVersion
	Project        string
	Unique         string // unique subject; "": the server makes one
	Ident          string // what program it is
	User           string // of the operating system
	Node           string
	PID            int32
	Arch           string
	DisconnectMode string
	Prefix         string   // default subject prefix
	HasPrefix      bool     // false: the server says which; Prefix is then ""
	Instance       [16]byte // random, the same for the life of the client
	Policy         int32    // PolicyNone, ...
	Username       string
	Password       string // never shown
	Features       uint64 // bits of what the client can do
	LastServer     string // unique subject of the server that it was connected to; "": none
}

// String shows a hello without its password.
func (h Hello) String() string {
	return fmt.Sprintf("hello of %s (%s: %s@%s, pid %d), project %s, policy %d", h.Unique, h.Ident, h.User, h.Node, h.PID, h.Project, h.Policy)
}

// GoString is String.
func (h Hello) GoString() string { return h.String() }

// AppendHello appends a whole message without a frame header.
func AppendHello(dst []byte, h *Hello) []byte {
	dst = Append(dst, &Message{Type: TypeConnectCall})
	dst = AppendInt4(dst, h.Version)
	for _, s := range [...]string{h.Project, h.Unique, h.Ident, h.User, h.Node} {
		dst = AppendStr(dst, s)
	}
	dst = AppendInt4(dst, h.PID)
	dst = AppendStr(dst, h.Arch)
	dst = AppendStr(dst, h.DisconnectMode)
	if h.HasPrefix {
		dst = AppendStr(dst, h.Prefix)
	} else {
		dst = AppendUnknown(dst, Str)
	}
	dst = AppendGUID(dst, h.Instance)
	dst = AppendInt4(dst, h.Policy)
	dst = AppendStr(dst, h.Username)
	dst = AppendStr(dst, h.Password)
	dst = AppendInt8(dst, int64(h.Features))
	return AppendStr(dst, h.LastServer)
}

// ParseHello reads the fields of a CONNECT_CALL into h, which aliases nothing. Fields after those that this version knows are
// passed over. Errors: codec.ErrMalformed.
func ParseHello(m *Message, h *Hello) error {
	c := open(m, TypeConnectCall)
	h.Version = c.int4()
	for _, s := range [...]*string{&h.Project, &h.Unique, &h.Ident, &h.User, &h.Node} {
		*s = c.text()
	}
	h.PID = c.int4()
	h.Arch = c.text()
	h.DisconnectMode = c.text()
	h.Prefix, h.HasPrefix = c.maybeText()
	copy(h.Instance[:], c.bytes(GUID))
	h.Policy = c.int4()
	h.Username = c.text()
	h.Password = c.text()
	h.Features = uint64(c.int8())
	h.LastServer = c.text()
	return c.err
}

// Welcome is CONNECT_RESULT, the answer to Hello. It has no destination.
//
//	int4 code  str text  str server  str prefix  int8 server_id  int8 features  int8 keep_alive_ms  bool warm  int8 max_message_size
//	str unique
type Welcome struct {
	Code           Code          // CodeOK: connected; otherwise the server closes
	Text           string        // for people
	Server         string        // unique subject of the server
	Prefix         string        // default subject prefix
	ServerID       uint64        // another one each time the server starts
	Features       uint64        // bits of what both can do
	KeepAlive      time.Duration // in whole milliseconds; the server asks after so long a silence; 0: never
	Warm           bool          // the server still has the session that the client had
	MaxMessageSize int           // bytes, without the frame header
	Unique         string        // unique subject of the client, with its prefix
}

// AppendWelcome appends a whole message without a frame header.
func AppendWelcome(dst []byte, w *Welcome) []byte {
	dst = Append(dst, &Message{Type: TypeConnectResult})
	dst = AppendInt4(dst, int32(w.Code))
	dst = AppendStr(dst, w.Text)
	dst = AppendStr(dst, w.Server)
	dst = AppendStr(dst, w.Prefix)
	dst = AppendInt8(dst, int64(w.ServerID))
	dst = AppendInt8(dst, int64(w.Features))
	dst = AppendInt8(dst, w.KeepAlive.Milliseconds())
	dst = AppendBool(dst, w.Warm)
	dst = AppendInt8(dst, int64(w.MaxMessageSize))
	return AppendStr(dst, w.Unique)
}

// ParseWelcome reads the fields of a CONNECT_RESULT into w, which aliases nothing. Fields after those that this version knows
// are passed over. Errors: codec.ErrMalformed, also for a keep-alive or a size that is negative or absurd.
func ParseWelcome(m *Message, w *Welcome) error {
	const maxKeepAlive = 365 * 24 * time.Hour
	c := open(m, TypeConnectResult)
	w.Code = Code(c.int4())
	w.Text = c.text()
	w.Server = c.text()
	w.Prefix = c.text()
	w.ServerID = uint64(c.int8())
	w.Features = uint64(c.int8())
	keepAlive := c.int8()
	w.Warm = c.bool()
	size := c.int8()
	w.Unique = c.text()
	if c.err == nil && (keepAlive < 0 || keepAlive > maxKeepAlive.Milliseconds() || size < 0 || size > 1<<40) {
		return malformed("connect_result: keep-alive of %d ms, messages of %d bytes", keepAlive, size)
	}
	w.KeepAlive, w.MaxMessageSize = time.Duration(keepAlive)*time.Millisecond, int(size)
	return c.err
}

package revcap

import (
	"strconv"

	"roundhouse/codec/frame"
)

// Codes of orders. Calls also have those of the JD3 verbs: IsCall.
const (
	LoginCode  = 1
	Logoff     = 2
	Execute    = 3
	Call       = 4
	Input      = 19
	Break      = 100
	Debug      = 101
	CallEvents = 400
)

// Kinds of a call.
const (
	KindClient   = "client"
	KindStartup  = "startup"
	KindShutdown = "shutdown"
	KindTimer    = "timer"
	KindMonitor  = "monitor"
	KindAutorun  = "autorun"
)

const deadlineDigits = 15 // in ms: 30000 years

// IsCall tells whether code is that of a call: one with a kind, a procedure, a deadline and arguments.
func IsCall(code int) bool {
	switch {
	case code == Execute, code == Call, code == CallEvents:
		return true
	default: // the JD3 verbs, between which the two answers of a dialogue have their codes
		return code >= 5 && code <= 99 && code != 18 && code != Input
	}
}

// Login is what an engine is told about who it works for.
type Login struct {
	User, Password, Application, Mode, Procedure, Flags, Location string
}

// AppendLogin appends a login. No value may hold a delimiter.
func AppendLogin(dst []byte, rid uint64, l Login) []byte {
	start := len(dst)
	dst = begin(dst, LoginCode, rid)
	for _, field := range [...]string{l.User, l.Password, l.Application, l.Mode, l.Procedure, l.Flags, l.Location} {
		dst = appendField(dst, field)
	}
	return finish(dst, start, 0)
}

// AppendOrder appends an order without fields: Logoff, Break or Debug.
func AppendOrder(dst []byte, code int, rid uint64) []byte {
	return finish(begin(dst, code, rid), len(dst), 0)
}

// AppendInput appends the answer to a question: any bytes.
func AppendInput(dst []byte, rid uint64, answer []byte) []byte {
	return finish(append(begin(dst, Input, rid), answer...), len(dst), 0)
}

// AppendCallHead appends a call up to its arguments, of which the caller appends size bytes, each argument with its delimiter.
// kind and procedure may not hold a delimiter. deadlineMs is how long the call may take; 0 and less: as long as it wants.
func AppendCallHead(dst []byte, code int, rid uint64, kind, procedure string, deadlineMs int64, size int) []byte {
	start := len(dst)
	dst = begin(dst, code, rid)
	dst = appendField(dst, kind)
	dst = appendField(dst, procedure)
	dst = append(strconv.AppendInt(dst, max(deadlineMs, 0), 10), frame.Delimiter)
	return finish(dst, start, size)
}

// Order is one order. Its slices alias the payload.
type Order struct {
	Code int
	RID  uint64
	// Of a call.
	Kind, Procedure []byte
	DeadlineMs      int64  // 0: none
	Args            []byte // raw: each argument ends with 0x01, which the last one may lack

	Login  Login  // of a login
	Answer []byte // of an input
}

// ParseOrder reads the payload of an order. Trailing fields of a login may be missing; what a later version adds to a login is
// ignored. Error: codec.ErrMalformed, after which the stream is out of step.
func ParseOrder(payload []byte) (o Order, err error) {
	field, rest, _ := frame.Cut(payload)
	code, ok := number(field, codeDigits)
	if !ok {
		return o, malformed("code of %d bytes is not 1 to %d digits", len(field), codeDigits)
	}
	field, rest, _ = frame.Cut(rest)
	rid, ok := number(field, MaxRIDDigits)
	if !ok {
		return o, malformed("order %d: rid of %d bytes is not 1 to %d digits", code, len(field), MaxRIDDigits)
	}
	o = Order{Code: int(code), RID: rid}
	switch {
	case IsCall(o.Code):
		err = o.parseCall(rest)
	case o.Code == LoginCode:
		o.Login = parseLogin(rest)
	case o.Code == Input:
		o.Answer = rest
	case o.Code != Logoff && o.Code != Break && o.Code != Debug:
		err = malformed("unknown order %d", code)
	case len(rest) > 0:
		err = malformed("order %d with %d bytes of fields, it has none", code, len(rest))
	}
	if err != nil {
		return Order{}, err
	}
	return o, nil
}

func (o *Order) parseCall(fields []byte) error {
	var found [2]bool
	o.Kind, fields, found[0] = frame.Cut(fields)
	o.Procedure, fields, found[1] = frame.Cut(fields)
	deadline, args, _ := frame.Cut(fields)
	ms, ok := number(deadline, deadlineDigits)
	if !found[0] || !found[1] || !ok {
		return malformed("call %d without kind, procedure and deadline of 1 to %d digits", o.Code, deadlineDigits)
	}
	o.DeadlineMs, o.Args = int64(ms), args
	return nil
}

func parseLogin(fields []byte) (l Login) {
	for _, value := range [...]*string{&l.User, &l.Password, &l.Application, &l.Mode, &l.Procedure, &l.Flags, &l.Location} {
		var field []byte
		field, fields, _ = frame.Cut(fields)
		*value = string(field)
	}
	return l
}

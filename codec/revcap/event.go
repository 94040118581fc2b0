package revcap

import (
	"bytes"
	"fmt"
	"strconv"

	"roundhouse/codec/frame"
)

// Status says what an event is.
type Status int8

// The events. Hello and Bye are words on the wire, not these numbers.
const (
	Bye         Status = -2
	Hello       Status = -1
	Unprocessed Status = 0
	Processing  Status = 1
	Data        Status = 2
	Completed   Status = 3
	ProcError   Status = 4
	Info        Status = 5
	InfoRequest Status = 10
)

const (
	helloWord = "HELLO"
	byeWord   = "BYE"
)

// Ends tells whether an event with this status is the last one of its request.
func (s Status) Ends() bool { return s == Completed || s == ProcError }

// String is the event's code on the wire.
func (s Status) String() string {
	switch s {
	case Hello:
		return helloWord
	case Bye:
		return byeWord
	}
	return strconv.Itoa(int(s))
}

// Event is what an engine says about a request.
type Event struct {
	Status Status
	RID    uint64
	Text   []byte // percent of Processing, status text of Completed, error code of ProcError, reason of Bye
	Body   []byte // of Data, Completed, ProcError, Info and InfoRequest: raw; of Hello all fields, for ParseHello
}

// ParseEvent reads the head of an event whose payload has size bytes in all, of which b is what has come.
//
// n is the length of the head; n == 0 with a nil error means that more is needed. Body is what has come of the body, b[n:]; the
// whole body has size-n bytes. Text and Body alias b. The events without a body are all head.
// Errors: codec.ErrTooLarge, a head longer than MaxHead; codec.ErrMalformed. After either, end the engine.
func ParseEvent(b []byte, size int) (ev Event, n int, err error) {
	b = b[:min(len(b), size)]
	status, at, err := parseStatus(b, size)
	if err != nil || at == 0 {
		return ev, 0, err
	}
	rid, n, err := parseRID(status, b, at, size)
	if err != nil || n == 0 {
		return ev, 0, err
	}
	ev = Event{Status: status, RID: rid}
	switch status {
	case Unprocessed:
		if n < size {
			return Event{}, 0, malformed("unprocessed with %d bytes of fields, it has none", size-n)
		}
	case Processing, Bye:
		ev.Text, n, err = parseLast(status, b, n, size)
	case Completed, ProcError:
		ev.Text, n, err = parseText(status, b, n, size)
	}
	if err != nil || n == 0 {
		return Event{}, 0, err
	}
	ev.Body = b[n:]
	return ev, n, nil
}

// parseStatus reads an event's code; n == 0 with a nil error means that more is needed. The code may be all of the payload only
// when nothing has to follow.
func parseStatus(b []byte, size int) (s Status, n int, err error) {
	const longest = len(helloWord) + 1
	end := bytes.IndexByte(b[:min(len(b), longest)], frame.Delimiter)
	if end < 0 {
		if len(b) < longest && len(b) < size {
			return 0, 0, nil
		}
		end = len(b)
	}
	switch code := b[:end]; {
	case end == 1 && code[0] >= '0' && code[0] <= '5':
		s = Status(code[0] - '0')
	case string(code) == "10":
		s = InfoRequest
	case string(code) == helloWord:
		s = Hello
	case string(code) == byeWord:
		s = Bye
	default:
		return 0, 0, malformed("unknown event in a payload of %d bytes", size)
	}
	return s, min(end+1, size), nil
}

// parseRID reads the request's number at b[at:]. n is where the fields begin; 0 with a nil error means that more is needed.
func parseRID(s Status, b []byte, at, size int) (rid uint64, n int, err error) {
	if s == Bye && at == size {
		return 0, at, nil
	}
	rest := b[at:]
	end := bytes.IndexByte(rest[:min(len(rest), MaxRIDDigits+1)], frame.Delimiter)
	if end < 0 {
		if len(rest) <= MaxRIDDigits && len(b) < size {
			return 0, 0, nil
		}
		end = len(rest)
	}
	rid, ok := number(rest[:end], MaxRIDDigits)
	if !ok {
		return 0, 0, malformed("event %v: rid is not 1 to %d digits", s, MaxRIDDigits)
	}
	if s < 0 && rid != 0 {
		return 0, 0, malformed("event %v of request %d: it is of none", s, rid)
	}
	return rid, min(at+end+1, size), nil
}

// parseText reads the text in front of a body at b[at:]. n is where the body begins; 0 with a nil error means that more is
// needed.
func parseText(s Status, b []byte, at, size int) (text []byte, n int, err error) {
	head := b[:min(len(b), MaxHead)]
	if i := bytes.IndexByte(head[at:], frame.Delimiter); i >= 0 {
		return head[at : at+i : at+i], at + i + 1, nil
	}
	switch {
	case len(head) == size:
		return b[at:], size, nil
	case len(head) == MaxHead:
		return nil, 0, tooLarge(fmt.Sprintf("head of event %v", s), size, MaxHead)
	}
	return nil, 0, nil
}

// parseLast reads a text behind which nothing but its delimiter may follow.
func parseLast(s Status, b []byte, at, size int) (text []byte, n int, err error) {
	if size > MaxHead {
		return nil, 0, tooLarge(fmt.Sprintf("event %v", s), size, MaxHead)
	}
	if len(b) < size {
		return nil, 0, nil
	}
	text, rest, _ := frame.Cut(b[at:])
	if len(rest) > 0 {
		return nil, 0, malformed("event %v with more than one field", s)
	}
	if percent, ok := number(text, 3); s == Processing && len(text) > 0 && (!ok || percent > 100) {
		return nil, 0, malformed("percent of %d bytes is not 0 to 100", len(text))
	}
	return text, size, nil
}

// AppendEvent appends an event. Of text and body what the event has is written. text must not hold a delimiter; the frame must
// not be larger than frame.MaxSize. The body of Hello comes from AppendHello, which writes all of the event.
func AppendEvent(dst []byte, s Status, rid uint64, text string, body []byte) []byte {
	start := len(dst)
	dst = beginEvent(dst, s, rid)
	switch s {
	case Processing, Bye:
		dst, body = appendField(dst, text), nil
	case Completed, ProcError:
		dst = appendField(dst, text)
	case Unprocessed:
		body = nil
	}
	return finish(append(dst, body...), start, 0)
}

func beginEvent(dst []byte, s Status, rid uint64) []byte {
	if s >= 0 {
		return begin(dst, int(s), rid)
	}
	dst = append(dst, "00000000"...)
	dst = appendField(dst, s.String())
	return append(dst, '0', frame.Delimiter)
}

// AppendEventHead is AppendEvent for an event with a body, of which the caller appends size bytes.
func AppendEventHead(dst []byte, s Status, rid uint64, text string, size int) []byte {
	start := len(dst)
	dst = beginEvent(dst, s, rid)
	if s == Completed || s == ProcError {
		dst = appendField(dst, text)
	}
	return finish(dst, start, size)
}

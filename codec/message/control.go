package message

import (
	"fmt"

	"roundhouse/codec"
	"roundhouse/codec/frame"
)

// BeginFrame appends room for a frame header; a message is appended behind it, and EndFrame fills it in.
func BeginFrame(dst []byte) []byte {
	return append(dst, make([]byte, frame.HeaderLen)...)
}

// EndFrame fills in the frame header that begins at dst[start] and frames the rest of dst, at most frame.MaxSize bytes.
func EndFrame(dst []byte, start int) []byte {
	frame.PutHeader(dst[start:], len(dst)-start-frame.HeaderLen)
	return dst
}

// SetSubscribe is SUBJECT_SET_SUBSCRIBE: a client begins or ends a subscription.
type SetSubscribe struct {
	Subject []byte
	Start   bool // false: the subscription ends
	Balance bool // false: this subscriber gets balanced messages as well as the others do
}

// AppendSetSubscribe appends a whole message without a frame header.
func AppendSetSubscribe(dst []byte, s *SetSubscribe) []byte {
	dst = Append(dst, &Message{Type: TypeSubjectSetSubscribe})
	dst = AppendStr(dst, s.Subject)
	dst = AppendBool(dst, s.Start)
	return AppendBool(dst, s.Balance)
}

// ParseSetSubscribe reads the fields of a SUBJECT_SET_SUBSCRIBE. s.Subject aliases m. Errors: codec.ErrMalformed.
func ParseSetSubscribe(m *Message, s *SetSubscribe) error {
	c := open(m, TypeSubjectSetSubscribe)
	s.Subject, s.Start, s.Balance = c.bytes(Str), c.bool(), c.bool()
	return c.end()
}

// MaxBatch is the most subscriptions in one batch: in memory they are larger than on the wire.
const MaxBatch = 100_000

// AppendBatchSubscribe appends a BATCH_SUBJECT_SET_SUBSCRIBE, a whole message without a frame header: at most MaxBatch SetSubscribe.
func AppendBatchSubscribe(dst []byte, all []SetSubscribe) []byte {
	dst = Append(dst, &Message{Type: TypeBatchSubjectSetSubscribe})
	dst = appendArray(dst, StrArray, all, func(dst []byte, s SetSubscribe) []byte { return putText(dst, s.Subject) })
	dst = appendArray(dst, BoolArray, all, func(dst []byte, s SetSubscribe) []byte { return append(dst, bit(s.Start)) })
	return appendArray(dst, BoolArray, all, func(dst []byte, s SetSubscribe) []byte { return append(dst, bit(s.Balance)) })
}

// ParseBatchSubscribe appends what a BATCH_SUBJECT_SET_SUBSCRIBE holds to dst; the subjects alias m.
// Errors: codec.ErrMalformed, also when the arrays differ in length; codec.ErrTooLarge above MaxBatch.
func ParseBatchSubscribe(dst []SetSubscribe, m *Message) ([]SetSubscribe, error) {
	c := open(m, TypeBatchSubjectSetSubscribe)
	subjects, starts, balances := c.field(StrArray), c.field(BoolArray), c.field(BoolArray)
	if err := c.end(); err != nil {
		return dst, err
	}
	count := subjects.Len()
	if len(starts.Value) != count || len(balances.Value) != count {
		return dst, malformed("%d subjects, %d starts, %d load_balances", count, len(starts.Value), len(balances.Value))
	}
	if count > MaxBatch {
		return dst, batchTooLarge(count)
	}
	i, first := 0, len(dst)
	for e := range subjects.Elements() {
		start, balance := starts.Value[i], balances.Value[i]
		if start > 1 || balance > 1 {
			return dst[:first], malformed("bool of %d and %d", start, balance)
		}
		dst = append(dst, SetSubscribe{Subject: e.Value, Start: start == 1, Balance: balance == 1})
		i++
	}
	return dst, nil
}

// SubscribeResult is what came of one SetSubscribe of a batch.
type SubscribeResult struct {
	Subject []byte
	Code    Code
}

// AppendBatchResult appends a BATCH_SUBJECT_SET_SUBSCRIBE_RESULT, a whole message without a frame header.
func AppendBatchResult(dst []byte, all []SubscribeResult) []byte {
	dst = Append(dst, &Message{Type: TypeBatchSubjectSetSubscribeResult})
	dst = appendArray(dst, StrArray, all, func(dst []byte, r SubscribeResult) []byte { return putText(dst, r.Subject) })
	codes := make([]int32, len(all))
	for i := range all {
		codes[i] = int32(all[i].Code)
	}
	return AppendInt4Array(dst, codes)
}

// ParseBatchResult appends what a BATCH_SUBJECT_SET_SUBSCRIBE_RESULT holds to dst; the subjects alias m.
// Errors: codec.ErrMalformed, also when the arrays differ in length; codec.ErrTooLarge above MaxBatch.
func ParseBatchResult(dst []SubscribeResult, m *Message) ([]SubscribeResult, error) {
	c := open(m, TypeBatchSubjectSetSubscribeResult)
	subjects, codes := c.field(StrArray), c.field(Int4Array)
	if err := c.end(); err != nil {
		return dst, err
	}
	count := subjects.Len()
	if codes.Len() != count {
		return dst, malformed("%d subjects, %d codes", count, codes.Len())
	}
	if count > MaxBatch {
		return dst, batchTooLarge(count)
	}
	first := len(dst)
	for e := range subjects.Elements() {
		dst = append(dst, SubscribeResult{Subject: e.Value})
	}
	for e := range codes.Elements() {
		code, err := e.Int()
		if err != nil {
			return dst[:first], err
		}
		dst[first].Code = Code(code)
		first++
	}
	return dst, nil
}

func batchTooLarge(count int) error {
	return fmt.Errorf("message: batch of %d subscriptions, limit %d: %w", count, MaxBatch, codec.ErrTooLarge)
}

// StopType says who is to stop.
type StopType int32

// The stop types of SERVER_STOP_CALL.
const (
	StopNormal  StopType = iota // this server; its clients go elsewhere
	StopClients                 // this server and its clients
	StopServers                 // all servers of the cloud
	StopAll                     // all servers and all their clients
)

// AppendStopCall appends a SERVER_STOP_CALL, a whole message without a frame header.
func AppendStopCall(dst []byte, stop StopType) []byte {
	return AppendInt4(Append(dst, &Message{Type: TypeServerStopCall}), int32(stop))
}

// ParseStopCall reads a SERVER_STOP_CALL. Errors: codec.ErrMalformed, also for a stop type that does not exist.
func ParseStopCall(m *Message) (StopType, error) {
	c := open(m, TypeServerStopCall)
	stop := StopType(c.int4())
	if err := c.end(); err != nil {
		return 0, err
	}
	if stop < StopNormal || stop > StopAll {
		return 0, malformed("stop type %d", stop)
	}
	return stop, nil
}

// StopResult is SERVER_STOP_RESULT.
type StopResult struct {
	Text string
	Code Code // CodeOK: it stops
}

// AppendStopResult appends a whole message without a frame header.
func AppendStopResult(dst []byte, r *StopResult) []byte {
	dst = AppendStr(Append(dst, &Message{Type: TypeServerStopResult}), r.Text)
	return AppendInt4(dst, int32(r.Code))
}

// ParseStopResult reads a SERVER_STOP_RESULT. Errors: codec.ErrMalformed.
func ParseStopResult(m *Message, r *StopResult) error {
	c := open(m, TypeServerStopResult)
	r.Text, r.Code = c.text(), Code(c.int4())
	return c.end()
}

// AppendDisconnect appends a DISCONNECT, a whole message without a frame header: a client leaves, and says what is to become of
// its guaranteed messages.
func AppendDisconnect(dst []byte, mode string) []byte {
	return AppendStr(Append(dst, &Message{Type: TypeDisconnect}), mode)
}

// ParseDisconnect reads the mode of a DISCONNECT, which is not judged. Errors: codec.ErrMalformed.
func ParseDisconnect(m *Message) (mode string, err error) {
	c := open(m, TypeDisconnect)
	mode = c.text()
	return mode, c.end()
}

// AppendControl appends a CONTROL to a subject, a whole message without a frame header. dest is at most MaxDest bytes.
func AppendControl(dst []byte, dest, command string) []byte {
	return AppendStr(Append(dst, &Message{Type: TypeControl, Dest: []byte(dest)}), command)
}

// ParseControl reads the command of a CONTROL. Errors: codec.ErrMalformed.
func ParseControl(m *Message) (command string, err error) {
	c := open(m, TypeControl)
	command = c.text()
	return command, c.end()
}

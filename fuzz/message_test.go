package fuzz

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"roundhouse/codec"
	"roundhouse/codec/frame"
	"roundhouse/codec/message"
)

func messageTypes(f *testing.F) *message.Types {
	types := &message.Types{}
	for number, d := range map[message.Type][2]string{
		100: {"order", "verbose"}, 101: {"matrix", "str { int4_array }"}, 102: {"list", "{ id int4_array }"}, 103: {"pair", "int4 msg"},
	} {
		if err := types.Define(number, d[0], d[1]); err != nil {
			f.Fatal(err)
		}
	}
	return types
}

// FuzzMessage parses a message. What is accepted is written as the same bytes, shows NATS clients no byte that is not its own, and
// has a text that stands for a message with the same text. Its properties are those that are in it, one after the other.
func FuzzMessage(f *testing.F) {
	types := messageTypes(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		var m message.Message
		if err := message.Parse(in, &m); err != nil {
			if !errors.Is(err, codec.ErrMalformed) {
				t.Fatalf("%q: %v", in, err)
			}
			return
		}
		if out := message.Append(nil, &m); !bytes.Equal(out, in) || message.Size(&m) != len(in) {
			t.Fatalf("%q is written %q, size %d", in, out, message.Size(&m))
		}
		var props []byte
		seen := map[message.Tag]bool{}
		for rest := m.Props; len(rest) > 0; {
			tag, value, after, ok := message.NextProperty(rest)
			if !ok {
				t.Fatalf("%q: properties end with %q", in, rest)
			}
			if first, ok := m.Property(tag); !ok || !seen[tag] && !bytes.Equal(first, value) {
				t.Fatalf("%q: property %d is %q, not %q", in, tag, first, value)
			}
			props, seen[tag], rest = message.AppendProperty(props, tag, value), true, after
		}
		if !bytes.Equal(props, m.Props) {
			t.Fatalf("%q: properties %q are written %q", in, m.Props, props)
		}
		header, payload := message.NATSPayload(&m)
		if !bytes.Contains(m.Fields, header) || !bytes.Contains(m.Fields, payload) {
			t.Fatalf("%q: header %q, payload %q", in, header, payload)
		}
		checkNATS(t, in)
		text := message.AppendText(nil, &m, types)
		if all := readMessages(t, text, types, true); len(all) != 1 {
			t.Fatalf("%q is written\n%s\nand read as %d messages", in, text, len(all))
		} else if again := message.AppendText(nil, &all[0], types); !bytes.Equal(again, text) || all[0].Type != m.Type || !bytes.Equal(all[0].Dest, m.Dest) {
			t.Fatalf("%q is written\n%s\nread and written\n%s", in, text, again)
		}
	})
}

// checkNATS carries bytes as a payload and, in a block, as a header.
func checkNATS(t *testing.T, in []byte) {
	t.Helper()
	block := append(append([]byte("NATS/1.0"), in...), "\r\n\r\n"...)
	for _, header := range [][]byte{nil, block} {
		m := message.Message{Type: message.TypeJMSBytes, Fields: message.AppendFromNATS(nil, header, in)}
		if h, p := message.NATSPayload(&m); !bytes.Equal(h, header) || !bytes.Equal(p, in) {
			t.Fatalf("%q, %q arrive as %q, %q", header, in, h, p)
		}
	}
}

// readMessages reads a file to its end. When it is one of ours, nothing in it may be wrong.
func readMessages(t *testing.T, file []byte, types *message.Types, ours bool) (all []message.Message) {
	t.Helper()
	r := message.NewReader(bytes.NewReader(file), types, frame.MaxSize)
	for {
		var m, kept message.Message
		err := r.Read(&m)
		if err == io.EOF {
			return all
		}
		var wrong *message.TextError
		switch {
		case err == nil:
		case ours || !errors.As(err, &wrong) && r.Format() == message.FormatText:
			t.Fatalf("%q: %v", file, err)
		case wrong != nil && (wrong.Line < 1 || wrong.Line > 1+bytes.Count(file, []byte("\n"))):
			t.Fatalf("%q: line %d: %v", file, wrong.Line, err)
		default:
			return all
		}
		if err := message.Parse(message.Append(nil, &m), &kept); err != nil {
			t.Fatalf("%q: %+v is refused: %v", file, m, err)
		}
		all = append(all, kept)
	}
}

// FuzzMessageFields takes a field block apart. What is accepted is written as the same bytes; the elements of an array are fields of
// their own; every accessor of the right kind gives something, or says what is wrong.
func FuzzMessageFields(f *testing.F) {
	f.Fuzz(func(t *testing.T, in []byte) {
		var out []byte
		for rest := in; len(rest) > 0; {
			field, n, err := message.NextField(rest)
			if err != nil {
				if n != 0 || !errors.Is(err, codec.ErrMalformed) {
					t.Fatalf("%q: %d, %v", rest, n, err)
				}
				break
			}
			if n <= 0 || n > len(rest) {
				t.Fatalf("%q: %d bytes of %d", rest, n, len(rest))
			}
			checkField(t, field)
			out, rest = message.AppendField(out, field), rest[n:]
		}
		if !bytes.HasPrefix(in, out) {
			t.Fatalf("%q is written %q", in, out)
		}
	})
}

// checkField calls all accessors: exactly those for the kind of the field succeed, or find the value unknown or malformed.
func checkField(t *testing.T, field message.Field) {
	t.Helper()
	var m message.Message
	var results []error
	add := func(_ any, err error) { results = append(results, err) }
	add(field.Int())
	add(field.Ints())
	add(field.Real())
	add(field.Reals())
	add(field.Bool())
	add(field.Bools())
	add(field.Texts())
	add(field.Bytes())
	add(nil, field.Message(&m))
	good := 0
	for _, err := range results {
		switch {
		case errors.Is(err, message.ErrKind), errors.Is(err, message.ErrUnknown) && field.Unknown:
		case err == nil, errors.Is(err, codec.ErrMalformed):
			good++
		default:
			t.Fatalf("%+v: %v", field, err)
		}
	}
	opaque := field.Kind == message.Real16Array || field.Kind == message.MsgArray
	if want := !field.Unknown && !opaque; want != (good == 1) || good > 1 {
		t.Fatalf("%+v: %d accessors: %v", field, good, results)
	}
	count := 0
	for e := range field.Elements() {
		one, n, err := message.NextField(message.AppendField(nil, e))
		if err != nil || n == 0 || one.Kind != field.Kind.Element() || !bytes.Equal(one.Value, e.Value) {
			t.Fatalf("%+v of %+v: %+v, %v", e, field, one, err)
		}
		count++
	}
	if count != field.Len() {
		t.Fatalf("%+v: %d elements of %d", field, count, field.Len())
	}
}

// FuzzMessageFile reads a file of messages. What was read from it is written as a text that reads as the same text, also through
// a binary file, which reads as the same messages.
func FuzzMessageFile(f *testing.F) {
	types := messageTypes(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		all := readMessages(t, in, types, false)
		write := func(format message.Format, all []message.Message) []byte {
			var file bytes.Buffer
			w := message.NewWriter(&file, format, true, types)
			for i := range all {
				if err := w.Write(&all[i]); err != nil {
					t.Fatal(err)
				}
			}
			return file.Bytes()
		}
		text := write(message.FormatText, all)
		binary := write(message.FormatBinary, all)
		if again := write(message.FormatText, readMessages(t, text, types, true)); !bytes.Equal(again, text) {
			t.Fatalf("%q is written\n%s\nand then\n%s", in, text, again)
		}
		if len(all) == 0 {
			return // the header of a binary file is written with its first message
		}
		copies := readMessages(t, binary, types, true)
		if again := write(message.FormatBinary, copies); !bytes.Equal(again, binary) {
			t.Fatalf("%q is written %q and then %q", in, binary, again)
		}
		if again := write(message.FormatText, copies); !bytes.Equal(again, text) {
			t.Fatalf("%q is written\n%s\nand through a binary file\n%s", in, text, again)
		}
	})
}

// FuzzMessageControl reads the messages that a server answers itself. Each that is accepted, and has nothing of a later version
// behind it, is written as the same fields.
func FuzzMessageControl(f *testing.F) {
	f.Fuzz(func(t *testing.T, number int32, fields []byte) {
		m := message.Message{Type: message.Type(number), Fields: fields}
		out, later, err := rewriteControl(&m)
		if err != nil && !errors.Is(err, codec.ErrMalformed) {
			t.Fatalf("%s %q: %v", m.Type, fields, err)
		}
		if err != nil || out == nil {
			return
		}
		var again message.Message
		if err := message.Parse(out, &again); err != nil || again.Type != m.Type {
			t.Fatalf("%s %q is written %q: %v", m.Type, fields, out, err)
		}
		if !bytes.Equal(again.Fields, fields) && !(later && bytes.HasPrefix(fields, again.Fields)) {
			t.Fatalf("%s %q is written %q", m.Type, fields, again.Fields)
		}
	})
}

// rewriteControl parses m and appends what came out; nil for a type that has no parser. later: fields may follow.
func rewriteControl(m *message.Message) (out []byte, later bool, err error) {
	switch m.Type {
	case message.TypeConnectCall:
		var h message.Hello
		err = message.ParseHello(m, &h)
		return message.AppendHello(nil, &h), true, err
	case message.TypeConnectResult:
		var w message.Welcome
		err = message.ParseWelcome(m, &w)
		return message.AppendWelcome(nil, &w), true, err
	case message.TypeSubjectSetSubscribe:
		var s message.SetSubscribe
		err = message.ParseSetSubscribe(m, &s)
		return message.AppendSetSubscribe(nil, &s), false, err
	case message.TypeBatchSubjectSetSubscribe:
		all, err := message.ParseBatchSubscribe(nil, m)
		return message.AppendBatchSubscribe(nil, all), false, err
	case message.TypeBatchSubjectSetSubscribeResult:
		all, err := message.ParseBatchResult(nil, m)
		return message.AppendBatchResult(nil, all), false, err
	case message.TypeServerStopCall:
		stop, err := message.ParseStopCall(m)
		return message.AppendStopCall(nil, stop), false, err
	case message.TypeServerStopResult:
		var r message.StopResult
		err = message.ParseStopResult(m, &r)
		return message.AppendStopResult(nil, &r), false, err
	case message.TypeDisconnect:
		mode, err := message.ParseDisconnect(m)
		return message.AppendDisconnect(nil, mode), false, err
	case message.TypeControl:
		command, err := message.ParseControl(m)
		return message.AppendControl(nil, "", command), false, err
	}
	return nil, false, nil
}

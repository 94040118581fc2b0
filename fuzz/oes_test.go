package fuzz

import (
	"bytes"
	"errors"
	"strconv"
	"testing"

	"roundhouse/codec"
	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
)

// oesCommands are payloads of commands.
var oesCommands = []string{
	"1\x01guest\x01pw\x01EXAMPLES\x01-1\x01\x01\x01\x01\x01\x01", "3\x01ADD\x012\x01", "2", "18\x01", "-1\x011\x01", "100", "400\x01", "-10\x01pw\x01LIST\x01",
	"-4\x011\x02guest\x02pw\x02EXAMPLES\x023\x02\x02PROC\x02\x02\x02\x02\x013\x02NIGHTLY\x02\x01", "1000\x01", "-", "-0\x01", "003\x01", "+1\x01", "",
}

// FuzzOESCommand reads in as a command and as a subcommand. strconv agrees about the code; what is taken is written again as it
// was, but for zeros in front of the code and a delimiter at the end.
func FuzzOESCommand(f *testing.F) {
	for _, in := range oesCommands {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		code, fields, err := oes.ParseCommand(in)
		checkOESCode(t, in, frame.Delimiter, code, err)
		if err == nil {
			payload := oes.AppendCommand(nil, code, fieldsOf(fields, frame.Delimiter)...)[frame.HeaderLen:]
			checkOESCommand(t, in, frame.Delimiter, payload)
		}
		code, fields, err = oes.ParseSubcommand(in)
		checkOESCode(t, in, frame.SubDelimiter, code, err)
		if err == nil {
			checkOESCommand(t, in, frame.SubDelimiter, oes.AppendSubcommand(nil, code, fieldsOf(fields, frame.SubDelimiter)...))
		}
	})
}

// fieldsOf cuts b into fields, each ended by the delimiter, which the last one may lack.
func fieldsOf(b []byte, delimiter byte) [][]byte {
	fields := bytes.Split(b, []byte{delimiter})
	if n := len(fields) - 1; len(fields[n]) == 0 {
		fields = fields[:n]
	}
	return fields
}

// checkOESCode works out with strconv what the code at the front of in is.
func checkOESCode(t *testing.T, in []byte, delimiter byte, code int, err error) {
	t.Helper()
	head, _, _ := bytes.Cut(in, []byte{delimiter})
	digits := bytes.TrimPrefix(head, []byte("-"))
	want, wantErr := strconv.Atoi(string(head))
	if wantErr != nil || len(digits) > 3 || head[0] == '+' {
		if !errors.Is(err, codec.ErrMalformed) || code != 0 {
			t.Errorf("%q: %d, %v; want that it is refused", in, code, err)
		}
		return
	}
	if err != nil || code != want {
		t.Errorf("%q: %d, %v; want %d", in, code, err, want)
	}
}

// checkOESCommand compares what was read with what it is written as.
func checkOESCommand(t *testing.T, in []byte, delimiter byte, out []byte) {
	t.Helper()
	head, rest, found := bytes.Cut(in, []byte{delimiter})
	code, _ := strconv.Atoi(string(head)) // was looked at before
	want := append([]byte(strconv.Itoa(code)), delimiter)
	if want = append(want, rest...); found && len(rest) > 0 && rest[len(rest)-1] != delimiter {
		want = append(want, delimiter)
	}
	if !bytes.Equal(out, want) {
		t.Errorf("%q is written as %q, want %q", in, out, want)
	}
}

// FuzzOESLogin reads in as the fields of a login. They are those that bytes.Split finds, and are written again as they were.
func FuzzOESLogin(f *testing.F) {
	f.Add([]byte("guest\x01pw\x01EXAMPLES\x012\x01\x01RUN_OECGI_REQUEST\x0165\x011\x01\x01"), byte(frame.Delimiter))
	f.Add([]byte("guest\x02pw\x02EXAMPLES\x023\x02\x02PROC\x02\x02\x02\x02"), byte(frame.SubDelimiter))
	f.Add([]byte("guest\x01pw"), byte(frame.Delimiter))
	f.Add([]byte("\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01more"), byte(frame.Delimiter))
	f.Fuzz(func(t *testing.T, in []byte, delimiter byte) {
		l := oes.ParseLogin(in, delimiter)
		got := [][]byte{l.User, l.Password, l.Application, l.Mode, l.Server, l.Procedure, l.UpFlags, l.DownFlags, l.Location}
		want := bytes.Split(in, []byte{delimiter})
		for i, field := range got {
			if i < len(want) && !bytes.Equal(field, want[i]) || i >= len(want) && len(field) > 0 {
				t.Errorf("%q by %q: field %d is %q", in, delimiter, i, field)
			}
		}
		if delimiter != frame.Delimiter {
			return
		}
		code, fields, err := oes.ParseCommand(oes.AppendLogin(nil, l)[frame.HeaderLen:])
		again := oes.ParseLogin(fields, frame.Delimiter)
		if code != oes.Login || err != nil || !bytes.Equal(oes.AppendLogin(nil, l), oes.AppendLogin(nil, again)) {
			t.Errorf("%q is written as %q, %v", in, fields, err)
		}
	})
}

// FuzzOESReply reads in as a reply, by both rules. What is taken is written again as it was, but for a final delimiter; in is never
// right by both rules; and any bytes survive being the body of a reply.
func FuzzOESReply(f *testing.F) {
	for _, in := range []string{
		"0\x01oed 1.0 MAIN\x01engine=E1\x01\x01", "00\x01\x89PNG\x01\x01\x01", "11\x01Invalid user\x01", "1\x01Access Denied\x01", "018\x01\x01", "19\x01Name? \x01",
		"00", "0", "01\x01", "10\x01", "02\x01line 1\r\n\x01", "5\x01half", "",
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		taken := 0
		for _, prefixed := range []bool{false, true} {
			r, err := oes.ParseReply(in, prefixed)
			if err != nil {
				if !errors.Is(err, codec.ErrMalformed) || r.Body != nil {
					t.Errorf("%q: %+v, %v", in, r, err)
				}
				continue
			}
			taken++
			out := oes.AppendReplyBytes(nil, prefixed, r.Code, r.Body)[frame.HeaderLen:]
			if !bytes.HasPrefix(out, in) || len(bytes.TrimLeft(out[len(in):], "\x01")) > 0 || len(out) > len(in)+2 {
				t.Errorf("%q is written as %q", in, out)
			}
		}
		if taken > 1 {
			t.Errorf("%q is right with and without a prefix", in)
		}
		for _, code := range []int{oes.Done, oes.Failed, oes.Output, oes.Info, oes.Working, oes.Ask} {
			for _, prefixed := range []bool{false, true} {
				checkOESBody(t, in, prefixed, code)
			}
		}
	})
}

// checkOESBody writes body as a reply of every kind and reads it.
func checkOESBody(t *testing.T, body []byte, prefixed bool, code int) {
	t.Helper()
	out := oes.AppendReplyBytes(nil, prefixed, code, body)
	size, n, err := frame.ParseHeader(out, frame.MaxSize)
	if err != nil || size != len(out)-n || !bytes.Equal(out, oes.AppendReply(nil, prefixed, code, string(body))) {
		t.Fatalf("%q: %q, %v", body, out, err)
	}
	r, err := oes.ParseReply(out[n:], prefixed)
	if err != nil || r.Code != code || !bytes.Equal(r.Body, body) {
		t.Errorf("code %d, prefixed %v: %q came back as %+v, %v", code, prefixed, body, r, err)
	}
}

package oes

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"roundhouse/codec"
	"roundhouse/codec/frame"
)

func TestParseCommand(t *testing.T) {
	for _, row := range []struct {
		in     string
		code   int
		fields string
		bad    bool
	}{
		{in: "2", code: 2},
		{in: "2^", code: 2},
		{in: "2^^", code: 2, fields: "^"},
		{in: "3^a", code: 3, fields: "a"},
		{in: "3^^^", code: 3, fields: "^^"},
		{in: "3^a~b^", code: 3, fields: "a~b^"},
		{in: "0^", code: 0},
		{in: "-0^", code: 0},
		{in: "003^", code: 3},
		{in: "999^", code: 999},
		{in: "-999^", code: -999},
		{in: "1000^", bad: true},
		{in: "0003^", bad: true},
		{in: "-1000^", bad: true},
		{in: "18446744073709551617^", bad: true},
		{in: "", bad: true},
		{in: "^", bad: true},
		{in: "-", bad: true},
		{in: "-^", bad: true},
		{in: "--1^", bad: true},
		{in: "1-^", bad: true},
		{in: "+1^", bad: true},
		{in: " 1^", bad: true},
		{in: "1 ^", bad: true},
		{in: "1~guest", bad: true},
		{in: "0x1^", bad: true},
		{in: "1/^", bad: true},
		{in: "1:^", bad: true},
		{in: "\xb1^", bad: true},
		{in: "GET / HTTP/1.1", bad: true},
	} {
		in := []byte(wire(row.in))
		code, fields, err := ParseCommand(in)
		if row.bad != errors.Is(err, codec.ErrMalformed) || code != row.code || string(fields) != wire(row.fields) {
			t.Errorf("%q: %d, %q, %v", row.in, code, fields, err)
		}
		sub := []byte(strings.NewReplacer("^", "\x02", "~", "\x01").Replace(row.in))
		subCode, parts, subErr := ParseSubcommand(sub)
		if subCode != code || len(parts) != len(fields) || (subErr == nil) != (err == nil) {
			t.Errorf("%q as a subcommand: %d, %q, %v", sub, subCode, parts, subErr)
		}
	}
}

// TestErrorsHideTheirInput has a password in a payload that is refused.
func TestErrorsHideTheirInput(t *testing.T) {
	in := []byte(wire("1x^guest^hunter2^"))
	_, _, err := ParseCommand(in)
	_, errReply := ParseReply(in, true)
	if all := fmt.Sprint(err, errReply); strings.Contains(all, "hunter") || strings.Contains(all, "guest") {
		t.Error(all)
	}
}

func TestParseMode(t *testing.T) {
	type result struct {
		m        Mode
		push, ok bool
	}
	want := map[string]result{
		"-1": {JD3, false, true}, "-1+": {JD3, true, true}, "0": {Block, false, true}, "1": {Char, false, true}, "1+": {Char, true, true},
		"2": {Web, false, true}, "3": {PhantomMode, false, true},
		"": {}, "4": {}, "-2": {}, "01": {}, "+1": {}, "0+": {}, "2+": {}, "3+": {}, "1++": {}, "1 ": {}, "-": {}, "+": {}, "128": {},
	}
	for in, w := range want {
		if m, push, ok := ParseMode([]byte(in)); (result{m, push, ok}) != w {
			t.Errorf("%q: %v, %v, %v", in, m, push, ok)
		}
		if w.ok && w.m.String() != strings.TrimSuffix(in, "+") {
			t.Errorf("%q is written as %q", in, w.m)
		}
	}
	for m, prefixed := range map[Mode]bool{JD3: false, Block: true, Char: true, Web: true, PhantomMode: true} {
		if m.Prefixed() != prefixed {
			t.Errorf("mode %v: prefixed %v", m, !prefixed)
		}
	}
}

// TestPrefixRule has what login, execute and logoff are answered with in each mode.
func TestPrefixRule(t *testing.T) {
	for _, row := range []struct{ mode, ok, failed, off string }{
		{"-1", "0^out^", "1^why^", "0^"},
		{"0", "00^out^", "11^why^", "00^"},
		{"1", "00^out^", "11^why^", "00^"},
		{"2", "00^out^", "11^why^", "00^"},
	} {
		m, _, _ := ParseMode([]byte(row.mode))
		for want, got := range map[string][]byte{
			row.ok:     AppendReply(nil, m.Prefixed(), Done, "out"),
			row.failed: AppendReply(nil, m.Prefixed(), Failed, "why"),
			row.off:    AppendReply(nil, m.Prefixed(), Done),
		} {
			if want = fmt.Sprintf("%08d", len(want)) + wire(want); string(got) != want {
				t.Errorf("mode %s: %q, want %q", row.mode, got, want)
			}
		}
	}
	for _, code := range []int{Done, Output, Info, Working, Ask} { // nothing has failed
		if out := AppendReply(nil, true, code); out[frame.HeaderLen] != '0' {
			t.Errorf("code %d: %q", code, out)
		}
	}
}

func TestParseReply(t *testing.T) {
	for _, row := range []struct {
		in       string
		prefixed bool
		code     int
		body     string
		bad      bool
	}{
		{in: "0", code: Done},
		{in: "0^", code: Done},
		{in: "0^^", code: Done},
		{in: "0^^^", code: Done, body: "^"},
		{in: "0^a", code: Done, body: "a"},
		{in: "00^\x89PNG^^~^", prefixed: true, code: Done, body: "\x89PNG^^~"},
		{in: "00", prefixed: true, code: Done},
		{in: "11^", prefixed: true, code: Failed},
		{in: "018^^", prefixed: true, code: Working},
		{in: "", bad: true},
		{in: "", prefixed: true, bad: true},
		{in: "^", bad: true},
		{in: "0^", prefixed: true, bad: true},
		{in: "0", prefixed: true, bad: true},
		{in: "10^", prefixed: true, bad: true},
		{in: "01^", prefixed: true, bad: true},
		{in: "12^", prefixed: true, bad: true},
		{in: "21^", prefixed: true, bad: true},
		{in: "3^", bad: true},
		{in: "-1^", bad: true},
		{in: "+0^", bad: true},
		{in: "00^", bad: true},
		{in: "02^", bad: true},
		{in: "190^", bad: true},
		{in: "0~^", bad: true},
		{in: "99999999999999999999^", bad: true},
	} {
		r, err := ParseReply([]byte(wire(row.in)), row.prefixed)
		if row.bad != errors.Is(err, codec.ErrMalformed) || r.Code != row.code || string(r.Body) != wire(row.body) {
			t.Errorf("%q, prefixed %v: %+v, %v", row.in, row.prefixed, r, err)
		}
	}
}

// TestTruncated cuts every vector at every byte: the frame says that more is needed, and the payload alone is read or refused, and
// written again as it was but for the delimiter that is missing.
func TestTruncated(t *testing.T) {
	for _, row := range commandVectors {
		payload := payloadOf(t, wire(row.bytes))
		for i := range payload {
			code, fields, err := ParseCommand(payload[:i])
			if err != nil {
				if i > 1 || !errors.Is(err, codec.ErrMalformed) || i == 1 && payload[0] != '-' {
					t.Errorf("%q: %v", payload[:i], err)
				}
				continue
			}
			out := AppendCommand(nil, code, bytes.TrimSuffix(fields, []byte{frame.Delimiter}))[frame.HeaderLen:]
			if !bytes.HasPrefix(out, payload[:i]) || len(out) > i+2 {
				t.Errorf("%q is written as %q", payload[:i], out)
			}
		}
	}
	for _, row := range replyVectors {
		payload := payloadOf(t, wire(row.bytes))
		for i := range payload {
			r, err := ParseReply(payload[:i], row.prefixed)
			if err == nil && !bytes.HasPrefix(AppendReplyBytes(nil, row.prefixed, r.Code, r.Body)[frame.HeaderLen:], payload[:i]) {
				t.Errorf("%q: %+v", payload[:i], r)
			}
			if err != nil && (i > 2 || !errors.Is(err, codec.ErrMalformed)) {
				t.Errorf("%q: %v", payload[:i], err)
			}
		}
	}
}

func TestLogin(t *testing.T) {
	full := LoginFields{
		User: []byte("u"), Password: []byte("p"), Application: []byte("a"), Mode: []byte("1+"), Server: []byte("s"), Procedure: []byte("pr"),
		UpFlags: []byte("-65"), DownFlags: []byte("0"), Location: []byte("l"),
	}
	show := func(l LoginFields) string { return fmt.Sprintf("%q", l) }
	out := AppendLogin([]byte("x"), full)
	if want := "x00000024" + wire("1^u^p^a^1+^s^pr^-65^0^l^"); string(out) != want {
		t.Errorf("%q, want %q", out, want)
	}
	for in, want := range map[string]LoginFields{
		"u^p^a^1+^s^pr^-65^0^l^":      full,
		"u^p^a^1+^s^pr^-65^0^l":       full,
		"u^p^a^1+^s^pr^-65^0^l^more^": full,
		"":                            {},
		"^^^^^^^^^":                   {},
		"u":                           {User: []byte("u")},
		"u^":                          {User: []byte("u")},
		"u^^a":                        {User: []byte("u"), Application: []byte("a")},
		"^^^^^^^^l":                   {Location: []byte("l")},
	} {
		if l := ParseLogin([]byte(wire(in)), frame.Delimiter); show(l) != show(want) {
			t.Errorf("%q: %q", in, l)
		}
		in = strings.ReplaceAll(in, "^", "~")
		if l := ParseLogin([]byte(wire(in)), frame.SubDelimiter); show(l) != show(want) {
			t.Errorf("%q: %q", in, l)
		}
	}
}

func TestPhantom(t *testing.T) {
	_, fields, err := ParseCommand(payloadOf(t, wire("00000046-4^1~guest~pw~EXAMPLES~3~~PROC~~~~^3~NIGHTLY~^")))
	login, fields, _ := frame.Cut(fields)
	execute, fields, _ := frame.Cut(fields)
	code, parts, errLogin := ParseSubcommand(login)
	l := ParseLogin(parts, frame.SubDelimiter)
	if err != nil || errLogin != nil || code != Login || fmt.Sprintf("%s", l) != "{guest pw EXAMPLES 3  PROC   }" || len(fields) != 0 {
		t.Errorf("%d, %s, %q; %v, %v", code, l, fields, err, errLogin)
	}
	if code, parts, err := ParseSubcommand(execute); code != Execute || string(parts) != "NIGHTLY\x02" || err != nil {
		t.Errorf("%d, %q, %v", code, parts, err)
	}
	sub := AppendSubcommand(nil, Login, l.User, l.Password, l.Application, l.Mode, l.Server, l.Procedure, l.UpFlags, l.DownFlags, l.Location)
	if !bytes.Equal(sub, login) || !bytes.Equal(AppendSubcommand(nil, Execute, []byte("NIGHTLY")), execute) {
		t.Errorf("written as %q", sub)
	}
}

func TestAppendRefusesItsCaller(t *testing.T) {
	for _, size := range []int{frame.MaxSize - 2, -10} {
		func() {
			defer func() {
				if msg := fmt.Sprint(recover()); !strings.HasPrefix(msg, "BUG: frame") {
					t.Errorf("size %d: panic %q", size, msg)
				}
			}()
			AppendReplyHead(nil, true, Done, size)
		}()
	}
	if out := AppendReplyHead(nil, true, Done, frame.MaxSize-3); string(out[:frame.HeaderLen]) != "99999999" {
		t.Errorf("the largest reply: %q", out)
	}
}

// The benchmarks use these, so that nothing is computed before they run.
var (
	benchCommand = []byte(wire("3^LIST VOC^WITH SIZE > 100^"))
	benchLogin   = []byte(wire("guest^pw^EXAMPLES^2^^RUN_OECGI_REQUEST^65^1^^"))
	benchReply   = append([]byte("00\x01"), append(make([]byte, 4096), 1)...)
	benchBody    = make([]byte, 4096)
)

func TestAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 8192)
	text := "HELLO"
	l := ParseLogin(benchLogin, frame.Delimiter)
	for name, f := range map[string]func(){
		"ParseCommand":     func() { ParseCommand(benchCommand) },
		"ParseLogin":       func() { l = ParseLogin(benchLogin, frame.Delimiter) },
		"ParseMode":        func() { ParseMode(l.Mode) },
		"ParseReply":       func() { ParseReply(benchReply, true) },
		"AppendReply":      func() { dst = AppendReply(dst[:0], true, Done, text, "OK") },
		"AppendReplyBytes": func() { dst = AppendReplyBytes(dst[:0], true, Output, benchBody) },
		"AppendReplyHead":  func() { dst = AppendReplyHead(dst[:0], false, Working, 1) },
		"AppendCommand":    func() { dst = AppendCommand(dst[:0], Execute, l.User, l.Password) },
		"AppendLogin":      func() { dst = AppendLogin(dst[:0], l) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkParseCommand(b *testing.B) {
	b.SetBytes(int64(len(benchCommand)))
	b.ReportAllocs()
	for b.Loop() {
		if code, _, err := ParseCommand(benchCommand); code != Execute || err != nil {
			b.Fatal(code, err)
		}
	}
}

func BenchmarkParseLogin(b *testing.B) {
	b.SetBytes(int64(len(benchLogin)))
	b.ReportAllocs()
	for b.Loop() {
		if l := ParseLogin(benchLogin, frame.Delimiter); len(l.Procedure) != 17 {
			b.Fatal(l)
		}
	}
}

func BenchmarkParseReply(b *testing.B) {
	b.SetBytes(int64(len(benchReply)))
	b.ReportAllocs()
	for b.Loop() {
		if r, err := ParseReply(benchReply, true); len(r.Body) != 4096 || err != nil {
			b.Fatal(r, err)
		}
	}
}

func BenchmarkAppendReply(b *testing.B) {
	dst, text := make([]byte, 0, 64), "HELLO"
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendReply(dst[:0], true, Done, text)
	}
}

func BenchmarkAppendReplyBytes(b *testing.B) {
	dst := make([]byte, 0, 8192)
	b.SetBytes(int64(len(benchBody)))
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendReplyBytes(dst[:0], true, Done, benchBody)
	}
}

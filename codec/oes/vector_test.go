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

// wire turns ^ and ~ into the delimiters.
func wire(s string) string {
	return strings.NewReplacer("^", "\x01", "~", "\x02").Replace(s)
}

// split returns what ends with the delimiter.
func split(b []byte, delimiter byte) (fields []string) {
	for len(b) > 0 {
		field, rest, found := bytes.Cut(b, []byte{delimiter})
		if fields, b = append(fields, string(field)), rest; !found {
			break
		}
	}
	return fields
}

// payloadOf returns what the header of a frame announces.
func payloadOf(t *testing.T, in string) []byte {
	t.Helper()
	size, n, err := frame.ParsePadded([]byte(in), frame.MaxSize)
	if err != nil || n != frame.HeaderLen || size != len(in)-n {
		t.Fatalf("%q: header %d, %d, %v", in, size, n, err)
	}
	return []byte(in[n:])
}

// commandVectors are read and written.
var commandVectors = []struct {
	name, bytes string
	code        int
	fields      string // joined by a bar, after each
}{
	{"login, JD3", "000000281^guest^pw^EXAMPLES^-1^^^^^^", Login, "guest|pw|EXAMPLES|-1||||||"},
	{"login, char", "000000271^guest^pw^EXAMPLES^1^^^^^^", Login, "guest|pw|EXAMPLES|1||||||"},
	{"login, web", "000000441^guest^pw^EXAMPLES^2^^RUN_OECGI_REQUEST^^^^", Login, "guest|pw|EXAMPLES|2||RUN_OECGI_REQUEST||||"},
	{"execute", "000000113^LIST VOC^", Execute, "LIST VOC|"},
	{"execute, two parameters", "000000083^ADD^2^", Execute, "ADD|2|"},
	{"input", "0000000719^Bob^", Input, "Bob|"},
	{"continue", "0000000318^", Continue, ""},
	{"break", "00000004100^", Break, ""},
	{"debug", "00000004101^", Debug, ""},
	{"call with events", "00000008400^ADD^", CallEvents, "ADD|"},
	{"logoff", "000000022^", Logoff, ""},
	{"list", "00000003-1^", List, ""},
	{"list for char", "00000005-1^1^", List, "1|"},
	{"stop idle", "00000011-2^REVSOFT^", StopIdle, "REVSOFT|"},
	{"times", "00000003-5^", Times, ""},
	{"phantom", "00000046-4^1~guest~pw~EXAMPLES~3~~PROC~~~~^3~NIGHTLY~^", Phantom, "1~guest~pw~EXAMPLES~3~~PROC~~~~|3~NIGHTLY~|"},
}

func TestCommandVectors(t *testing.T) {
	for _, row := range commandVectors {
		t.Run(row.name, func(t *testing.T) {
			in := wire(row.bytes)
			want := split([]byte(wire(row.fields)), '|')
			payload := payloadOf(t, in)
			checkCommand(t, payload, row.code, want)
			checkCommand(t, bytes.TrimSuffix(payload, []byte{frame.Delimiter}), row.code, trimLast(want))

			fields := make([][]byte, len(want))
			for i := range want {
				fields[i] = []byte(want[i])
			}
			if out := AppendCommand([]byte("x"), row.code, fields...); string(out) != "x"+in {
				t.Errorf("AppendCommand: %q, want %q", out, in)
			}
		})
	}
}

// trimLast takes an empty last field away, as happens when its delimiter is missing.
func trimLast(fields []string) []string {
	if n := len(fields); n > 0 && fields[n-1] == "" {
		return fields[:n-1]
	}
	return fields
}

func checkCommand(t *testing.T, payload []byte, code int, want []string) {
	t.Helper()
	got, fields, err := ParseCommand(payload)
	if got != code || err != nil || fmt.Sprintf("%q", split(fields, frame.Delimiter)) != fmt.Sprintf("%q", want) {
		t.Errorf("%q: %d, %q, %v; want %d, %q", payload, got, fields, err, code, want)
	}
}

// TestPaddedVectors has three headers that mean the same.
func TestPaddedVectors(t *testing.T) {
	for _, in := range []string{"000000113^LIST VOC^", "      113^LIST VOC^", "11      3^LIST VOC^", "11\x00\x00\x00\x00\x00\x003^LIST VOC^"} {
		checkCommand(t, payloadOf(t, wire(in)), Execute, []string{"LIST VOC"})
	}
}

// replyVectors are read and written. body is as wire makes it.
var replyVectors = []struct {
	name, bytes string
	prefixed    bool
	code        int
	fields      []string
	body        string
}{
	{"login ok, JD3", "000000260^oed 1.0 MAIN^engine=E1^^", false, Done, []string{"oed 1.0 MAIN", "engine=E1", ""}, "oed 1.0 MAIN^engine=E1^"},
	{"login ok, char", "0000002700^oed 1.0 MAIN^engine=E1^^", true, Done, []string{"oed 1.0 MAIN", "engine=E1", ""}, "oed 1.0 MAIN^engine=E1^"},
	{"login failed, JD3", "000000151^Invalid user^", false, Failed, []string{"Invalid user"}, "Invalid user"},
	{"login failed, web", "0000001611^Invalid user^", true, Failed, []string{"Invalid user"}, "Invalid user"},
	{"output, char", "0000001202^line 1\r\n^", true, Output, []string{"line 1\r\n"}, "line 1\r\n"},
	{"output, JD3", "000000112^line 1\r\n^", false, Output, []string{"line 1\r\n"}, "line 1\r\n"},
	{"information, char", "0000000705^50%^", true, Info, []string{"50%"}, "50%"},
	{"working, char", "00000005018^^", true, Working, []string{""}, ""},
	{"working, JD3", "0000000418^^", false, Working, []string{""}, ""},
	{"ask, char", "00000011019^Name? ^", true, Ask, []string{"Name? "}, "Name? "},
	{"ask, JD3", "0000001019^Name? ^", false, Ask, []string{"Name? "}, "Name? "},
	{"done, char", "0000000900^HELLO^", true, Done, []string{"HELLO"}, "HELLO"},
	{"done, with status", "0000001200^HELLO^OK^", true, Done, []string{"HELLO", "OK"}, "HELLO^OK"},
	{"call failed, char", "0000002011^Processing error^", true, Failed, []string{"Processing error"}, "Processing error"},
	{"call failed, JD3", "000000191^Processing error^", false, Failed, []string{"Processing error"}, "Processing error"},
	{"logoff, JD3", "000000020^", false, Done, nil, ""},
	{"logoff, char", "0000000300^", true, Done, nil, ""},
	{"list for char", "0000000800^list^", true, Done, []string{"list"}, "list"},
	{"idle stopped", "000000250^Idle Engines shut down^", false, Done, []string{"Idle Engines shut down"}, "Idle Engines shut down"},
	{"denied", "000000161^Access Denied^", false, Failed, []string{"Access Denied"}, "Access Denied"},
	{"all stopped", "000000240^All Engines shut down^", false, Done, []string{"All Engines shut down"}, "All Engines shut down"},
	{"times", "000000600^Startup: 2024-01-02 03:04:05; Current 2024-01-02 04:05:06^", false, Done,
		[]string{"Startup: 2024-01-02 03:04:05; Current 2024-01-02 04:05:06"}, "Startup: 2024-01-02 03:04:05; Current 2024-01-02 04:05:06"},
	{"phantom started", "000000180^Phantom started^", false, Done, []string{"Phantom started"}, "Phantom started"},
}

func TestReplyVectors(t *testing.T) {
	for _, row := range replyVectors {
		t.Run(row.name, func(t *testing.T) {
			in, body := wire(row.bytes), wire(row.body)
			payload := payloadOf(t, in)
			if r, err := ParseReply(payload, row.prefixed); err != nil || r.Code != row.code || string(r.Body) != body {
				t.Errorf("%+v, %v; want %d, %q", r, err, row.code, body)
			}
			if r, err := ParseReply(payload, !row.prefixed); !errors.Is(err, codec.ErrMalformed) {
				t.Errorf("with the other prefix rule: %+v, %v", r, err)
			}
			if out := AppendReply([]byte("x"), row.prefixed, row.code, row.fields...); string(out) != "x"+in {
				t.Errorf("AppendReply: %q, want %q", out, in)
			}
			if len(row.fields) == 0 {
				return
			}
			if out := AppendReplyBytes([]byte("x"), row.prefixed, row.code, []byte(body)); string(out) != "x"+in {
				t.Errorf("AppendReplyBytes: %q, want %q", out, in)
			}
			out := AppendReplyHead([]byte("x"), row.prefixed, row.code, len(body)+1)
			if out = append(append(out, body...), frame.Delimiter); string(out) != "x"+in {
				t.Errorf("AppendReplyHead: %q, want %q", out, in)
			}
		})
	}
}

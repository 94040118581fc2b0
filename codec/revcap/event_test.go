package revcap

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"roundhouse/codec"
)

// eventRows are parsed and written. ^ is a delimiter; head is what stands in front of the body.
var eventRows = []struct {
	name, head, body string
	status           Status
	rid              uint64
	text             string
}{
	{"unprocessed", "0^7^", "", Unprocessed, 7, ""},
	{"processing", "1^7^^", "", Processing, 7, ""},
	{"processing, nothing done", "1^7^0^", "", Processing, 7, "0"},
	{"processing, all done", "1^7^100^", "", Processing, 7, "100"},
	{"data", "2^7^", "some output", Data, 7, ""},
	{"no data", "2^7^", "", Data, 7, ""},
	{"data with delimiters", "2^7^", "^a^^", Data, 7, ""},
	{"completed", "3^7^fine^", "output", Completed, 7, "fine"},
	{"completed, no status", "3^7^^", "output", Completed, 7, ""},
	{"completed, nothing", "3^7^^", "", Completed, 7, ""},
	{"completed, no output", "3^7^fine^", "", Completed, 7, "fine"},
	{"completed with delimiters", "3^7^fine^", "a^b^", Completed, 7, "fine"},
	{"error", "4^7^SYS100^", "no such file", ProcError, 7, "SYS100"},
	{"error without code", "4^7^^", "no such file", ProcError, 7, ""},
	{"information", "5^7^", "half way", Info, 7, ""},
	{"question", "10^7^", "Name? ", InfoRequest, 7, ""},
	{"command", "10^7^", "\x064", InfoRequest, 7, ""},
	{"lowest rid", "3^0^^", "", Completed, 0, ""},
	{"longest rid", "3^999999999999999999^^", "x", Completed, 999999999999999999, ""},
	{"hello", "HELLO^0^", "1^books^2.1^8^^^", Hello, 0, ""},
	{"bye", "BYE^0^closing time^", "", Bye, 0, "closing time"},
	{"bye without a reason", "BYE^0^^", "", Bye, 0, ""},
}

func TestEvents(t *testing.T) {
	for _, row := range eventRows {
		t.Run(row.name, func(t *testing.T) {
			payload := wire(row.head + row.body)
			want := Event{Status: row.status, RID: row.rid, Text: []byte(row.text), Body: wire(row.body)}
			for i := range len(payload) + 1 { // split at every byte, and whole
				ev, n, err := ParseEvent(payload[:i:i], len(payload))
				switch {
				case err != nil:
					t.Fatalf("%q of %q: %v", payload[:i], payload, err)
				case i < len(row.head) && n == 0:
					if !reflect.DeepEqual(ev, Event{}) {
						t.Errorf("%q of %q: %+v, though more is needed", payload[:i], payload, ev)
					}
				default:
					want.Body = payload[len(row.head):max(i, len(row.head))]
					if n != len(row.head) || !sameEvent(ev, want) {
						t.Errorf("%q of %q: %+v, %d; want %+v, %d", payload[:i], payload, ev, n, want, len(row.head))
					}
				}
			}
			if out := AppendEvent([]byte("x"), row.status, row.rid, row.text, wire(row.body)); string(out) != "x"+framed(row.head+row.body) {
				t.Errorf("written as %q, want x%q", out, framed(row.head+row.body))
			}
		})
	}
}

// sameEvent takes an empty slice for a missing one.
func sameEvent(a, b Event) bool {
	return a.Status == b.Status && a.RID == b.RID && bytes.Equal(a.Text, b.Text) && bytes.Equal(a.Body, b.Body)
}

// TestEventIgnoresWhatFollows: b may go on with the next frame.
func TestEventIgnoresWhatFollows(t *testing.T) {
	for _, row := range eventRows {
		payload := wire(row.head + row.body)
		alone, n, _ := ParseEvent(payload, len(payload))
		followed, m, err := ParseEvent(append(payload[:len(payload):len(payload)], "00000004"...), len(payload))
		if n != m || err != nil || !sameEvent(alone, followed) {
			t.Errorf("%s: %+v, %d, %v; want %+v, %d", row.name, followed, m, err, alone, n)
		}
	}
}

// TestEventsWithoutLastDelimiter: where nothing follows, the last delimiter may be missing.
func TestEventsWithoutLastDelimiter(t *testing.T) {
	for _, row := range []struct {
		payload string
		want    Event
	}{
		{"0^7", Event{Status: Unprocessed, RID: 7}},
		{"1^7", Event{Status: Processing, RID: 7}},
		{"1^7^", Event{Status: Processing, RID: 7}},
		{"1^7^50", Event{Status: Processing, RID: 7, Text: []byte("50")}},
		{"2^7", Event{Status: Data, RID: 7}},
		{"3^7", Event{Status: Completed, RID: 7}},
		{"3^7^", Event{Status: Completed, RID: 7}},
		{"3^7^fine", Event{Status: Completed, RID: 7, Text: []byte("fine")}},
		{"4^7", Event{Status: ProcError, RID: 7}},
		{"4^7^SYS100", Event{Status: ProcError, RID: 7, Text: []byte("SYS100")}},
		{"5^7", Event{Status: Info, RID: 7}},
		{"10^7", Event{Status: InfoRequest, RID: 7}},
		{"BYE", Event{Status: Bye}},
		{"BYE^", Event{Status: Bye}},
		{"BYE^0", Event{Status: Bye}},
		{"BYE^0^", Event{Status: Bye}},
		{"BYE^0^why", Event{Status: Bye, Text: []byte("why")}},
		{"HELLO^0", Event{Status: Hello}},
		{"0^007", Event{Status: Unprocessed, RID: 7}},
	} {
		payload := wire(row.payload)
		ev, n, err := ParseEvent(payload, len(payload))
		if err != nil || n != len(payload) || !sameEvent(ev, row.want) {
			t.Errorf("%q: %+v, %d, %v; want %+v", payload, ev, n, err, row.want)
		}
		for i := range payload { // no part of it is an event or an error, but data and information may begin
			if ev, n, err := ParseEvent(payload[:i], len(payload)); n != 0 || err != nil {
				t.Errorf("%q of %q: %+v, %d, %v", payload[:i], payload, ev, n, err)
			}
		}
	}
}

func TestParseEventRefuses(t *testing.T) {
	for _, payload := range []string{
		"", "^", "^^", "0", "0^", "0^^", "3", "3^", "6^1^", "7^1^", "9^1^", "11^1^", "100^1^", "-1^1^", "+3^1^", "03^1^", " 3^1^", "3 ^1^",
		"hello^0^1^", "HELLO", "HELLO^", "HELLO^^1^", "HELLO^1^1^", "HELLOO^0^", "HELL^0^", "bye", "BYE^1^", "BYE^x^", "BYEBYE", "BYE ^0^",
		"3^x^^", "3^-1^^", "3^+1^^", "3^ 1^^", "3^1 ^^", "3^1000000000000000000^^", "3^0000000000000000001^^", "3^1x",
		"0^7^x", "0^7^^", "1^7^50^x", "1^7^50^^", "1^7^101^", "1^7^0100^", "1^7^-1^", "1^7^50%^", "1^7^x", "BYE^0^why^x", "BYE^0^why^^",
		"Hello, world\n", "PHP Warning: x", "00000005",
	} {
		b := wire(payload)
		ev, n, err := ParseEvent(b, len(b))
		if n != 0 || !errors.Is(err, codec.ErrMalformed) || !reflect.DeepEqual(ev, Event{}) {
			t.Errorf("%q: %+v, %d, %v; want %v", payload, ev, n, err, codec.ErrMalformed)
		}
		for i := range b { // in parts, too: at the latest when all of it has come
			if ev, n, err := ParseEvent(b[:i], len(b)); n != 0 || !reflect.DeepEqual(ev, Event{}) {
				t.Errorf("%q of %q: %+v, %d, %v", b[:i], b, ev, n, err)
			}
		}
	}
}

func TestEventHeadLimit(t *testing.T) {
	for _, row := range []struct {
		name, payload string
		err           error
		n             int
	}{
		{"status below the limit", "3^7^" + strings.Repeat("s", MaxHead-6) + "^body", nil, MaxHead - 1},
		{"status at the limit", "3^7^" + strings.Repeat("s", MaxHead-5) + "^body", nil, MaxHead},
		{"status over the limit", "3^7^" + strings.Repeat("s", MaxHead-4) + "^body", codec.ErrTooLarge, 0},
		{"nothing but status, at the limit", "3^7^" + strings.Repeat("s", MaxHead-4), nil, MaxHead},
		{"nothing but status, over the limit", "3^7^" + strings.Repeat("s", MaxHead-3), codec.ErrTooLarge, 0},
		{"error code over the limit", "4^7^" + strings.Repeat("s", MaxHead), codec.ErrTooLarge, 0},
		{"reason at the limit", "BYE^0^" + strings.Repeat("s", MaxHead-7) + "^", nil, MaxHead},
		{"reason over the limit", "BYE^0^" + strings.Repeat("s", MaxHead-6) + "^", codec.ErrTooLarge, 0},
		{"data beyond the limit", "2^7^" + strings.Repeat("s", 2*MaxHead), nil, 4},
		{"output beyond the limit", "3^7^^" + strings.Repeat("s", 2*MaxHead), nil, 5},
	} {
		b := wire(row.payload)
		if _, n, err := ParseEvent(b, len(b)); n != row.n || !errors.Is(err, row.err) {
			t.Errorf("%s: %d, %v; want %d, %v", row.name, n, err, row.n, row.err)
		}
		if row.err == nil {
			continue
		}
		// The engine never sends so much that the limit does not hold: a part that is larger than it suffices.
		if _, n, err := ParseEvent(b[:MaxHead], len(b)); n != 0 || !errors.Is(err, row.err) {
			t.Errorf("%s, MaxHead bytes: %d, %v; want %v", row.name, n, err, row.err)
		}
	}
}

func TestStatusNames(t *testing.T) {
	for status, want := range map[Status]string{Hello: "HELLO", Bye: "BYE", Unprocessed: "0", InfoRequest: "10"} {
		if got := status.String(); got != want {
			t.Errorf("Status(%d) is %q, want %q", int(status), got, want)
		}
	}
	for s := Bye; s <= InfoRequest; s++ {
		if got := s.Ends(); got != (s == 3 || s == 4) {
			t.Errorf("event %v ends a request: %v", s, got)
		}
	}
}

func TestEventsAllocateNothing(t *testing.T) {
	payload := wire("3^123456^fine^output")
	dst := make([]byte, 0, 128)
	allocs := testing.AllocsPerRun(100, func() {
		if ev, n, err := ParseEvent(payload, len(payload)); err != nil || n == 0 || ev.RID != 123456 {
			t.Fatal("wrong")
		}
		if _, n, err := ParseEvent(payload[:3], len(payload)); n != 0 || err != nil {
			t.Fatal("wrong")
		}
		dst = AppendEvent(dst[:0], Completed, 123456, "fine", payload)
		dst = AppendCallHead(dst[:0], Call, 123456, KindClient, "PROC", 30_000, 512)
		dst = AppendOrder(dst[:0], Break, 123456)
		dst = AppendInput(dst[:0], 123456, payload)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkParseEvent(b *testing.B) {
	for _, row := range []struct{ name, payload string }{
		{"unprocessed", "0^123456^"},
		{"completed", "3^123456^^" + strings.Repeat("a", 512)},
		{"data", "2^123456^" + strings.Repeat("a", 64<<10)},
	} {
		b.Run(row.name, func(b *testing.B) {
			payload := wire(row.payload)
			b.ReportAllocs()
			for b.Loop() {
				if ev, n, err := ParseEvent(payload, len(payload)); err != nil || n == 0 || ev.RID != 123456 {
					b.Fatal(ev, n, err)
				}
			}
		})
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	dst, body := make([]byte, 0, 1024), make([]byte, 512)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendEvent(dst[:0], Completed, 123456, "", body)
	}
}

// TestAppendEventHead: with the body behind it, it is the whole event.
func TestAppendEventHead(t *testing.T) {
	for _, row := range eventRows {
		if row.status == Unprocessed || row.status == Processing || row.status == Bye {
			continue // no body
		}
		body := wire(row.body)
		out := append(AppendEventHead([]byte("x"), row.status, row.rid, row.text, len(body)), body...)
		if string(out) != "x"+framed(row.head+row.body) {
			t.Errorf("%s: %q, want x%q", row.name, out, framed(row.head+row.body))
		}
	}
}

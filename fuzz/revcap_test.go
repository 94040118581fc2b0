package fuzz

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"roundhouse/codec"
	"roundhouse/codec/frame"
	"roundhouse/codec/revcap"
)

// FuzzRevcapEvent parses an event when all of it has come, and every part of it. A part says that more is needed, or it says the
// same of the head, with what has come of the body; what is refused in parts is refused as a whole. What is taken is written again
// and means the same.
func FuzzRevcapEvent(f *testing.F) {
	for _, payload := range []string{
		"0^7", "0^7^", "1^7^50^", "2^7^out^put", "3^7", "3^7^fine^output", "4^7^SYS100^no such file", "5^7^", "10^7^\x064", "BYE", "BYE^0^why^",
		"HELLO^0^1^books^2.1^8^^^", "3^1000000000000000000^^", "6^1^", "Hello, world\n",
	} {
		f.Add([]byte(strings.ReplaceAll(payload, "^", "\x01")))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		whole, n, err := revcap.ParseEvent(payload, len(payload))
		if (n == 0) != (err != nil) {
			t.Fatalf("%q: %d, %v, though all of it is there", payload, n, err)
		}
		parts := 0
		for i := range min(len(payload), 1<<10) {
			ev, m, partErr := revcap.ParseEvent(payload[:i], len(payload))
			switch {
			case partErr != nil && (err == nil || errors.Is(partErr, codec.ErrTooLarge) != errors.Is(err, codec.ErrTooLarge)):
				t.Fatalf("%q of %q: %v, the whole: %v", payload[:i], payload, partErr, err)
			case partErr == nil && m == 0 && parts > 0:
				t.Fatalf("%q of %q: more is needed than before", payload[:i], payload)
			case partErr == nil && m == 0:
				continue
			case partErr == nil && (m != n || ev.Status != whole.Status || ev.RID != whole.RID || !bytes.Equal(ev.Text, whole.Text) || !bytes.Equal(ev.Body, payload[n:i])):
				t.Fatalf("%q of %q: %+v, %d; the whole: %+v, %d", payload[:i], payload, ev, m, whole, n)
			}
			parts++
		}
		if err == nil {
			checkEventWritten(t, whole)
		}
	})
}

// checkEventWritten writes an event and reads it.
func checkEventWritten(t *testing.T, ev revcap.Event) {
	t.Helper()
	out := revcap.AppendEvent(nil, ev.Status, ev.RID, string(ev.Text), ev.Body)
	size, n, err := frame.ParseHeader(out, frame.MaxSize)
	if err != nil || size != len(out)-n {
		t.Fatalf("written %q: size %d, %v", out, size, err)
	}
	if size > revcap.MaxHead && len(ev.Body) == 0 {
		return // its last delimiter was missing and does not fit
	}
	again, _, err := revcap.ParseEvent(out[n:], size)
	if err != nil || again.Status != ev.Status || again.RID != ev.RID || !bytes.Equal(again.Text, ev.Text) || !bytes.Equal(again.Body, ev.Body) {
		t.Fatalf("%+v, written %q: %+v, %v", ev, out, again, err)
	}
}

// FuzzRevcapOrder writes what it has parsed, parses that, and finds the same order.
func FuzzRevcapOrder(f *testing.F) {
	for _, payload := range []string{
		"1^1^joe^secret^BOOKS^2^RUN_ME^1^/srv/books^", "1^7^joe", "2^0^", "100^7", "19^3^a^b^", "3^4^client^PROC^0^a^b^", "400^6^timer^T^999999999999999^^^",
		"5^7^client^^0^a", "18^1^", "4^5^startup^^",
	} {
		f.Add([]byte(strings.ReplaceAll(payload, "^", "\x01")))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		o, err := revcap.ParseOrder(payload)
		if err != nil {
			if !errors.Is(err, codec.ErrMalformed) || !reflect.DeepEqual(o, revcap.Order{}) {
				t.Fatalf("%q: %+v, %v", payload, o, err)
			}
			return
		}
		var out []byte
		switch {
		case revcap.IsCall(o.Code):
			out = revcap.AppendCallHead(nil, o.Code, o.RID, string(o.Kind), string(o.Procedure), o.DeadlineMs, len(o.Args))
			out = append(out, o.Args...)
		case o.Code == revcap.LoginCode:
			out = revcap.AppendLogin(nil, o.RID, o.Login)
		case o.Code == revcap.Input:
			out = revcap.AppendInput(nil, o.RID, o.Answer)
		default:
			out = revcap.AppendOrder(nil, o.Code, o.RID)
		}
		size, n, err := frame.ParseHeader(out, frame.MaxSize)
		if err != nil || size != len(out)-n {
			t.Fatalf("written %q: size %d, %v", out, size, err)
		}
		again, err := revcap.ParseOrder(out[n:])
		if err != nil || again.Code != o.Code || again.RID != o.RID || again.DeadlineMs != o.DeadlineMs || again.Login != o.Login ||
			!bytes.Equal(again.Kind, o.Kind) || !bytes.Equal(again.Procedure, o.Procedure) || !bytes.Equal(again.Args, o.Args) || !bytes.Equal(again.Answer, o.Answer) {
			t.Fatalf("%+v, written %q: %+v, %v", o, out, again, err)
		}
	})
}

// FuzzRevcapHello writes what it has parsed, parses that, and finds the same hello; nothing in it passes a limit.
func FuzzRevcapHello(f *testing.F) {
	for _, body := range []string{"1", "1^books^2.1^8^secret^BOOKS,SHOP^", "1^e^^0^", "999^e^1^1000^^^later^", "1^e^^1^^A,,B", "0^", "1^e^^1001^"} {
		f.Add([]byte(strings.ReplaceAll(body, "^", "\x01")))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := revcap.ParseHello(body)
		if err != nil {
			if !reflect.DeepEqual(h, revcap.HelloFields{}) {
				t.Fatalf("%q: %+v, %v", body, h, err)
			}
			return
		}
		if h.Version < 1 || h.Ahead < 1 || h.Ahead > revcap.MaxAhead || len(h.Name) > revcap.MaxName || len(h.EngineVersion) > revcap.MaxName ||
			len(h.Token) > revcap.MaxToken || len(h.Applications) > revcap.MaxApplications {
			t.Fatalf("%q: %+v passes a limit", body, h)
		}
		out := revcap.AppendHello(nil, h)[frame.HeaderLen:]
		ev, n, err := revcap.ParseEvent(out, len(out))
		if err != nil || ev.Status != revcap.Hello || n != len(out)-len(ev.Body) {
			t.Fatalf("%+v, written %q: %+v, %d, %v", h, out, ev, n, err)
		}
		if again, err := revcap.ParseHello(ev.Body); err != nil || !reflect.DeepEqual(again, h) {
			t.Fatalf("%+v, written %q: %+v, %v", h, out, again, err)
		}
	})
}

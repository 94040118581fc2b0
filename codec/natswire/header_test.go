package natswire

import (
	"errors"
	"testing"

	"roundhouse/codec"
)

func TestHeader(t *testing.T) {
	for _, test := range []struct {
		block  string
		status int
		text   string
		fields [][2]string
	}{
		{"NATS/1.0\r\n\r\n", 0, "", nil},
		{"NATS/1.0 503\r\n\r\n", 503, "", nil},
		{"NATS/1.0 100 Idle Heartbeat\r\n\r\n", 100, "Idle Heartbeat", nil},
		{"NATS/1.0\r\nA: 1\r\nA: 2\r\nb-c: d: e\r\nempty: \r\n\r\n", 0, "", [][2]string{{"A", "1"}, {"A", "2"}, {"b-c", "d: e"}, {"empty", ""}}},
	} {
		status, text, fields, err := ParseHeader([]byte(test.block))
		if status != test.status || string(text) != test.text || err != nil {
			t.Errorf("%q: %d, %q, %v", test.block, status, text, err)
		}
		out := AppendHeaderLine(nil, status, string(text))
		for _, want := range test.fields {
			key, value, rest, err := NextField(fields)
			if string(key) != want[0] || string(value) != want[1] || err != nil {
				t.Errorf("%q: %q, %q, %v", test.block, key, value, err)
			}
			out, fields = AppendHeaderField(out, string(key), value), rest
		}
		if key, _, _, err := NextField(fields); key != nil || err != nil {
			t.Errorf("%q: %q, %v at the end", test.block, key, err)
		}
		if out = AppendHeaderEnd(out); string(out) != test.block {
			t.Errorf("%q is written as %q", test.block, out)
		}
	}
}

func TestParseHeaderTrims(t *testing.T) {
	status, text, fields, err := ParseHeader([]byte("NATS/1.0  408  Request Timeout \r\nA:\t 1 \r\n\r\n"))
	key, value, _, fieldErr := NextField(fields)
	if status != 408 || string(text) != "Request Timeout" || string(key) != "A" || string(value) != "1" || err != nil || fieldErr != nil {
		t.Errorf("%d, %q, %q, %q, %v, %v", status, text, key, value, err, fieldErr)
	}
}

func TestParseHeaderRefuses(t *testing.T) {
	for _, block := range []string{"", "NATS/1.0", "NATS/1.0\r\n", "NATS/2.0\r\n\r\n", "NATS/1.01\r\n\r\n", "NATS/1.0 x\r\n\r\n", "NATS/1.0\r\nA: 1\r\n", "A: 1\r\n\r\n"} {
		if _, _, _, err := ParseHeader([]byte(block)); !errors.Is(err, codec.ErrMalformed) {
			t.Errorf("%q: %v", block, err)
		}
	}
	for _, fields := range []string{"A\r\n\r\n", ": 1\r\n\r\n"} {
		if _, _, _, err := NextField([]byte(fields)); !errors.Is(err, codec.ErrMalformed) {
			t.Errorf("%q: %v", fields, err)
		}
	}
}

// TestAppendNoResponders has the bytes that a nats-server v2.15.2 sent.
func TestAppendNoResponders(t *testing.T) {
	const want = "HMSG _INBOX.x 3 38 38\r\nNATS/1.0 503\r\nNats-Subject: nobody\r\n\r\n\r\n"
	out := AppendNoResponders(nil, []byte("_INBOX.x"), []byte("3"), []byte("nobody"))
	if string(out) != want {
		t.Errorf("%q", out)
	}
	var c Command
	lim := limits
	if n, err := ParseServer(out, &c, &lim); n != len(out) || err != nil {
		t.Fatal(n, err)
	}
	if status, _, _, err := ParseHeader(c.Header); status != StatusNoResponders || err != nil {
		t.Error(status, err)
	}
}

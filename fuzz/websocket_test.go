package fuzz

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"roundhouse/codec"
	"roundhouse/codec/websocket"
)

func websocketSeeds() [][]byte {
	key := [4]byte{1, 2, 3, 4}
	masked := append(websocket.AppendHead(nil, websocket.OpBinary, 200, &key), make([]byte, 200)...)
	masked = websocket.AppendControl(masked, websocket.OpPing, []byte("ping"), &key)
	return [][]byte{
		masked, masked[:100], websocket.AppendClose(nil, websocket.CloseNormal, "bye", &key),
		[]byte("\x02\x03Hel\x89\x01p\x80\x02lo\x88\x00rest"), []byte("\x82\x7e\x00\x7f"), []byte("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xffx"),
		[]byte("\x02\x00\x00\x00\x80\x00\x82\x00"), []byte("\x8a\x7e"), []byte("\xf1"),
	}
}

// FuzzWebSocketReader reads in whole and in pieces, whose lengths are those bytes of cuts and one more, over and over: the same
// messages, control frames and error come out. What is read, written again and read by the other side's reader, is the same.
func FuzzWebSocketReader(f *testing.F) {
	for _, in := range websocketSeeds() {
		f.Add(in, []byte{0}, true)
		f.Add(in, []byte{13, 0, 6}, false)
	}
	f.Fuzz(func(t *testing.T, in, cuts []byte, masked bool) {
		whole := websocket.Reader{Masked: masked, MaxMessage: 500}
		want, wantErr := readWebSocket(t, &whole, nil, bytes.Clone(in))

		pieces := websocket.Reader{Masked: masked, MaxMessage: 500}
		var got []websocket.Piece
		var err error
		for rest, i := bytes.Clone(in), 0; len(rest) > 0 && err == nil; i++ {
			n := len(rest)
			if len(cuts) > 0 {
				n = min(n, 1+int(cuts[i%len(cuts)]))
			}
			got, err = readWebSocket(t, &pieces, got, rest[:n])
			rest = rest[n:]
		}
		if fmt.Sprint(err) != fmt.Sprint(wantErr) || !errors.Is(err, codec.ErrMalformed) && !errors.Is(err, codec.ErrTooLarge) && err != nil {
			t.Errorf("in pieces: %v, whole: %v", err, wantErr)
		}
		if err == nil && (whole.Idle() != pieces.Idle() || whole.Closed() != pieces.Closed()) {
			t.Errorf("in pieces: idle %v, whole: %v", pieces.Idle(), whole.Idle())
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("in pieces: %v, whole: %v", got, want)
		}
		checkWebSocketWritten(t, want, masked)
	})
}

// readWebSocket adds the pieces of in to got, those of a message joined to the last one of the message.
func readWebSocket(t *testing.T, r *websocket.Reader, got []websocket.Piece, in []byte) ([]websocket.Piece, error) {
	for len(in) > 0 {
		p, n, err := r.Next(in)
		switch {
		case err != nil:
			return got, err
		case n < 1 || n > len(in):
			t.Fatalf("%d bytes of %d are consumed", n, len(in))
		case p.Op == websocket.OpNone && (len(p.Data) > 0 || p.Last), len(p.Data) > len(in) && p.Op == websocket.OpBinary:
			t.Fatalf("piece %v", p)
		}
		in = in[n:]
		if p.Op == websocket.OpNone {
			continue
		}
		p.Data = append([]byte{}, p.Data...)
		for i := len(got) - 1; i >= 0 && p.Op == websocket.OpBinary; i-- { // control frames may be between
			if got[i].Op == websocket.OpBinary {
				if !got[i].Last {
					p.Data = append(got[i].Data, p.Data...)
					got = append(got[:i], got[i+1:]...)
				}
				break
			}
		}
		if len(p.Data) > 500 {
			t.Fatalf("a message of %d bytes", len(p.Data))
		}
		got = append(got, p)
	}
	return got, nil
}

// checkWebSocketWritten writes whole pieces again and reads them.
func checkWebSocketWritten(t *testing.T, pieces []websocket.Piece, masked bool) {
	var key *[4]byte
	if masked {
		key = &[4]byte{0x80, 0, 0xff, 7}
	}
	var out []byte
	var whole []websocket.Piece
	for _, p := range pieces {
		if !p.Last {
			continue
		}
		whole = append(whole, p)
		out = websocket.AppendHead(out, p.Op, len(p.Data), key)
		if out = append(out, p.Data...); masked {
			websocket.Mask(*key, 0, out[len(out)-len(p.Data):])
		}
	}
	r := websocket.Reader{Masked: masked}
	again, err := readWebSocket(t, &r, nil, out)
	if err != nil || fmt.Sprint(again) != fmt.Sprint(whole) {
		t.Errorf("%v is written again as %v, %v", whole, again, err)
	}
}

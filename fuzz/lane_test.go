package fuzz

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"roundhouse/codec"
	"roundhouse/codec/lane"
)

// laneSeeds are inputs of a reader.
func laneSeeds() [][]byte {
	var all []byte
	all = lane.AppendHello(all, lane.Hello{Version: lane.Version, Lane: 1, Window: lane.DefaultWindow, Heartbeat: 30000, MaxHead: 65536})
	all = lane.Append(all, lane.Packet{Op: lane.OpRequest, Flags: lane.FlagChunked, Stream: 1, Data: []byte("POST / HTTP/1.1\r\n\r\n")})
	all = lane.Append(all, lane.Packet{Op: lane.OpData, Stream: 1, Data: []byte("some body")})
	all = lane.Append(all, lane.Packet{Op: lane.OpData, Flags: lane.FlagLast, Stream: 1, Data: []byte("the rest")})
	all = lane.Append(all, lane.Packet{Op: lane.OpData, Flags: lane.FlagLast, Stream: 2})
	all = lane.AppendUint32(all, lane.OpCredit, 1, 65536)
	all = lane.AppendReset(all, 1, lane.FlagUnseen, lane.CodeBackendDown, "refused")
	all = lane.AppendStatus(all, false, "refused")
	return [][]byte{
		all, all[:len(all)-3], all[5:],
		[]byte("00000005abcde"), []byte("00000006\x00\x00\x00\x00\x00\x00"), []byte("00300000\x02\x00\x00\x00\x00\x01"), []byte("01048582\x04"),
		[]byte("00000006\x04\x00\x00\x00\x00\x0100000007\x04\xff\x00\x00\x00\x01x"),
	}
}

// FuzzLaneReader reads in whole and in pieces, whose lengths are those bytes of cuts and one more, over and over. The packets and
// the error are the same; what was read is written again as it was; no more is held back than the largest packet needs.
func FuzzLaneReader(f *testing.F) {
	for _, in := range laneSeeds() {
		f.Add(in, []byte{0})
		f.Add(in, []byte{13, 0, 6})
	}
	f.Fuzz(func(t *testing.T, in, cuts []byte) {
		var whole, pieces lane.Reader
		want, wantErr := readLane(t, &whole, nil, in)

		var got []lane.Packet
		var err error
		for rest, i := in, 0; len(rest) > 0 && err == nil; i++ {
			n := len(rest)
			if len(cuts) > 0 {
				n = min(n, 1+int(cuts[i%len(cuts)]))
			}
			got, err = readLane(t, &pieces, got, rest[:n])
			rest = rest[n:]
		}
		if fmt.Sprint(err) != fmt.Sprint(wantErr) || !errors.Is(err, codec.ErrMalformed) && !errors.Is(err, codec.ErrTooLarge) && err != nil {
			t.Errorf("in pieces: %v, whole: %v", err, wantErr)
		}
		if err == nil && whole.Idle() != pieces.Idle() {
			t.Errorf("in pieces: idle %v, whole: %v", pieces.Idle(), whole.Idle())
		}
		if a, b := joinLane(got), joinLane(want); fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("in pieces: %v, whole: %v", a, b)
		}

		var out []byte
		for _, p := range want {
			out = lane.Append(out, p)
		}
		if whole.Idle() && (wantErr == nil && !bytes.Equal(out, in) || !bytes.HasPrefix(in, out)) {
			t.Errorf("%q is written again as %q", in, out)
		}
	})
}

// readLane adds the packets of in to got. They alias nothing, and are within their limits.
func readLane(t *testing.T, r *lane.Reader, got []lane.Packet, in []byte) ([]lane.Packet, error) {
	for len(in) > 0 {
		p, n, err := r.Next(in)
		switch {
		case err != nil:
			return got, err
		case n < 1 || n > len(in):
			t.Fatalf("%d bytes of %d are consumed", n, len(in))
		case p.Op > lane.OpJunctions || p.Op == 0 && p.Data != nil:
			t.Fatalf("packet %v", p)
		case len(p.Data) > lane.MaxData || p.Op != lane.OpData && len(p.Data) > lane.MaxControl:
			t.Fatalf("%v of %d bytes", p.Op, len(p.Data))
		case p.Op == lane.OpData && len(p.Data) > n:
			t.Fatalf("%d bytes of data out of %d: they were held back", len(p.Data), n)
		}
		if in = in[n:]; p.Op != 0 {
			p.Data = bytes.Clone(p.Data)
			got = append(got, p)
		}
	}
	return got, nil
}

// joinLane joins data that goes on to one packet.
func joinLane(packets []lane.Packet) (joined []lane.Packet) {
	for _, p := range packets {
		if n := len(joined) - 1; n >= 0 && p.Op == lane.OpData && joined[n].Op == lane.OpData && joined[n].Stream == p.Stream &&
			joined[n].Flags == p.Flags&^lane.FlagLast {
			joined[n].Flags = p.Flags
			joined[n].Data = append(joined[n].Data, p.Data...)
			continue
		}
		joined = append(joined, p)
	}
	return joined
}

// FuzzLaneHeld sends a control packet of any length in equal pieces, so that the fuzzer need not find a long input: what the reader
// allocates follows what has come.
func FuzzLaneHeld(f *testing.F) {
	f.Add(lane.MaxControl, 4096, 5000)
	f.Add(lane.MaxControl, 1, lane.HeadLen+1)
	f.Add(lane.MaxControl+1, 100, 200)
	f.Add(100, 7, 100)
	f.Fuzz(func(t *testing.T, size, step, sent int) {
		size, step = size&(1<<19-1), step&(1<<16-1)+1
		in := append(lane.AppendHead(nil, lane.OpRequest, 0, 1, size), make([]byte, size)...)
		in = in[:min(max(sent, 0), len(in))]
		var r lane.Reader
		packets, consumed := 0, 0
		for consumed < len(in) {
			p, n, err := r.Next(in[consumed:min(consumed+step, len(in))])
			if err != nil {
				if size <= lane.MaxControl || !errors.Is(err, codec.ErrTooLarge) {
					t.Fatalf("%d bytes: %v", size, err)
				}
				return
			}
			if consumed += n; p.Op != 0 {
				packets++
			}
			if held := r.HeldForTest(); held > lane.HeadLen+lane.MaxControl || held > max(2*consumed, 512) {
				t.Fatalf("%d bytes of memory after %d bytes", held, consumed)
			}
		}
		if want := consumed == lane.HeadLen+size; (packets == 1) != want || r.Idle() != (want || consumed == 0) {
			t.Fatalf("%d bytes of %d: %d packets, idle %v", consumed, size, packets, r.Idle())
		}
	})
}

// FuzzLaneControl reads in as the data of each control packet; what is taken is written again as it was.
func FuzzLaneControl(f *testing.F) {
	for _, packet := range [][]byte{
		lane.AppendHello(nil, lane.Hello{Version: lane.Version, Lane: 1, Window: lane.DefaultWindow, Heartbeat: 30000, MaxHead: 65536}),
		lane.AppendUint32(nil, lane.OpCredit, 1, 65536),
		lane.AppendReset(nil, 1, lane.FlagUnseen, lane.CodeBackendDown, "refused"),
		lane.AppendStatus(nil, true, ""),
	} {
		f.Add(packet[lane.HeadLen:])
	}
	f.Add([]byte("\x02"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if h, err := lane.ParseHello(in); !refusedLane(t, err) {
			checkLaneData(t, lane.AppendHello(nil, h), in[:15]) // a later version may add more
			if h.Version == 0 || h.Window == 0 || h.Window > lane.MaxWindow {
				t.Errorf("hello %+v", h)
			}
			lane.NewSendWindow(h.Window)
		}
		if code, text, err := lane.ParseReset(in); !refusedLane(t, err) {
			checkLaneData(t, lane.AppendReset(nil, 1, 0, code, string(text)), in)
		}
		if up, text, err := lane.ParseStatus(in); !refusedLane(t, err) {
			checkLaneData(t, lane.AppendStatus(nil, up, string(text)), in)
		}
		if v, err := lane.ParseUint32(lane.OpCredit, in); !refusedLane(t, err) {
			checkLaneData(t, lane.AppendUint32(nil, lane.OpCredit, 1, v), in)
		}
	})
}

func refusedLane(t *testing.T, err error) bool {
	if err != nil && !errors.Is(err, codec.ErrMalformed) {
		t.Errorf("an error of another kind: %v", err)
	}
	return err != nil
}

// checkLaneData wants packet to be one packet with that data.
func checkLaneData(t *testing.T, packet, data []byte) {
	t.Helper()
	var r lane.Reader
	if p, n, err := r.Next(packet); err != nil || n != len(packet) || !bytes.Equal(p.Data, data) {
		t.Errorf("%q is written again as %v, %v", data, p, err)
	}
}

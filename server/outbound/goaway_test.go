package outbound_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
)

// packets reads the packets that the enabler sends, data joined, until the lane ends.
func (l *fakeLane) packets() <-chan lane.Packet {
	c := make(chan lane.Packet, 1000)
	go func() { // ends with the connection
		defer close(c)
		var r lane.Reader
		var d http1.Chunked
		lim := http1.DefaultLimits()
		in := bufio.NewReader(l.down)
		var left []byte
		buf := make([]byte, 64<<10)
		for {
			n, err := in.Read(buf)
			if err != nil {
				return
			}
			left = append(left, buf[:n]...)
			for kind := http1.ChunkData; kind == http1.ChunkData; {
				var data []byte
				data, n, kind, err = d.Next(left, &lim)
				if err != nil {
					return
				}
				for len(data) > 0 {
					p, n, err := r.Next(data)
					if err != nil {
						return
					}
					if data = data[n:]; p.Op != 0 {
						p.Data = bytes.Clone(p.Data)
						c <- p
					}
				}
				left = left[n:]
			}
		}
	}()
	return c
}

// wait waits for a packet of that kind and stream.
func wait(t *testing.T, c <-chan lane.Packet, op lane.Op, stream uint32) lane.Packet {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case p, ok := <-c:
			if !ok {
				t.Fatal("the lane ended before", op)
			}
			if p.Op == op && p.Stream == stream {
				return p
			}
		case <-limit:
			t.Fatal("not in time:", op)
		}
	}
}

func goaway() []byte { return lane.AppendUint32(nil, lane.OpGoaway, 0, 0) }

// TestGoawayKeepsStreams has a relay end a lane while a request runs on it: another lane is opened at once, the request goes on, and
// even a new one is taken on the old lane, until the relay closes it.
func TestGoawayKeepsStreams(t *testing.T) {
	r := startFakeRelay(t)
	release := make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/slow" {
			fmt.Fprint(w, "begun")
			_ = http.NewResponseController(w).Flush()
			<-release
		}
		fmt.Fprint(w, "done")
	}))
	t.Cleanup(backend.Close)
	e, _ := startEnabler(t, r, backend.Listener.Addr().String())
	old := r.accept(true)
	oldPackets := old.packets()
	old.send(packet(lane.OpRequest, lane.FlagLast, 1, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"))
	wait(t, oldPackets, lane.OpData, 1)
	old.send(goaway())
	old.send(goaway()) // means no more than one

	fresh := r.accept(true) // while the old one is there
	freshPackets := fresh.packets()
	wait(t, freshPackets, lane.OpHello, 0)
	eventually(t, "both lanes are up", func() bool { return e.Stats().Lanes == 2 })
	old.send(packet(lane.OpRequest, lane.FlagLast, 2, getHead))
	fresh.send(packet(lane.OpRequest, lane.FlagLast, 1, getHead))
	wait(t, oldPackets, lane.OpResponse, 2)
	wait(t, freshPackets, lane.OpResponse, 1)
	close(release)
	for body := ""; body != "done"; {
		body += string(wait(t, oldPackets, lane.OpData, 1).Data)
	}
	fmt.Fprint(old.up, "0\r\n\r\n") // the relay closes it
	old.isClosedWithin(oldPackets)
	eventually(t, "one lane is left", func() bool { s := e.Stats(); return s.Lanes == 1 && s.Streams == 0 })
	select {
	case <-r.up:
		t.Error("a lane too many was opened")
	default:
	}
}

// isClosedWithin waits until packets ends.
func (l *fakeLane) isClosedWithin(packets <-chan lane.Packet) {
	l.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case _, ok := <-packets:
			if !ok {
				return
			}
		case <-limit:
			l.t.Fatal("the enabler did not close the lane")
		}
	}
}

// TestGoawayTooOften has a relay end lane after lane and close none: no more than a few are kept.
func TestGoawayTooOften(t *testing.T) {
	r := startFakeRelay(t)
	backend, _ := startMute(t)
	e, log := startEnabler(t, r, backend)
	first := r.accept(true)
	const most = 5 // the old ones, and the one in their place
	for n := range 2 * most {
		l := first
		if n > 0 {
			l = r.accept(true)
		}
		go func() { _, _ = io.Copy(io.Discard, l.down) }() // ends with the lane
		eventually(t, "the lane is up", func() bool { return e.Stats().Lanes >= int64(min(n+1, most)) })
		l.send(goaway())
	}
	eventually(t, "the oldest are cut", func() bool { return log.has("replaced too often") && e.Stats().Lanes <= most })
	first.isClosed()
}

package server_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"roundhouse/codec/lane"
)

// TestSocketLanePeer opens a lane by another implementation of WebSocket, which sends frames as it likes, and serves a request over it.
func TestSocketLanePeer(t *testing.T) {
	r := startRelay(t, twoFarms)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	fields := http.Header{}
	for line := range strings.SplitSeq(serverCall("GET", "lane", "f", "s1", "Ias-Rs-Lane: peer/0\r\n"), "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok && name != "Host" {
			fields.Set(name, value)
		}
	}
	c, resp, err := websocket.Dial(ctx, "ws://"+r.addr+"/srv/iarelayserver", &websocket.DialOptions{HTTPHeader: fields})
	if err != nil {
		t.Fatal(err, resp)
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	if got := resp.Header.Get("Cache-Control"); got != "no-store, no-transform" {
		t.Errorf("Cache-Control: %s", got)
	}
	send := func(b []byte) {
		w, err := c.Writer(ctx, websocket.MessageBinary)
		for err == nil && len(b) > 0 {
			n := 0
			n, err = w.Write(b[:min(7, len(b))])
			b = b[n:]
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Error(err)
		}
	}
	send(lane.AppendHello(nil, lane.Hello{Version: 1, Window: lane.DefaultWindow, Heartbeat: 15000, MaxHead: 64 << 10}))
	eventually(t, "the lane is up", func() bool { return r.server.TotalsForTest().Lanes == 1 })
	answer := begin("GET", r.url("/"), "")
	var reader lane.Reader
	for served := false; !served; {
		_, b, err := c.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for len(b) > 0 {
			p, n, err := reader.Next(b)
			if err != nil {
				t.Fatal(err)
			}
			if b = b[n:]; p.Op == lane.OpRequest {
				served = true
				send(lane.Append(nil, lane.Packet{Op: lane.OpResponse, Stream: p.Stream, Data: []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")}))
				send(lane.Append(nil, lane.Packet{Op: lane.OpData, Flags: lane.FlagLast, Stream: p.Stream, Data: []byte("hello")}))
			}
		}
	}
	if o := <-answer; o.status != 200 || o.body != "hello" {
		t.Error(o)
	}
	read := c.CloseRead(ctx) // pongs are read there
	if err := c.Ping(read); err != nil {
		t.Error("ping:", err)
	}
	c.CloseNow()
	eventually(t, "the lane is down", func() bool { return r.server.TotalsForTest().Lanes == 0 })
}

// TestSocketBesideHalves has an enabler open a lane over WebSocket of which a half is there already: that is refused.
func TestSocketBesideHalves(t *testing.T) {
	r := startRelay(t, twoFarms)
	const name = "Ias-Rs-Lane: both/0\r\n"
	write(t, r.dial(), serverCall("GET", "up", "f", "s1", name))
	eventually(t, "the half is there", func() bool { return len(r.server.LanesForTest()) == 1 })
	c := r.dial()
	write(t, c, serverCall("GET", "lane", "f", "s1", name+"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"))
	if _, err := io.Copy(io.Discard, c); isTimeout(err) {
		t.Error("both are kept")
	}
	if n := len(r.server.LanesForTest()); n != 1 {
		t.Errorf("%d lanes", n)
	}
}

// cutter passes connections on, and can reset all that there are.
type cutter struct {
	mu    sync.Mutex // guards conns
	conns map[net.Conn]bool
}

func (k *cutter) pass(then func(dst, src net.Conn, in *bufio.Reader, towards bool)) func(dst, src net.Conn, in *bufio.Reader, towards bool) {
	return func(dst, src net.Conn, in *bufio.Reader, towards bool) {
		k.mu.Lock()
		k.conns[src] = true
		k.mu.Unlock()
		then(dst, src, in, towards)
		k.mu.Lock()
		delete(k.conns, src)
		k.mu.Unlock()
	}
}

func (k *cutter) cut() (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		_ = c.(*net.TCPConn).SetLinger(0) // it is gone already
		c.Close()
		n++
	}
	return n
}

// TestTransportKill cuts lanes of every form in the midst of a load, three times: no answer is wrong, and everything works again
// in the same form.
func TestTransportKill(t *testing.T) {
	copyAll := func(dst, _ net.Conn, in *bufio.Reader, _ bool) { _, _ = io.Copy(dst, in) } // ends with one of the two
	for _, row := range []struct {
		wish, transport string
		pass            func(dst, src net.Conn, in *bufio.Reader, towards bool)
	}{{"http", "http", copyAll}, {"auto", `"http with length"`, noChunks}, {"ws", "websocket", copyAll}} {
		t.Run(row.wish, func(t *testing.T) {
			r := startRelay(t, nil)
			k := &cutter{conns: map[net.Conn]bool{}}
			e := runEnablerWith(t, r, "s1", startEcho(t), "secret", via(t, proxy(t, r.addr, k.pass(row.pass)), row.wish))
			e.travels(t, r, row.transport)
			stop := make(chan struct{})
			var load sync.WaitGroup
			for i := range 4 {
				load.Go(func() {
					body := strings.Repeat(string(rune('a'+i)), 50_000)
					for {
						select {
						case <-stop:
							return
						default:
						}
						if o := ask("POST", r.url("/"), body); o.status == 200 && o.err == nil && o.body != body {
							t.Errorf("a wrong answer: %v", o)
						}
					}
				})
			}
			up := func() int {
				return strings.Count(e.log.text(), `msg="lane up"`)
			}
			for range 3 {
				before := up()
				eventually(t, "requests pass", func() bool { return ask("POST", r.url("/"), "x").body == "x" })
				if k.cut() == 0 {
					t.Error("nothing was cut")
				}
				eventually(t, "lanes come back", func() bool { return up() >= before+r.cfg.Loops })
			}
			close(stop)
			load.Wait()
			exercise(t, r, 4, 5)
			for line := range strings.Lines(e.log.text()) {
				if strings.Contains(line, `msg="lane up"`) && !strings.Contains(line, "transport="+row.transport+"\n") {
					t.Errorf("not over %s: %s", row.transport, line)
				}
			}
			eventually(t, "nothing is left", func() bool { return r.server.TotalsForTest().InFlight == 0 })
		})
	}
}

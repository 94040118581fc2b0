package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"roundhouse/codec/lane"
)

// TestEnablerIsRefused checks what callers of the server URL are told, and that both sides can read why.
func TestEnablerIsRefused(t *testing.T) {
	r := startRelay(t, twoFarms)
	call := func(op, farm, id, token, proto, more string) string {
		return "POST /srv/iarelayserver HTTP/1.1\r\nHost: a\r\nIas-Rs-Op: " + op + "\r\nIas-Rs-Farm: " + farm + "\r\nIas-Rs-Server: " + id +
			"\r\nIas-Rs-Token: " + token + "\r\nIas-Rs-Proto: " + proto + "\r\n" + more + "Content-Length: 0\r\n\r\n"
	}
	for _, row := range []struct {
		call   string
		status int
		log    string
	}{
		{call("peers", "f", "s1", "secret", "1", ""), 200, ""},
		{call("peers", "f", "s1", "Secret", "1", ""), 401, "RSE_OE_UNAUTHORIZED"},
		{call("peers", "f", "s1", "", "1", ""), 401, "RSE_OE_UNAUTHORIZED"},
		{call("peers", "none", "s1", "secret", "1", ""), 404, "RSE_OE_UNKNOWN"},
		{call("peers", "f", "S1", "secret", "1", ""), 404, "RSE_OE_UNKNOWN"},
		{call("peers", "closed", "s1", "secret", "1", ""), 403, "RSE_OE_DISABLED"},
		{call("peers", "g", "off", "secret", "1", ""), 403, "RSE_OE_DISABLED"},
		{call("peers", "f", "s1", "secret", "3", ""), 426, "RSE_OE_VERSION"},
		{call("peers", "f", "s1", "secret", "", ""), 426, "RSE_OE_VERSION"},
		{call("", "f", "s1", "secret", "1", ""), 400, "RSE_OE_REQUEST"},
		{call("lane", "f", "s1", "secret", "1", ""), 400, "RSE_OE_REQUEST"},
		{call("down", "f", "s1", "secret", "1", "Ias-Rs-Lane: a/0\r\n"), 400, "RSE_OE_REQUEST"}, // no body
		{call("up", "f", "s1", "secret", "1", "Ias-Rs-Lane: a/0\r\n"), 400, "RSE_OE_REQUEST"},   // not GET
		{serverCall("GET", "up", "f", "s1", "Ias-Rs-Lane: a\r\n"), 400, "RSE_OE_REQUEST"},
		{serverCall("GET", "up", "f", "s1", "Ias-Rs-Lane: a/1025\r\n"), 400, "RSE_OE_REQUEST"},
		{serverCall("GET", "up", "f", "s1", "Ias-Rs-Lane: a/-1\r\n"), 400, "RSE_OE_REQUEST"},
		{serverCall("GET", "up", "f", "s1", "Ias-Rs-Lane: /0\r\n"), 400, "RSE_OE_REQUEST"},
		{serverCall("GET", "up", "f", "s1", "Ias-Rs-Lane: "+strings.Repeat("a", 65)+"/0\r\n"), 400, "RSE_OE_REQUEST"},
		{serverCall("GET", "up", "f", "s1", "Ias-Rs-Lane: a/0/2\r\n"), 400, "RSE_OE_REQUEST"},
		{serverCall("GET", "lane", "f", "s1", "Ias-Rs-Lane: a/0\r\n"), 400, "RSE_OE_REQUEST"}, // no handshake
		{serverCall("POST", "down", "f", "s1", "Ias-Rs-Lane: a/0/2\r\nTransfer-Encoding: chunked\r\n"), 400, "RSE_OE_REQUEST"},
		{serverCall("POST", "down", "f", "s1", "Ias-Rs-Lane: a/0/1\r\nContent-Length: 100\r\n"), 400, "RSE_OE_REQUEST"},
		{serverCall("POST", "down", "f", "s1", "Ias-Rs-Lane: a/0/99999999999999999999\r\nContent-Length: 100\r\n"), 400, "RSE_OE_REQUEST"},
		{serverCall("POST", "down", "f", "s1", "Ias-Rs-Lane: a/0/2\r\nContent-Length: 100\r\n"), 409, ""}, // of no lane
	} {
		c := r.dial()
		write(t, c, row.call)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != row.status || !r.log.has(row.log) {
			t.Errorf("want %d %s, got %v %v for\n%s", row.status, row.log, resp, err, row.call)
		}
		c.Close()
	}
}

func TestEnablerLogsItsRefusal(t *testing.T) {
	r := startRelay(t, twoFarms)
	e := runEnabler(t, r, "s1", "127.0.0.1:1", "wrong")
	eventually(t, "the enabler says why", func() bool { return e.log.has("401 Unauthorized") && e.log.has("The token is wrong") })
	if !r.log.has("error=RSE_OE_UNAUTHORIZED") || strings.Contains(r.log.text()+e.log.text(), "secret") {
		t.Error("the relay does not log the refusal, or somebody logs a token")
	}
}

// TestHalfLanes opens lanes that never become whole: they get no request.
func TestHalfLanes(t *testing.T) {
	r := startRelay(t, twoFarms)
	down := r.dial()
	hello := lane.AppendHello(nil, lane.Hello{Version: 1, Window: 4096, Heartbeat: 15000, MaxHead: 4096})
	write(t, down, serverCall("POST", "down", "f", "s1", "Ias-Rs-Lane: half/0\r\nTransfer-Encoding: chunked\r\n"))
	write(t, down, fmt.Sprintf("%x\r\n%s\r\n", len(hello), hello))
	eventually(t, "the half is there", func() bool { return len(r.server.LanesForTest()) == 1 })

	l := openRawLane(t, r, "f", "s2") // whole, but without a word
	if o := ask("GET", r.url("/"), ""); o.status != 503 {
		t.Errorf("a request through a lane that is not whole: %v", o)
	}
	twice := r.dial() // the same half again
	write(t, twice, serverCall("POST", "down", "f", "s1", "Ias-Rs-Lane: half/0\r\nTransfer-Encoding: chunked\r\n"))
	if _, err := twice.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Error("a half that was there already was taken:", err)
	}
	// The first one goes on: with its other half it serves.
	up := r.dial()
	write(t, up, serverCall("GET", "up", "f", "s1", "Ias-Rs-Lane: half/0\r\n"))
	resp, err := http.ReadResponse(bufio.NewReader(up), nil)
	if err != nil {
		t.Fatal(err)
	}
	whole := &rawLane{t: t, up: up, down: down, body: resp.Body}
	if p, err := whole.next(lane.OpHello); err != nil || len(p.Data) == 0 {
		t.Fatal("no hello:", err)
	}
	go whole.serve("whole") // ends with the connection
	if o := ask("GET", r.url("/"), ""); o.status != 200 || o.body != "whole" {
		t.Errorf("a request through the completed lane: %v", o)
	}
	l.up.Close()
	eventually(t, "the lane without a word is gone", func() bool { return len(r.server.LanesForTest()) == 1 })
}

// misbehaviour is something that an enabler must not send; a request with a body waits on the stream for its answer.
type misbehaviour struct {
	name string
	do   func(l *rawLane, stream uint32)
	want int // status; 0: an answer has begun and has to break
}

func packet(op lane.Op, flags lane.Flags, stream uint32, data string) []byte {
	return lane.Append(nil, lane.Packet{Op: op, Flags: flags, Stream: stream, Data: []byte(data)})
}

func misbehaviours() []misbehaviour {
	raw := func(s string) func(*rawLane, uint32) {
		return func(l *rawLane, _ uint32) { _, _ = io.WriteString(l.down, s) }
	}
	chunk := func(b []byte) func(*rawLane, uint32) { return func(l *rawLane, _ uint32) { l.send(b) } }
	on := func(op lane.Op, flags lane.Flags, data string) func(*rawLane, uint32) {
		return func(l *rawLane, stream uint32) { l.send(packet(op, flags, stream, data)) }
	}
	head := func(flags lane.Flags, head string, then ...[]byte) func(*rawLane, uint32) {
		return func(l *rawLane, stream uint32) {
			l.respond(stream, flags, head)
			for _, b := range then {
				b[13] = byte(stream) // the last bytes of the stream
				b[12], b[11], b[10] = byte(stream>>8), byte(stream>>16), byte(stream>>24)
				l.send(b)
			}
		}
	}
	const ten = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
	hello := lane.AppendHello(nil, lane.Hello{Version: 1, Window: 4096, Heartbeat: 15000, MaxHead: 4096})
	return []misbehaviour{
		{"a chunk that is none", raw("zz\r\n"), 502},
		{"a frame that is none", chunk([]byte("garbage, garbage")), 502},
		{"an oversize frame", chunk([]byte("99999999")), 502},
		{"an oversize status", chunk(lane.AppendHead(nil, lane.OpStatus, 0, 0, lane.MaxControl+1)), 502},
		{"op 0", chunk(packet(0, 0, 0, "")), 502},
		{"an unknown op", chunk(packet(99, 0, 0, "")), 502},
		{"a second hello", chunk(hello), 502},
		{"a hello without a window", chunk(lane.AppendHello(nil, lane.Hello{Version: 1})), 502},
		{"a short status", chunk(packet(lane.OpStatus, 0, 0, "")), 502},
		{"a status that is neither", chunk(packet(lane.OpStatus, 0, 0, "\x02")), 502},
		{"a request", on(lane.OpRequest, lane.FlagLast, "GET / HTTP/1.1\r\n\r\n"), 502},
		{"a short credit", on(lane.OpCredit, 0, "123"), 502},
		{"too much credit", on(lane.OpCredit, 0, "\xff\xff\xff\xff"), 502},
		{"a short reset", on(lane.OpReset, 0, "1"), 502},
		{"a body before its head", on(lane.OpData, 0, "body"), 502},
		{"a trailer before its head", on(lane.OpTrailer, lane.FlagLast, "0\r\nA: b\r\n\r\n"), 502},
		{"no head", on(lane.OpResponse, 0, ""), 502},
		{"half a head", on(lane.OpResponse, 0, "HTTP/1.1 200 OK\r\nA: b\r\n"), 502},
		{"two lengths", on(lane.OpResponse, 0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"), 502},
		{"something after a head", on(lane.OpResponse, 0, ten+"body"), 502},
		{"a 101 that was not asked for", on(lane.OpResponse, lane.FlagUpgrade, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), 502},
		{"no body where one is announced", on(lane.OpResponse, lane.FlagLast, ten), 502},
		{"a body where none is announced", on(lane.OpResponse, 0, "HTTP/1.1 204 No Content\r\n\r\n"), 502},
		{"a second response", head(0, ten, packet(lane.OpResponse, 0, 0, ten)), 0},
		{"a body that is too long", head(0, ten, packet(lane.OpData, 0, 0, "12345678901")), 0},
		{"a body that is too short", head(0, ten, packet(lane.OpData, lane.FlagLast, 0, "123456789")), 0},
		{"a trailer after a body with a length", head(0, ten, packet(lane.OpTrailer, lane.FlagLast, 0, "0\r\n\r\n")), 0},
		{"a trailer that is none", head(0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", packet(lane.OpTrailer, lane.FlagLast, 0, "0\r\nA b\r\n\r\n")), 0},
		{"the end of the lane", raw("0\r\n\r\n"), 502},
		{"the end of the lane in mid-body", head(0, ten, packet(lane.OpData, 0, 0, "123")), -1},
	}
}

// TestHostileEnabler has an enabler break the protocol in every way: its lane is closed at once, the client that waits hears of
// it, and the other lanes serve on.
func TestHostileEnabler(t *testing.T) {
	r := startRelay(t, twoFarms)
	good := joinRawLane(t, r, "g", "g1")
	go good.serve("good") // ends with the connection, after the test
	goodURL := strings.Replace(r.url("/"), "/f/", "/g/", 1)
	for _, m := range misbehaviours() {
		t.Run(m.name, func(t *testing.T) {
			l := joinRawLane(t, r, "f", "s1")
			answer := begin("POST", r.url("/"), "hello")
			began := time.Now()
			m.do(l, l.request())
			if m.want < 0 {
				l.down.Close()
			}
			o := <-answer
			if m.want > 0 && o.status != m.want || m.want <= 0 && o.err == nil {
				t.Errorf("the client got %v", o)
			}
			if took := time.Since(began); took > slack {
				t.Errorf("it took %v", took)
			}
			l.isClosed()
			if o := ask("GET", goodURL, ""); o.status != 200 || o.body != "good" {
				t.Errorf("through another lane: %v", o)
			}
		})
	}
	eventually(t, "nothing is left", func() bool {
		n := r.server.TotalsForTest()
		return n.InFlight == 0 && n.Lanes == 1 && len(r.server.LanesForTest()) == 1
	})
	if r.log.has("panic") {
		t.Error("something panicked:\n", r.log.text())
	}
}

// TestStrayPackets sends what may be late news of streams that have ended: it is ignored.
func TestStrayPackets(t *testing.T) {
	r := startRelay(t, twoFarms)
	l := joinRawLane(t, r, "f", "s1")
	for _, b := range [][]byte{
		packet(lane.OpResponse, 0, 77, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"), packet(lane.OpData, lane.FlagLast, 77, "x"),
		packet(lane.OpReset, 0, 77, "\x00\x01"), packet(lane.OpCredit, 0, 77, "\x00\x00\x00\x01"), packet(lane.OpPad, 0, 1, "abc"),
		packet(lane.OpPing, 0, 0, "12345678"), packet(lane.OpUpgraded, 0, 0, ""),
	} {
		l.send(b)
	}
	if p, err := l.next(lane.OpPong); err != nil || string(p.Data) != "12345678" {
		t.Fatalf("%q %v", p.Data, err)
	}
	go l.serve("served") // ends with the connection
	if o := ask("GET", r.url("/"), ""); o.status != 200 || o.body != "served" {
		t.Error(o)
	}
}

// TestBeyondCredit has an enabler send without regard to its credit, to a client that does not read.
func TestBeyondCredit(t *testing.T) {
	r := startRelay(t, twoFarms)
	l := joinRawLane(t, r, "f", "s1")
	c := r.dial()
	if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	write(t, c, "GET /cli/iarelayserver/f/ HTTP/1.1\r\nHost: a\r\n\r\n")
	stream := l.request()
	l.respond(stream, 0, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
	data := packet(lane.OpData, 0, stream, string(bytes.Repeat([]byte("x"), 1<<20)))
	for range 32 {
		l.send(data)
	}
	l.isClosed()
	eventually(t, "the lane was closed for it", func() bool { return r.log.has("of body, credit") })
	if n, err := io.Copy(io.Discard, c); err == nil {
		t.Errorf("the client saw a clean end after %d bytes", n)
	}
}

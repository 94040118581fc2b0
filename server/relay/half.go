package relay

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/codec/websocket"
	"roundhouse/routing/farm"
	"roundhouse/server/laneio"
	"roundhouse/server/loop"
)

// half is one connection of a lane, and how it carries packets.
type half struct {
	key  laneKey
	as   credential
	kind halfKind
	size int64 // of a body of a given length, in bytes
	body int   // which body of a given length it is, from 1 on
}

type halfKind uint8

const (
	halfUp     halfKind = iota // packets of the relay, in a chunked response
	halfDown                   // packets of the enabler, in a chunked body
	halfLength                 // packets of the enabler, in a body of a given length
	halfSocket                 // both, over WebSocket
)

// laneFields are those of the relay's answers that open a lane: nobody may keep, change or gather what comes.
const laneFields = "Cache-Control: no-store, no-transform\r\nX-Accel-Buffering: no\r\n"

// half takes the connection to the loop that its lane belongs to.
func (c *client) half(q *http1.Request, k *call, as credential) {
	h := half{key: laneKey{farm: k.farm, server: k.server}, as: as}
	if !h.readLane(k.lane) {
		c.reject(q, failOERequest, "Ias-Rs-Lane is not RUN/NUMBER, or RUN/NUMBER/BODY with a BODY from 2 on.")
		return
	}
	if text := h.readKind(q, k.op); text != "" {
		c.reject(q, failOERequest, text)
		return
	}
	switch h.kind {
	case halfUp:
		c.conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n" + laneFields + "Transfer-Encoding: chunked\r\n\r\n"))
	case halfSocket:
		c.conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + laneFields +
			"Sec-WebSocket-Accept: " + websocket.Accept(webSocketKey(q)) + "\r\n\r\n"))
	}
	r := c.s.relay
	to := r.shards[h.key.number%len(r.shards)]
	c.timer.Stop()
	c.s.stats.clients.Add(-1)
	c.conn.SetSession(travelling{})
	c.conn.Move(to.loop, func(conn *loop.Conn) { to.half(h, conn) })
}

// readLane reads Ias-Rs-Lane. What follows a second slash says that it is not the lane's first body.
func (h *half) readLane(text string) (ok bool) {
	run, number, ok := strings.Cut(text, "/")
	number, body, more := strings.Cut(number, "/")
	n, err := strconv.Atoi(number) // of few digits, or it is too large below
	const most = 1024              // loops of a relay
	if !ok || err != nil || n < 0 || n >= most || run == "" || len(run) > 64 {
		return false
	}
	h.key.run, h.key.number, h.body = run, n, 1
	if more {
		h.body, err = strconv.Atoi(body)
	}
	return err == nil && h.body >= 1 && (h.body > 1) == more
}

// readKind judges the call as a whole. text says what is wrong with it.
func (h *half) readKind(q *http1.Request, op string) (text string) {
	bodyless := !q.Chunked && q.ContentLength == 0
	switch {
	case op == "lane" && q.Upgrade && h.body == 1:
		h.kind = halfSocket
	case op == "lane":
		return "A lane is a GET with a WebSocket handshake."
	case op == "up" && string(q.Method) == "GET" && bodyless && !q.Upgrade && h.body == 1:
		h.kind = halfUp
	case op == "up":
		return "An up channel is a GET without a body."
	case string(q.Method) != "POST" || bodyless || h.body > 1 && q.Chunked:
		return "A down channel is a POST with a body that is chunked or has a length."
	case q.Chunked:
		h.kind = halfDown
	default:
		h.kind, h.size = halfLength, q.ContentLength
	}
	return ""
}

// webSocketKey is the key of a complete handshake.
func webSocketKey(q *http1.Request) string {
	for i := range q.Fields {
		if q.Fields[i].ID == http1.IDSecWebSocketKey {
			return string(q.Fields[i].Value)
		}
	}
	return ""
}

// travelling is the session of a connection between two loops.
type travelling struct{}

func (travelling) Data(*loop.Conn, []byte) (int, error) { return 0, nil }
func (travelling) Drained(*loop.Conn)                   {}
func (travelling) Closed(*loop.Conn, error)             {}

// openingTime is how long a lane may take to become whole.
const openingTime = 10 * time.Second

// half brings one connection of a lane, which has just come to this loop.
func (s *shard) half(h half, conn *loop.Conn) {
	l := s.lanes[h.key]
	if h.body > 1 {
		if l == nil || l.down != halfLength || !l.end.SetInLength(conn, h.body, h.size) {
			conn.SetBuffer(appendFailure(conn.Buffer(), failOERequest, answer{status: 409, minor: 1, close: true}, "The lane of this body is gone."))
			conn.Close()
		}
		return
	}
	if l != nil && !l.lacks(h.kind) {
		conn.Abort(nil) // the enabler opened it twice
		return
	}
	if l == nil {
		server, _ := s.view.server(h.key.farm, h.key.server)
		if server == nil { // it has left the configuration in the meantime
			conn.Abort(nil)
			return
		}
		l = newLink(s, &h, server, conn)
	}
	switch h.kind {
	case halfUp:
		l.up = true
		l.end.SetOut(conn)
		l.hail()
	case halfDown:
		l.down = halfDown
		l.end.SetIn(conn)
	case halfLength:
		l.down = halfLength
		if !l.end.SetInLength(conn, 1, h.size) {
			conn.Abort(nil) // the lane has just ended
		}
	case halfSocket:
		l.up, l.down = true, halfSocket
		l.end.SetSocket(conn, false)
		l.hail()
	}
}

// lacks tells whether a half of that kind has not come yet. A socket is both halves, and has come too late.
func (l *link) lacks(kind halfKind) bool {
	switch kind {
	case halfUp:
		return !l.up
	case halfSocket:
		return false
	default:
		return l.down == halfUp
	}
}

func newLink(s *shard, h *half, server *farm.Server, conn *loop.Conn) *link {
	l := &link{s: s, key: h.key, as: h.as, server: server, remote: conn.Remote().String(), claims: h.as.run != ""}
	if l.claims {
		s.relay.gate.claims.joined(serverName{h.key.farm, h.key.server}, h.as.run)
	}
	l.end = laneio.New(s.loop, s.view.cfg.Relay.Heartbeat, l)
	l.end.SetPad(s.view.cfg.Relay.Lane.PadSize)
	l.allot()
	l.opening.Init(s.loop, func() { l.end.Fail(fmt.Errorf("relay: the lane was not whole after %v", openingTime)) })
	l.opening.Arm(openingTime)
	l.look()
	s.lanes[h.key] = l
	return l
}

// String is how the packets of a lane travel, for the log.
func (k halfKind) String() string {
	return [...]string{"none", "http", "http with length", "websocket"}[k]
}

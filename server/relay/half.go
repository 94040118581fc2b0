package relay

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
	"roundhouse/routing/farm"
	"roundhouse/server/laneio"
	"roundhouse/server/loop"
)

// half takes the connection to the loop that its lane belongs to.
func (c *client) half(q *http1.Request, k *call, server *farm.Server) {
	run, number, ok := strings.Cut(k.lane, "/")
	n, err := strconv.Atoi(number)
	const most = 1024 // loops of a relay
	if !ok || err != nil || n < 0 || n >= most || run == "" || len(run) > 64 {
		c.reject(q, failOERequest, "Ias-Rs-Lane is not RUN/NUMBER.")
		return
	}
	up := k.op == "up"
	switch {
	case up && (string(q.Method) != "GET" || q.Chunked || q.ContentLength > 0):
		c.reject(q, failOERequest, "An up channel is a GET without a body.")
		return
	case !up && (string(q.Method) != "POST" || !q.Chunked):
		c.reject(q, failOERequest, "A down channel is a POST with a chunked body.")
		return
	}
	if up {
		c.conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nCache-Control: no-store\r\n" +
			"X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n"))
	}
	r := c.s.relay
	to := r.shards[n%len(r.shards)]
	key := laneKey{farm: k.farm, server: k.server, run: run, number: n}
	c.timer.Stop()
	c.s.stats.clients.Add(-1)
	c.conn.SetSession(travelling{})
	c.conn.Move(to.loop, func(conn *loop.Conn) {
		if l := to.lanes[key]; l != nil && (up && l.up || !up && l.down) {
			conn.Abort(nil) // the enabler opened it twice
			return
		}
		to.half(key, server, conn, up)
	})
}

// travelling is the session of a connection between two loops.
type travelling struct{}

func (travelling) Data(*loop.Conn, []byte) (int, error) { return 0, nil }
func (travelling) Drained(*loop.Conn)                   {}
func (travelling) Closed(*loop.Conn, error)             {}

// openingTime is how long a lane may take to become whole.
const openingTime = 10 * time.Second

// half brings one connection of a lane, which has just come to this loop.
func (s *shard) half(key laneKey, server *farm.Server, conn *loop.Conn, up bool) {
	l := s.lanes[key]
	if l == nil {
		l = &link{s: s, key: key, server: server, remote: conn.Remote().String()}
		l.end = laneio.New(s.loop, s.view.cfg.Relay.Heartbeat, l)
		l.grant, l.high = buffers(s.view.cfg.Relay.StreamWindow, s.view.of(server.Farm).conf.MaxClientBuffer)
		l.opening.Init(s.loop, func() { l.end.Fail(fmt.Errorf("relay: the lane was not whole after %v", openingTime)) })
		l.opening.Arm(openingTime)
		s.lanes[key] = l
	}
	if up {
		l.up = true
		l.end.SetOut(conn)
		l.end.SetBuffer(lane.AppendHello(l.end.Buffer(), lane.Hello{
			Version: lane.Version, Lane: uint16(key.number), Window: uint32(l.grant),
			Heartbeat: uint32(s.view.cfg.Relay.Heartbeat / time.Millisecond), MaxHead: maxAnswerHead,
		}))
		l.maybeJoin()
		return
	}
	l.down = true
	l.end.SetIn(conn)
}

// buffers divides what may be held for one client: the credit that a stream begins with, and the high watermark of the client's
// output, up to which credit is given back. Both in bytes.
func buffers(configured int, maxClientBuffer int64) (grant, high int) {
	const least = 1 << 10
	high = int(max(least, min(maxClientBuffer/4, clientHigh)))
	return int(max(least, min(int64(configured), maxClientBuffer-int64(high)))), high
}

// clientHigh is the high watermark of a client's output when the farm's max_client_buffer allows it, in bytes.
const clientHigh = 64 << 10

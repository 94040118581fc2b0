package outbound

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
	"roundhouse/codec/websocket"
	"roundhouse/server/laneio"
	"roundhouse/server/loop"
)

const (
	heartbeat   = 15 * time.Second
	openingTime = 15 * time.Second // until the relay has said hello
	proofTime   = 5 * time.Second  // from our hello until a packet comes back
)

// openLane begins to open a lane in a form. Its gone channel tells when it has ended.
func (e *Enabler) openLane(spec laneSpec, f form) *link {
	s := e.shards[spec.number%len(e.shards)]
	k := &link{s: s, spec: spec, form: f, began: time.Now().UnixNano(),
		events: events{whole: make(chan struct{}), goes: make(chan struct{}), gone: make(chan error, 1)}}
	k.pad, k.mustProve = spec.t.needs()
	port := spec.peer.port(e.cfg.Relays[spec.i].HTTPS)
	k.route = e.ways[spec.i].to(spec.peer.Host, port)
	k.relayIndex = e.met.index(net.JoinHostPort(spec.peer.Host, strconv.Itoa(port)))
	if !s.loop.Post(k.open) {
		k.gone <- errors.New("outbound: the loops have ended")
	}
	return k
}

// open runs on the loop.
func (k *link) open() {
	k.end = laneio.New(k.s.loop, heartbeat, k)
	k.end.SetPad(k.pad)
	k.s.links[k] = struct{}{}
	k.opening.Init(k.s.loop, func() { k.end.Fail(k.slow) })
	k.slow = fmt.Errorf("%w within %v", errOpening, openingTime)
	k.opening.Arm(openingTime)
	k.call(func(c *loop.Conn) loop.Session {
		if k.form == formSocket {
			return k.askSocket(c)
		}
		c.Write(k.callHead("GET", "up", "", "\r\n"))
		return &upHead{k: k}
	})
}

// call connects to the relay, and calls ask with the connection.
func (k *link) call(ask func(*loop.Conn) loop.Session) {
	k.s.loop.Dial(k.route.dial, func(c *loop.Conn, err error) loop.Session {
		switch {
		case err != nil:
			k.end.Fail(fmt.Errorf("%w: %w", errNoLane, err))
			return nil
		case k.isGone:
			return nil
		}
		k.calling = c
		return ask(c)
	})
}

// callHead is the head of a request to the server URL. which body of the lane it is, with a slash before it, may be empty.
func (k *link) callHead(method, op, body, rest string) []byte {
	p := purpose{method: method, op: op, lane: k.run() + "/" + strconv.Itoa(k.spec.number) + body, instance: k.spec.t.instance()}
	return k.s.e.head(k.route, p, rest)
}

// run names this opening of the lane: a new one must not be taken for the half of an old one.
func (k *link) run() string { return k.s.e.self.run + "." + strconv.FormatInt(k.began, 36) }

// upHead is the session of the up channel until the relay has accepted it.
type upHead struct{ k *link }

func (h *upHead) Data(c *loop.Conn, in []byte) (int, error) {
	var resp http1.Response
	n, err := resp.Parse(in, &h.k.s.e.answers, false)
	if err != nil || n == 0 {
		return 0, err
	}
	if resp.Status != 200 || resp.Body != http1.BodyChunked {
		h.k.end.Fail(newRefusal(&resp, in[n:]))
		return len(in), nil
	}
	h.k.calling = nil
	h.k.end.SetIn(c)
	h.k.openDown()
	return n, nil
}

func (h *upHead) Drained(*loop.Conn) {}
func (h *upHead) Closed(_ *loop.Conn, err error) {
	h.k.end.Fail(closedEarly(err))
}

func closedEarly(err error) error {
	if err == nil {
		err = errors.New("outbound: the relay closed the channel before it had accepted it")
	}
	return err
}

// openDown opens the other half.
func (k *link) openDown() {
	k.call(func(c *loop.Conn) loop.Session {
		k.calling = nil
		if k.form == formLength {
			k.sendDownHead(c)
		} else {
			c.Write(k.callHead("POST", "down", "", "Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n"))
			k.end.SetOut(c)
		}
		k.hail()
		return c.Session()
	})
}

// sendDownHead makes c the connection of the next body of a given length.
func (k *link) sendDownHead(c *loop.Conn) {
	size, body := k.s.e.body, ""
	if n := k.end.NextBody(); n > 1 {
		body = "/" + strconv.Itoa(n)
	}
	c.Write(k.callHead("POST", "down", body, "Content-Type: application/octet-stream\r\nContent-Length: "+strconv.FormatInt(size, 10)+"\r\n\r\n"))
	k.end.SetOutLength(c, size, k.renew)
}

// renew opens the connection of the next body while the running one is nearly complete. When that fails the end asks again.
func (k *link) renew() {
	if k.renewing || k.isGone {
		return
	}
	k.renewing = true
	k.s.loop.Dial(k.route.dial, func(c *loop.Conn, err error) loop.Session {
		k.renewing = false
		switch {
		case err != nil:
			k.s.e.log.Warn("the next body of a lane cannot be opened; trying again", "relay", k.spec.peer.Host, "lane", k.spec.number, "error", err)
			return nil
		case k.isGone:
			return nil
		}
		k.s.e.log.Info("lane goes on in another body", "relay", k.spec.peer.Host, "lane", k.spec.number, "body", k.end.NextBody())
		k.sendDownHead(c)
		return c.Session()
	})
}

// hail says hello, and what the back end does, and asks for a proof that this arrives.
func (k *link) hail() {
	k.maybeUp()
	up, reason := k.s.e.monitor.state()
	b := lane.AppendHello(k.end.Buffer(), lane.Hello{
		Version: lane.Version, Lane: uint16(k.spec.number), Window: uint32(k.s.e.window),
		Heartbeat: uint32(heartbeat / time.Millisecond), MaxHead: uint32(k.s.e.answers.Head),
	})
	// Always: another enabler of this server may have said something else, and be gone.
	k.end.SetBuffer(lane.AppendStatus(b, up, reason))
	k.end.Prove(k.proves)
	if k.mustProve {
		k.slow = fmt.Errorf("%w within %v", errUnproved, proofTime)
		k.opening.Arm(proofTime)
	}
}

// askSocket begins a WebSocket handshake.
func (k *link) askSocket(c *loop.Conn) loop.Session {
	var nonce [16]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		panic("BUG: crypto/rand does not fail: " + err.Error())
	}
	h := &socketHead{k: k, key: base64.StdEncoding.EncodeToString(nonce[:])}
	c.Write(k.callHead("GET", "lane", "", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "+h.key+"\r\n\r\n"))
	return h
}

// socketHead is the session of a WebSocket connection until the relay has accepted it.
type socketHead struct {
	k   *link
	key string
}

func (h *socketHead) Data(c *loop.Conn, in []byte) (int, error) {
	k := h.k
	var resp http1.Response
	n, err := resp.Parse(in, &k.s.e.answers, false)
	if err != nil || n == 0 {
		return 0, err
	}
	if resp.Status != 101 || !resp.Upgrade || !h.accepted(&resp) {
		k.end.Fail(newRefusal(&resp, in[n:]))
		return len(in), nil
	}
	k.calling = nil
	k.end.SetSocket(c, true)
	k.hail()
	return n, nil
}

// accepted checks that the answer is to our handshake: RFC 6455, 4.1.
func (h *socketHead) accepted(resp *http1.Response) bool {
	for i := range resp.Fields {
		if resp.Fields[i].ID == http1.IDSecWebSocketAccept {
			return string(resp.Fields[i].Value) == websocket.Accept(h.key)
		}
	}
	return false
}

func (h *socketHead) Drained(*loop.Conn) {}
func (h *socketHead) Closed(_ *loop.Conn, err error) {
	h.k.end.Fail(closedEarly(err))
}

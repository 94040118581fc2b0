package laneio

import (
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"

	"roundhouse/codec/websocket"
	"roundhouse/server/loop"
)

// socket is what an End knows of the WebSocket connection that carries both directions.
type socket struct {
	reader websocket.Reader
	keys   *rand.ChaCha8 // of masks: a client's frames have one; nil at a server
	key    [4]byte       // of the running frame
	said   bool          // our close frame has been sent
}

// maxMessage bounds what a message may be long, in bytes. Nothing is held back: this is far above what an End sends.
const maxMessage = 1 << 30

// SetSocket gives the end a WebSocket connection for both directions, whose handshake is over; client says which side of it we
// are.
func (e *End) SetSocket(c *loop.Conn, client bool) {
	s := &socket{reader: websocket.Reader{Masked: !client, MaxMessage: maxMessage}}
	if client {
		var seed [32]byte
		if _, err := crand.Read(seed[:]); err != nil {
			panic("BUG: crypto/rand does not fail: " + err.Error())
		}
		s.keys = rand.NewChaCha8(seed)
	}
	e.socket, e.special = s, true
	e.out, e.in = c, c
	c.SetWatermarks(high, low)
	c.SetBatch(true)
	c.SetSession(&socketSession{e})
	c.Again()
	e.begin()
}

// newKey returns the key of the next frame; nil at a server. RFC 6455, 5.3: nobody can foresee it.
func (s *socket) newKey() *[4]byte {
	if s.keys == nil {
		return nil
	}
	v := s.keys.Uint64()
	s.key = [4]byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)}
	return &s.key
}

// write sends the packets of the turn, and data, as one message. A server's data is not copied.
func (s *socket) write(e *End, data []byte) {
	key := s.newKey()
	head := websocket.AppendHead(e.scratch[:0], websocket.OpBinary, len(e.buf)+len(data), key)
	if key != nil {
		e.buf = append(e.buf, data...)
		websocket.Mask(*key, 0, e.buf)
		data = nil
	}
	e.out.Writev(head, e.buf, data)
	e.resetBuf()
}

// writeClose sends a close frame, once.
func (s *socket) writeClose(c *loop.Conn) {
	if !s.said {
		s.said = true
		c.Write(websocket.AppendClose(nil, websocket.CloseNormal, "", s.newKey()))
	}
}

// socketSession is the session of a WebSocket connection.
type socketSession struct{ e *End }

// Data ends the lane at once when the peer breaks the protocol, as inSession does.
func (s *socketSession) Data(c *loop.Conn, in []byte) (int, error) {
	e := s.e
	e.missed = 0
	for done := 0; done < len(in) && !e.gone; {
		p, n, err := e.socket.reader.Next(in[done:])
		if err == nil {
			err = s.piece(c, p)
		}
		if err != nil {
			e.end(err)
			break
		}
		done += n
	}
	return len(in), nil
}

// piece handles what the reader has found. Control frames may go out at any time: output is whole frames.
func (s *socketSession) piece(c *loop.Conn, p websocket.Piece) error {
	e := s.e
	switch p.Op {
	case websocket.OpBinary:
		return e.packets(p.Data)
	case websocket.OpPing:
		if c.Pending() > high { // who takes no answers gets none: RFC 6455, 5.5.3 lets us leave some out
			return nil
		}
		c.Write(websocket.AppendControl(nil, websocket.OpPong, p.Data, e.socket.newKey()))
	case websocket.OpClose:
		code, reason, _ := websocket.ParseClose(p.Data) // the reader has judged it
		if code != websocket.CloseNormal && code != websocket.CloseGoingAway {
			return fmt.Errorf("laneio: the other end closes with %d %q", code, reason)
		}
		e.closing = true
		e.socket.writeClose(c)
		c.Close()
		e.end(nil)
	}
	return nil
}

// BeforeFlush sends what the turn has gathered.
func (s *socketSession) BeforeFlush(c *loop.Conn)       { s.e.flush(c) }
func (s *socketSession) Drained(*loop.Conn)             { s.e.handler.Writable() }
func (s *socketSession) Closed(_ *loop.Conn, err error) { s.e.end(closedBecause(err)) }

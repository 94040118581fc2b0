package loop

import "github.com/panjf2000/gnet/v2"

// handler is what gnet calls.
type handler struct{ gnet.BuiltinEventEngine }

// OnOpen runs on the loop that a connection was enrolled into.
func (*handler) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	if a, ok := gc.Context().(*arrival); ok {
		l := a.c.loop
		l.turn.enter()
		a.opened(gc)
		l.turn.leave()
	}
	return nil, gnet.None
}

// OnTraffic has new input in gnet's buffer. All of it is taken every time: gnet would keep the rest without a limit.
func (*handler) OnTraffic(gc gnet.Conn) gnet.Action {
	b, _ := gc.Next(-1) // cannot fail: -1 takes what there is
	if c, ok := gc.Context().(*Conn); ok {
		l := c.loop // a Move in leave changes the connection's
		l.turn.enter()
		l.bytesIn.Add(int64(len(b)))
		c.in.received(b)
		l.turn.leave()
	}
	return gnet.None
}

// OnClose is called for whatever reason gnet stops reading a connection; the descriptor is still open.
func (*handler) OnClose(gc gnet.Conn, err error) gnet.Action {
	if c, ok := gc.Context().(*Conn); ok && c.sock.gc == gc {
		l := c.loop
		l.turn.enter()
		c.peer.lastWord(err)
		l.turn.leave()
	}
	return gnet.None
}

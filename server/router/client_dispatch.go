package router

import "roundhouse/codec/message"

// handle does what a message asks for. Types that are not listed are routed by their destination.
//
// Source: seed, "Message Types that RTserver Processes from RTclient".
func (c *client) handle(m *message.Message, whole []byte) {
	if c.state != clientOpen {
		if m.Type != message.TypeConnectCall {
			c.cut(cutProtocol, "its first message is "+m.Type.String()+", not connect_call")
			return
		}
		c.hello(m)
		return
	}
	if log := c.shard.logIn; log != nil {
		log.note(whole[frameHeader:], &c.peer)
	}
	if m.Type > 0 {
		c.publish(m, whole)
		return
	}
	switch m.Type {
	case message.TypeSubjectSetSubscribe:
		c.setSubscribe(m)
	case message.TypeBatchSubjectSetSubscribe:
		c.batchSubscribe(m)
	case message.TypeKeepAliveCall:
		c.answer(func() {
			c.send(func(dst []byte) []byte {
				return message.Append(dst, &message.Message{Type: message.TypeKeepAliveResult})
			})
		})
	case message.TypeKeepAliveResult: // any input is a sign of life
	case message.TypeDisconnect:
		c.disconnect(m)
	case message.TypeControl, message.TypeAdminSetOutboundRateParams:
		switch {
		case c.forServer(m):
			c.control(m)
		case c.identity.MayAdmin(int32(m.Type)):
			c.publish(m, whole)
		default: // an order to other clients
			c.shard.tally.lost(lostDenied, 1)
		}
	case message.TypeServerStopCall:
		c.stopServer(m)
	case message.TypeConnectCall:
		c.cut(cutProtocol, "it has introduced itself twice")
	case message.TypeGMDAck, message.TypeGMDDelete, message.TypeGMDInitCall, message.TypeGMDStatusCall:
		// Guaranteed delivery is still to come: its messages are for the server and go nowhere else.
	default:
		if isMonitoring(m.Type) {
			return // Watches and polls are still to come.
		}
		c.publish(m, whole)
	}
}

// isMonitoring tells a request for a watch or a poll from other types. Source: spec of RTserver, "Monitoring".
func isMonitoring(t message.Type) bool {
	return t <= -400 && t >= -499 || t <= -1500 && t >= -1505
}

// disconnect handles DISCONNECT: the client leaves.
func (c *client) disconnect(m *message.Message) {
	mode, err := message.ParseDisconnect(m)
	if err != nil {
		c.cut(cutProtocol, err.Error())
		return
	}
	c.mode = mode
	c.peer.leave()
	c.conn.Close()
}

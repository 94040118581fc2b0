package relay

import (
	"bytes"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
	"roundhouse/routing/farm"
)

// session binds a client to a back-end server, and to one connection of it. Its id travels in answers, and comes back with requests, in a
// cookie or a field; whoever has the key can read it, so every relay server of the farm can.
type session struct {
	x     *exchange
	given farm.Session // what the client presented
	used  lane.Socket  // the connection that the answer came by

	bound bool // given is right
	lost  bool // its server, or its connection, is gone: it gets a new id
	asks  bool // the enabler is to say which connection it takes
}

const (
	sessionField = "ias-rs-sessionid" // also the name of the cookie, and of the parameter in a query

	serverLife   = 24 * 60 // minutes for which an id is believed
	renewMinutes = 30      // at twice this age it is given out anew
)

// read looks for a session id in the request.
func (s *session) read(q *http1.Request) {
	conf := s.x.farm.conf
	if !conf.ActiveCookie && !conf.ActiveHeader {
		return
	}
	s.asks = conf.SocketLevelAffinity
	field, cookie := findSession(q.Fields)
	text := field
	switch {
	case text == nil && cookie != nil:
		text = cookie
	case text == nil:
		if text = querySession(q.Path); text == nil {
			return
		}
	case cookie != nil && !bytes.Equal(field, cookie):
		s.x.s.relay.log.Warn("two session ids in one request: that of the field holds", "farm", conf.ID, "remote", string(s.x.client.ip))
	}
	given, ok := s.x.s.signer.Parse(text)
	age := minutes(s.x.s.loop.Now()) - int64(given.Issued)
	if !ok || age > serverLife || s.x.farm.farm.ServerByKey(given.Server) == nil {
		s.x.s.relay.log.Debug("a session id that is not right, or too old, counts as none", "farm", conf.ID, "remote", string(s.x.client.ip))
		return
	}
	s.given, s.bound = given, true
}

// findSession returns the session ids of a field of that name and of a cookie; nil where there is none.
func findSession(fields []http1.Field) (field, cookie []byte) {
	for i := range fields {
		f := &fields[i]
		switch f.ID {
		case http1.IDIasRs:
			if field == nil && len(f.Name) == len(sessionField) && bytes.EqualFold(f.Name, []byte(sessionField)) {
				field = f.Value
			}
		case http1.IDCookie:
			if cookie == nil {
				cookie = cookieSession(f.Value)
			}
		}
	}
	return field, cookie
}

// cookieSession looks for the session id among cookies (RFC 6265, 4.2.1).
func cookieSession(list []byte) []byte {
	for len(list) > 0 {
		var pair []byte
		pair, list, _ = bytes.Cut(list, []byte{';'})
		if value, ok := bytes.CutPrefix(bytes.TrimLeft(pair, " "), []byte(sessionField+"=")); ok {
			return bytes.TrimRight(value, " ")
		}
	}
	return nil
}

// querySession looks for the session id among the parameters of a URL.
func querySession(path []byte) []byte {
	_, query, _ := bytes.Cut(path, []byte{'?'})
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte{'&'})
		if value, ok := bytes.CutPrefix(pair, []byte(sessionField+"=")); ok {
			return value
		}
	}
	return nil
}

// socket is the connection to ask for.
func (s *session) socket() lane.Socket {
	if !s.bound || s.lost {
		return lane.Socket{}
	}
	return lane.Socket{Epoch: s.given.Epoch, Number: s.given.Socket}
}

// mayRenew tells whether a session that has lost its server or its connection gets a new one.
func (s *session) mayRenew() bool {
	return s.x.farm.conf.RenewOverlappedCookie || s.x.farm.conf.AffinityFallback
}

// sessionLost follows the loss of what the session is bound to: the request goes elsewhere under a new id, or fails.
func (x *exchange) sessionLost(text string) {
	if x.orphan || !x.session.mayRenew() || !x.req.whole() {
		x.fail(failAffinityLost, text)
		return
	}
	x.session.lost, x.waits = true, time.Time{}
	x.assign()
}

// appendTo appends the lines of an answer that give the client its session id; none when it has it already.
func (s *session) appendTo(dst []byte) []byte {
	conf := s.x.farm.conf
	if !conf.ActiveCookie && !conf.ActiveHeader || s.x.server == nil {
		return dst
	}
	now := minutes(s.x.s.loop.Now())
	id := farm.Session{Server: s.x.server.Key, Issued: uint32(now)}
	if s.asks {
		id.Epoch, id.Socket = s.used.Epoch, s.used.Number
	}
	given := s.given
	if s.bound && now-int64(given.Issued) < 2*renewMinutes &&
		given.Server == id.Server && given.Epoch == id.Epoch && given.Socket == id.Socket {
		return dst
	}
	text := s.x.s.sessionText(id)
	if conf.ActiveHeader {
		dst = append(append(append(dst, "Ias-Rs-Sessionid: "...), text...), crlf...)
	}
	if conf.ActiveCookie {
		dst = append(append(dst, "Set-Cookie: "+sessionField+"="...), text...)
		dst = s.appendCookieEnd(dst)
	}
	return dst
}

// appendCookieEnd appends the attributes of the cookie.
func (s *session) appendCookieEnd(dst []byte) []byte {
	dst = append(append(dst, "; Path="...), cookiePath(s.x.base)...)
	dst = append(dst, "; HttpOnly; SameSite=Lax"...)
	if s.x.client.https {
		dst = append(dst, "; Secure"...)
	}
	return append(dst, crlf...)
}

// appendForget appends the line that takes the cookie away from the client: its session cannot be had again.
func (s *session) appendForget(dst []byte) []byte {
	if !s.x.farm.conf.ActiveCookie {
		return dst
	}
	return s.appendCookieEnd(append(dst, "Set-Cookie: "+sessionField+"=; Max-Age=0"...))
}

// sessionText returns the text of a session id, valid until the next call. Those that name no connection are alike for many clients, and
// are signed once.
func (s *shard) sessionText(id farm.Session) []byte {
	const most = 1024
	if id.Socket != 0 {
		s.sessionID = s.signer.Append(s.sessionID[:0], id)
		return s.sessionID
	}
	id.Issued -= id.Issued % renewMinutes // so that texts can be used again; ids live a little shorter by that
	text, ok := s.sessions[id]
	if !ok {
		if len(s.sessions) >= most {
			clear(s.sessions)
		}
		text = s.signer.Append(nil, id)
		s.sessions[id] = text
	}
	return text
}

// minutes is a time in minutes of the Unix epoch.
func minutes(t time.Time) int64 { return t.Unix() / 60 }

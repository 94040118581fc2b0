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
	sessionName = "ias-rs-sessionid" // of the field in any case, of the cookie, and of the parameter in a query

	serverLife   = 24 * 60 // minutes for which an id is believed
	renewMinutes = 30      // at twice this age it is given out anew
)

// maxCookies is how many cookies of a request are tried: a browser sends one for each path that leads to its URL, and another farm may have
// set one of them.
const maxCookies = 8

// read looks for a session id in the request: in the field; else in the cookies, of which the first that is right holds; else in the query.
func (s *session) read(q *http1.Request) {
	conf := s.x.farm.conf
	if !conf.ActiveCookie && !conf.ActiveHeader {
		return
	}
	s.asks = conf.SocketLevelAffinity
	field, cookies, same := sessionField(q.Fields), 0, false
	for i := range q.Fields {
		if q.Fields[i].ID != http1.IDCookie {
			continue
		}
		for list := q.Fields[i].Value; cookies < maxCookies; cookies++ {
			var id []byte
			if id, list = nextSession(list); len(id) == 0 {
				break
			}
			same = same || bytes.Equal(id, field)
			if len(field) == 0 && s.believe(id) {
				return
			}
		}
	}
	log := s.x.s.relay.log
	if len(field) > 0 && cookies > 0 && !same {
		log.Warn("two session ids in one request: that of the field holds", "farm", conf.ID, "remote", string(s.x.client.ip))
	}
	if len(field) == 0 && cookies == 0 {
		if field = querySession(q.Path); len(field) == 0 {
			return
		}
	}
	if !s.believe(field) {
		log.Debug("a session id that is not right, or too old, counts as none", "farm", conf.ID, "remote", string(s.x.client.ip))
	}
}

// believe takes an id if it is right: made with the key, for a server of this farm, and not too old.
func (s *session) believe(id []byte) bool {
	given, ok := s.x.s.signer.Parse(id)
	if !ok || minutes(s.x.s.loop.Now())-int64(given.Issued) > serverLife || s.x.farm.farm.ServerByKey(given.Server) == nil {
		return false
	}
	s.given, s.bound = given, true
	return true
}

// sessionField returns the session id of the field of that name; empty when there is none.
func sessionField(fields []http1.Field) []byte {
	for i := range fields {
		if f := &fields[i]; f.ID == http1.IDIasRs && len(f.Name) == len(sessionName) && bytes.EqualFold(f.Name, []byte(sessionName)) {
			return f.Value
		}
	}
	return nil
}

// nextSession returns the first session id among cookies (RFC 6265, 4.2.1), without quotes, and what follows it; empty when there is none.
func nextSession(list []byte) (id, rest []byte) {
	for len(list) > 0 {
		var pair []byte
		pair, list, _ = bytes.Cut(list, []byte{';'})
		if value, ok := bytes.CutPrefix(bytes.TrimSpace(pair), []byte(sessionName+"=")); ok {
			if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
				value = value[1 : n-1]
			}
			if len(value) > 0 {
				return value, list
			}
		}
	}
	return nil, nil
}

// querySession looks for the session id among the parameters of a URL.
func querySession(path []byte) []byte {
	_, query, _ := bytes.Cut(path, []byte{'?'})
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte{'&'})
		if value, ok := bytes.CutPrefix(pair, []byte(sessionName+"=")); ok {
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
		dst = append(append(dst, "Set-Cookie: "+sessionName+"="...), text...)
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
	return s.appendCookieEnd(append(dst, "Set-Cookie: "+sessionName+"=; Max-Age=0"...))
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

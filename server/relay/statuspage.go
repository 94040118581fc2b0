package relay

import (
	"bytes"
	"net/http"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/server/statuspage"
)

// pageTime is how long a client waits for a status page until its connection is closed.
const pageTime = 30 * time.Second

// asksPage tells whether a request is one for a status page: what every browser and probe sends.
func asksPage(q *http1.Request) bool {
	method := string(q.Method)
	return (method == http.MethodGet || method == http.MethodHead) && q.ContentLength == 0 && !q.Chunked && !q.Upgrade
}

// isBare tells whether nothing but a query stands behind the prefix of a path.
func isBare(rest []byte) bool {
	rest = bytes.TrimPrefix(rest, []byte{'/'})
	return len(rest) == 0 || rest[0] == '?'
}

// statusPage answers with a status page. It takes all loops to make one, so the connection is not read until it is there.
func statusPage(c *client, q *http1.Request, who Audience) {
	_, query, _ := bytes.Cut(q.Path, []byte{'?'})
	asked := ParseReportQuery(string(query), who)
	a := answer{minor: q.Minor, head: q.Head, close: !q.KeepAlive || c.s.relay.draining.Load()}
	method, path, agent := bytes.Clone(q.Method), bytes.Clone(q.Path), bytes.Clone(fieldValue(q.Fields, "user-agent"))
	began := c.s.loop.Now()
	ok := startPage(c.s.relay, asked, c.s.loop, func(status int, kind string, content []byte) {
		if c.phase != phasePage { // it has left
			return
		}
		a.status = status
		c.s.logPage(c, method, path, agent, status, began)
		c.conn.SetBuffer(appendPage(c.conn.Buffer(), a, kind, content))
		if a.close {
			c.conn.Close()
			return
		}
		c.nextRequest()
	})
	if !ok {
		c.reject(q, failBusy, "Too many status pages are being made.")
		return
	}
	c.enter(phasePage, pageTime)
	c.conn.Pause()
}

// appendPage appends a whole response with a status page.
func appendPage(dst []byte, a answer, kind string, content []byte) []byte {
	dst = appendUint(append(dst, "HTTP/1.1 "...), int64(a.status))
	dst = append(append(append(dst, ' '), http.StatusText(a.status)...), "\r\nDate: "...)
	dst = time.Now().UTC().AppendFormat(dst, http.TimeFormat)
	dst = append(append(dst, "\r\nContent-Type: "...), kind...)
	dst = appendUint(append(dst, "\r\nContent-Length: "...), int64(len(content)))
	dst = append(dst, "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: "+statuspage.Policy...)
	if a.status == http.StatusServiceUnavailable {
		dst = append(dst, "\r\nRetry-After: 1"...)
	}
	switch {
	case a.close:
		dst = append(dst, "\r\nConnection: close"...)
	case a.minor == 0:
		dst = append(dst, "\r\nConnection: keep-alive"...)
	}
	dst = append(dst, "\r\n\r\n"...)
	if !a.head {
		dst = append(dst, content...)
	}
	return dst
}

// logPage counts and records a status page.
func (s *shard) logPage(c *client, method, path, agent []byte, status int, began time.Time) {
	s.stats.farmless.answered(methodIndex(method), status)
	form, ok := s.records(nil, nil)
	if !ok {
		return
	}
	s.recorded = record{at: began, total: s.loop.Now().Sub(began), loop: s.loop.Index(), client: c, x: &noExchange, status: status,
		method: method, path: path, agent: agent}
	s.record(form)
}

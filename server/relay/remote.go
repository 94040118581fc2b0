package relay

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"roundhouse/codec/http1"
)

// Remote is the administration that the door's own listeners serve where admin.public says so. Its methods are called by any goroutine.
type Remote struct {
	Serves     func(path string) bool          // whether a path is one of its
	Authorized func(authorization string) bool // whether such a field has the token; it does not block
	Handler    http.Handler                    // asks for the token itself
}

// maxRemoteBody is the longest body of such a request, in bytes, and maxRemoteAnswer that of an answer.
const (
	maxRemoteBody   = 4 << 20
	maxRemoteAnswer = 64 << 20
)

// remoteCall is a request for administration while it comes.
type remoteCall struct {
	c       *client
	request *http.Request
	answer  answer
	body    []byte // at most maxRemoteBody
	left    int64  // bytes of it that are still to come
	began   time.Time
	who     suspect
	path    []byte // as it came
}

// isRemote tells whether a request that leads to no farm is one for administration.
func isRemote(c *client, q *http1.Request) bool {
	r := c.s.relay
	if !c.s.view.cfg.Admin.Public || r.Remote.Handler == nil || q.Upgrade {
		return false
	}
	path, _, _ := bytes.Cut(q.Path, []byte{'?'})
	return r.Remote.Serves(string(path))
}

// startRemote begins to read a request for administration. Its answer is made in a goroutine, as a status page is.
func startRemote(c *client, q *http1.Request) {
	if q.Chunked || q.ContentLength > maxRemoteBody {
		c.reject(q, failTooLarge, "The body needs a Content-Length of at most 4 MiB.")
		return
	}
	target, err := url.ParseRequestURI(string(q.Path))
	if err != nil {
		c.reject(q, failBadURL, "The URL cannot be read.")
		return
	}
	who := suspect{addr: wholeAddr(c.judgedBy(q)), server: serverName{server: remoteName}}
	if wait := c.s.relay.gate.suspects.wait(who, "", c.s.loop.Now()); wait > 0 {
		c.rejectWith(q, failOEThrottled, answer{status: failOEThrottled.status, after: wait}, "Too many wrong tokens have come from this address.")
		return
	}
	call := &remoteCall{c: c, left: q.ContentLength, who: who, began: c.s.loop.Now(), path: bytes.Clone(q.Path),
		answer: answer{minor: q.Minor, head: q.Head, close: !q.KeepAlive || c.s.relay.draining.Load()}}
	call.request = (&http.Request{Method: string(q.Method), URL: target, Host: string(q.Host), Header: http.Header{}, Proto: "HTTP/1.1",
		ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: string(c.ip)}).WithContext(context.Background())
	for _, name := range []string{"Authorization", "Content-Type", "User-Agent", "Origin", "Sec-Fetch-Site"} {
		if v := fieldValue(q.Fields, strings.ToLower(name)); len(v) > 0 {
			call.request.Header.Set(name, string(v))
		}
	}
	if call.left > 0 && !c.s.relay.Remote.Authorized(call.request.Header.Get("Authorization")) { // before anything is kept of a stranger
		call.left, call.answer.close = 0, true
	}
	if q.Expect100 && call.left > 0 {
		c.conn.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
	c.enter(phasePage, pageTime)
	c.call = call
	if call.left == 0 {
		call.run()
	}
}

// remoteName stands for the administrator among those whose wrong tokens are counted. No server can have it: it is no printable ASCII.
const remoteName = "\x00admin"

// take reads the body.
func (call *remoteCall) take(in []byte) int {
	n := int(min(call.left, int64(len(in))))
	call.body = append(call.body, in[:n]...)
	if call.left -= int64(n); call.left == 0 {
		call.run()
	}
	return n
}

// run makes the answer; the connection is not read until it is there.
func (call *remoteCall) run() {
	c, r := call.c, call.c.s.relay
	c.call = nil
	call.request.ContentLength = int64(len(call.body))
	call.request.Body = io.NopCloser(bytes.NewReader(call.body))
	if r.making.Add(1) > maxMaking {
		r.making.Add(-1)
		c.conn.Close()
		return
	}
	c.conn.Pause()
	r.makers.Go(func() { // ends when the order has been done; Close waits for it
		defer r.making.Add(-1)
		w := &remoteAnswer{header: http.Header{}}
		r.Remote.Handler.ServeHTTP(w, call.request)
		c.s.loop.Post(func() {
			if w.status == http.StatusUnauthorized && call.request.Header.Get("Authorization") != "" {
				r.gate.suspects.add(call.who, "", c.s.loop.Now())
			}
			if c.phase != phasePage { // it has left
				return
			}
			call.send(w)
		})
	})
}

// send sends the answer.
func (call *remoteCall) send(w *remoteAnswer) {
	c, a := call.c, call.answer
	a.status = max(w.status, http.StatusOK)
	c.s.logPage(c, []byte(call.request.Method), call.path, []byte(call.request.Header.Get("User-Agent")), a.status, call.began)
	b := appendUint(append(c.conn.Buffer(), "HTTP/1.1 "...), int64(a.status))
	b = append(append(append(b, ' '), http.StatusText(a.status)...), crlf...)
	var fields bytes.Buffer
	_ = w.header.Write(&fields) // to memory
	b = append(b, fields.Bytes()...)
	b = appendUint(append(b, "Content-Length: "...), int64(w.body.Len()))
	if a.close {
		b = append(b, "\r\nConnection: close"...)
	}
	b = append(b, "\r\n\r\n"...)
	if !a.head {
		b = append(b, w.body.Bytes()...)
	}
	c.conn.SetBuffer(b)
	if a.close {
		c.conn.Close()
		return
	}
	c.nextRequest()
}

// remoteAnswer keeps an answer until its loop sends it.
type remoteAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer // at most maxRemoteAnswer
}

func (w *remoteAnswer) Header() http.Header { return w.header }

func (w *remoteAnswer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *remoteAnswer) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.body.Len()+len(b) > maxRemoteAnswer {
		return 0, http.ErrContentLength
	}
	return w.body.Write(b)
}

package outbound

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"roundhouse/codec/http1"
)

// refusal is what a relay server, or a web server or a proxy before it, has answered in the place of what was asked for.
type refusal struct {
	status int
	number int           // of the relay's error; 0: it was not the relay who answered
	date   time.Time     // by the clock of who answered; zero: unknown
	after  time.Duration // until it is worth asking again; 0: unknown
	text   string        // the beginning of the body

	instance string // the process of the relay server, as it calls itself; empty: it does not
}

// maxRefusalText is how much of a refusal's body is shown, in bytes.
const maxRefusalText = 200

// newRefusal keeps what an answer says; body is its beginning, or empty.
func newRefusal(q *http1.Response, body []byte) *refusal {
	h := http.Header{}
	for _, f := range q.Fields {
		h.Add(string(f.Name), string(f.Value))
	}
	return refusalOf(&http.Response{StatusCode: q.Status, Header: h}, body)
}

func refusalOf(q *http.Response, body []byte) *refusal {
	r := &refusal{status: q.StatusCode, text: strings.TrimSpace(string(body[:min(len(body), maxRefusalText)]))}
	r.date, _ = http.ParseTime(q.Header.Get("Date")) // zero when it is none
	r.instance = instanceOf(q.Header)
	r.number, _ = strconv.Atoi(q.Header.Get("Ias-Rs-Error"))                      // 0 when it is none
	if n, err := strconv.Atoi(q.Header.Get("Retry-After")); err == nil && n > 0 { // a date would need a clock that is right
		r.after = time.Duration(min(n, mostRetryAfter)) * time.Second
	}
	return r
}

// instanceOf is the name of a relay server's process in an answer; empty: there is none, or one that no relay server has.
func instanceOf(h http.Header) string {
	const longest = 64
	if name := h.Get("Ias-Rs-Instance"); len(name) <= longest {
		return name
	}
	return ""
}

// mostRetryAfter bounds for how long a relay may tell us to stay away, in seconds.
const mostRetryAfter = 120

// standing tells whether an error is a refusal that stands until somebody changes something: asking often does not help.
func standing(err error) (after time.Duration, ok bool) {
	var r *refusal
	if !errors.As(err, &r) || r.status >= 500 {
		return 0, false
	}
	return r.after, true
}

func (r *refusal) Error() string {
	who := "the relay answers"
	switch {
	case r.status == http.StatusProxyAuthRequired:
		who = "the proxy answers"
	case r.number == 0:
		who = "the server URL answers" // a web server, a load balancer or a proxy
	}
	s := fmt.Sprintf("outbound: %s %d %s", who, r.status, http.StatusText(r.status))
	if r.text != "" {
		s += fmt.Sprintf(": %q", r.text)
	}
	return s
}

// The numbers of the relay's errors that decide what to advise.
const (
	numberUnauthorized = 2001
	numberUnknown      = 2002
	numberDisabled     = 2003
	numberSecurity     = 2004
	numberDuplicate    = 2005
	numberVersion      = 2006
	numberShutdown     = 2007
	numberStale        = 2010
	numberToken        = 2011
)

// advice is advice, with what the relay's configuration would have to say of this machine when that may be what is wrong.
func (e *Enabler) advice(err error) string {
	s := advice(err)
	if r := (*refusal)(nil); errors.As(err, &r) && r.number == numberUnauthorized {
		s += "; mac=" + strings.Join(e.self.macs, "!")
	}
	return s
}

// advice says what whoever reads the log may do about a failed call to a relay; empty: nothing beyond the error.
func advice(err error) string {
	var r *refusal
	var c *certError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	var op *net.OpError
	var via *proxyError
	switch {
	case errors.As(err, &via):
		return via.advice()
	case errors.As(err, &r):
		return r.advice()
	case errors.As(err, &c):
		return c.advice()
	case errors.As(err, &record):
		return "that port does not speak TLS: check port and https of -cr"
	case errors.As(err, &op) && op.Op == "remote error": // an alert, as crypto/tls calls it
		return "the relay does not accept our side of TLS: it may want a certificate (identity of -cr), or another than this one"
	case errors.As(err, &dns):
		return "host of -cr, or of the relay server in the relay's configuration, is not known to the name server"
	case errors.Is(err, errUnproved):
		return "something on the way gathers what never ends, or only passes full buffers on: see \"How lanes travel\" in the manual (nginx: proxy_request_buffering off, or let Upgrade pass)"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the other side closed the connection without an answer: check host and port of -cr, and whether that port speaks TLS (https=1)"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &op):
		return "check host and port of -cr, and whether a firewall demands a proxy (proxy_host, proxy_port)"
	}
	return ""
}

func (r *refusal) advice() string {
	switch r.number {
	case 0:
		return adviceByStatus[r.status]
	case numberUnauthorized:
		return "the token (-t), or the adapter address (mac), is not what the relay's configuration says of this back-end server"
	case numberUnknown:
		return "farm (-f) and id (-id) are case-sensitive and must be as in the relay's configuration"
	case numberDisabled:
		return "the farm or the back-end server has enable=no in the relay's configuration"
	case numberSecurity:
		return "backend_security of the farm demands the other scheme: check https and port of -cr"
	case numberDuplicate:
		return "another enabler serves this farm and id: end it, or choose another id"
	case numberRequest:
		return "what came to the relay is not what was sent: something on the way changes it (WebSocket: it does not pass Upgrade on; nginx: proxy_set_header Upgrade $http_upgrade and Connection \"upgrade\")"
	case numberVersion:
		return "relay and enabler are too far apart: use the same release of both"
	case numberStale:
		return "calls for one relay server reach several: each needs an address of its own in the relay's configuration, see relay.server"
	case numberToken:
		return "the relay's configuration has only a bcrypt hash of the token, so that the token itself has to be sent, which is done over HTTPS only: " +
			"https=1 of -cr, or sha256: instead of bcrypt: there"
	case numberShutdown:
		return "the relay server is ending; the enabler comes back to it"
	}
	return adviceByStatus[r.status]
}

var adviceByStatus = map[int]string{
	http.StatusBadRequest:              "no relay understands this call: check host, port and https of -cr",
	http.StatusUnauthorized:            "the web server before the relay wants http_userid and http_password of -cr, or other ones",
	http.StatusForbidden:               "the web server before the relay, or the relay's configuration, forbids this call",
	http.StatusNotFound:                "no relay is there: check url_suffix of -cr",
	http.StatusMethodNotAllowed:        "no relay is there: check url_suffix of -cr",
	http.StatusProxyAuthRequired:       "the proxy wants http_proxy_userid and http_proxy_password of -cr, or other ones",
	http.StatusUpgradeRequired:         "relay and enabler are too far apart: use the same release of both",
	http.StatusTooManyRequests:         "the relay has seen too many wrong tokens from this address, and listens again in a minute: check -t first",
	http.StatusBadGateway:              "what stands before the relay does not reach it: is the relay running?",
	http.StatusServiceUnavailable:      "the relay is not ready, or its configuration is wrong: read its log",
	http.StatusGatewayTimeout:          "what stands before the relay does not reach it: is the relay running?",
	http.StatusMovedPermanently:        "the relay is elsewhere: check host, https and url_suffix of -cr",
	http.StatusFound:                   "the relay is elsewhere: check host, https and url_suffix of -cr",
	http.StatusPermanentRedirect:       "the relay is elsewhere: check host, https and url_suffix of -cr",
	http.StatusTemporaryRedirect:       "the relay is elsewhere: check host, https and url_suffix of -cr",
	http.StatusInternalServerError:     "read the log of the relay, or of the web server before it",
	http.StatusRequestTimeout:          "what stands before the relay cuts long calls: see the settings of the web server or load balancer",
	http.StatusLengthRequired:          "what stands before the relay takes no bodies without a length: see -transport",
	http.StatusHTTPVersionNotSupported: "what stands before the relay does not speak HTTP/1.1",
}

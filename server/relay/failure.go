package relay

import (
	"bytes"
	"html"
	"net/http"
	"strconv"
	"strings"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
)

// failure is an answer that the relay makes itself. Names and numbers are stable: users search for them.
type failure struct {
	name   string
	number int
	status int
	index  int // in failures
}

// failures are all there are; each has a counter.
var failures []*failure

func fails(name string, number, status int) *failure {
	f := &failure{name: name, number: number, status: status, index: len(failures)}
	failures = append(failures, f)
	return f
}

var (
	failBadURL        = fails("RSE_BAD_URL", 1001, 404)
	failUnknownFarm   = fails("RSE_UNKNOWN_FARM", 1002, 404)
	failFarmDisabled  = fails("RSE_FARM_DISABLED", 1003, 503)
	failHTTPSRequired = fails("RSE_CLIENT_HTTPS_REQUIRED", 1004, 403)
	failHTTPRequired  = fails("RSE_CLIENT_HTTP_REQUIRED", 1005, 403)
	failRefused       = fails("RSE_BAD_REQUEST", 1006, 400) // with the status of the refusal
	failDenied        = fails("RSE_DENIED", 1007, 403)
	failNoBackend     = fails("RSE_NO_BACKEND", 1101, 503)
	failAffinityLost  = fails("RSE_AFFINITY_LOST", 1102, 400)
	failBackendDown   = fails("RSE_BACKEND_DOWN", 1103, 502)
	failBackendReset  = fails("RSE_BACKEND_RESET", 1104, 502)
	failChannelLost   = fails("RSE_CHANNEL_LOST", 1105, 502)
	failBadResponse   = fails("RSE_BAD_RESPONSE", 1106, 502)
	failHeaderTimeout = fails("RSE_TIMEOUT_HEADERS", 1201, 504)
	failBodyTimeout   = fails("RSE_TIMEOUT_BODY", 1202, 504)
	failClientTimeout = fails("RSE_CLIENT_TIMEOUT", 1203, 408)
	failTooLarge      = fails("RSE_TOO_LARGE", 1301, 413)
	failHeadTooLarge  = fails("RSE_HEADERS_TOO_LARGE", 1302, 431)
	failNoMemory      = fails("RSE_NO_MEMORY", 1303, 503)
	failBusy          = fails("RSE_BUSY", 1304, 503)
	failRate          = fails("RSE_RATE", 1305, 429)
	failClientGone    = fails("RSE_CLIENT_GONE", 1306, 499) // in logs only
	failUnauthorized  = fails("RSE_OE_UNAUTHORIZED", 2001, 401)
	failUnknownServer = fails("RSE_OE_UNKNOWN", 2002, 404)
	failOEDisabled    = fails("RSE_OE_DISABLED", 2003, 403)
	failOESecurity    = fails("RSE_OE_SECURITY", 2004, 403)
	failOEDuplicate   = fails("RSE_OE_DUPLICATE", 2005, 409)
	failOEVersion     = fails("RSE_OE_VERSION", 2006, 426)
	failShutdown      = fails("RSE_SHUTTING_DOWN", 2007, 503)
	failOERequest     = fails("RSE_OE_REQUEST", 2008, 400)
	failOEThrottled   = fails("RSE_OE_THROTTLED", 2009, 429)
	failOEToken       = fails("RSE_OE_TOKEN", 2011, 401) // likewise, when it comes over HTTPS
	failOEStale       = fails("RSE_OE_STALE", 2010, 401) // a step of an enabler's first call
)

// failureOf says what a reset of the enabler means for the client.
func failureOf(c lane.Code) *failure {
	switch c {
	case lane.CodeBackendDown:
		return failBackendDown
	case lane.CodeBadResponse:
		return failBadResponse
	case lane.CodeTimeout:
		return failHeaderTimeout
	case lane.CodeOverload:
		return failBusy
	case lane.CodeAffinityLost:
		return failAffinityLost
	case lane.CodeGoingAway, lane.CodeProtocol, lane.CodeCancelled:
		return failChannelLost
	default:
		return failBackendReset
	}
}

// answer is what appendFailure needs to know of the request.
type answer struct {
	status int
	close  bool
	minor  int
	head   bool          // the request was HEAD: no body
	extra  []byte        // complete lines to add, each with its CRLF
	after  time.Duration // of 429 and 503: until it is worth asking again; at least a second is said
	accept []byte        // the Accept field; decides the form of the body
	pages  *errorPages
}

// builtIn is the body of an answer for which a farm has no page, with its media type.
func builtIn(f *failure, a *answer, text string) (kind, body string) {
	switch likes := parseAccept(a.accept); {
	case likes.wantsJSON():
		return "application/json", `{"error":"` + f.name + `","code":` + strconv.Itoa(f.number) + `,"text":"` + jsonText(text) + "\"}\n"
	case likes.wantsHTML():
		title := strconv.Itoa(a.status) + " " + http.StatusText(a.status)
		return "text/html; charset=utf-8", "<!DOCTYPE html><title>" + title + "</title><h1>" + title + "</h1><p>" + html.EscapeString(text) +
			"</p><p><small>" + f.name + "</small></p>\n"
	default:
		return "text/plain; charset=utf-8", f.name + ": " + text + "\n"
	}
}

// appendFailure appends a whole response: a page of the farm, or a short body that says what is wrong, in the form that the client
// prefers.
func appendFailure(dst []byte, f *failure, a answer, text string) []byte {
	reason := http.StatusText(a.status)
	kind, body, own := a.pages.body(f, &a, text)
	if !own {
		kind, body = builtIn(f, &a, text)
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(a.status), 10)
	dst = append(append(append(dst, ' '), reason...), "\r\nDate: "...)
	dst = time.Now().UTC().AppendFormat(dst, http.TimeFormat)
	dst = append(append(dst, "\r\nCache-Control: no-store\r\nContent-Type: "...), kind...) // it is true now, and only now
	dst = append(dst, "\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\nIas-Rs-Error: "...)
	dst = strconv.AppendInt(dst, int64(f.number), 10)
	dst = append(append(dst, "\r\nIas-Rs-Error-Text: "...), headerText(text)...)
	if a.status == http.StatusServiceUnavailable || a.status == http.StatusTooManyRequests {
		dst = append(dst, "\r\nRetry-After: "...)
		dst = strconv.AppendInt(dst, int64(max(1, (a.after+time.Second-1)/time.Second)), 10)
	}
	if a.status == http.StatusMethodNotAllowed {
		dst = append(dst, "\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"...)
	}
	switch {
	case a.close:
		dst = append(dst, "\r\nConnection: close"...)
	case a.minor == 0:
		dst = append(dst, "\r\nConnection: keep-alive"...)
	}
	dst = append(append(append(dst, crlf...), a.extra...), crlf...)
	if !a.head {
		dst = append(dst, body...)
	}
	return dst
}

// headerText is text as a field value: printable ASCII, at most 256 bytes. Some of it comes from enablers.
func headerText(text string) string {
	text = text[:min(len(text), 256)]
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}

// acceptOf copies the value of the first Accept field of a request head as it was sent; nil when there is none.
func acceptOf(head []byte) []byte {
	const name = "accept:"
	for len(head) > 0 {
		line, rest, _ := bytes.Cut(head, crlf)
		if len(line) >= len(name) && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return bytes.Clone(line[len(name):])
		}
		head = rest
	}
	return nil
}

// fieldValue is the value of the first field with the given name, in lower case; nil when there is none.
func fieldValue(fields []http1.Field, name string) []byte {
	for i := range fields {
		if len(fields[i].Name) == len(name) && bytes.EqualFold(fields[i].Name, []byte(name)) {
			return fields[i].Value
		}
	}
	return nil
}

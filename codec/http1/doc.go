// Package http1 reads and writes HTTP/1.1 messages for a relay (RFC 9110, RFC 9112).
//
// A relay stands between two parsers: whatever the client and the back end could read differently is an attack. So what is
// in doubt is refused, never repaired, and what is passed on is written anew from the parsed value, never copied whole.
//
//	head     = start-line CRLF *( name ":" OWS value OWS CRLF ) CRLF     RFC 9112, 2.1
//	request  = method SP target SP "HTTP/1." ("0" / "1")                 RFC 9112, 3
//	status   = "HTTP/1." ("0" / "1") SP 3DIGIT [ SP [ reason ] ]         RFC 9112, 4
//	body     = nothing / Content-Length bytes / chunked / until close    RFC 9112, 6.3
//	chunked  = *( size [ ext ] CRLF data CRLF ) 1*"0" [ ext ] CRLF *( field CRLF ) CRLF     RFC 9112, 7.1
//
// The nouns: a Request or a Response is a head; a Field is one line of it; Chunked is the decoder of one body; Forward and
// Answer say how a head is written anew for the next hop; an Error is a refusal with the status to answer.
//
// A head aliases the bytes it was parsed from, and its Fields are overwritten by its next Parse: whoever owns the input
// buffer owns the head. Nothing here allocates but the growth of Fields and of the slice that is appended to. No value is
// safe for concurrent use; two values never depend on each other.
//
// A line is judged when it is complete, lines are judged in byte order, and a limit is reached at a byte and not at a
// read: so the first error is the same however the input is split.
package http1

// Limits bounds what a peer can make us hold. All of them must be set; zero admits nothing.
type Limits struct {
	RequestLine int // bytes of the request or status line, without CRLF
	Head        int // bytes from the start line to the empty line, both included
	Fields      int // field lines in a head, and in a trailer section
	ChunkExt    int // bytes of chunk extensions in one body
	Trailer     int // bytes of the trailer section, the empty line included
}

// DefaultLimits returns what a relay uses when nothing is configured.
func DefaultLimits() Limits {
	return Limits{RequestLine: 8192, Head: 32768, Fields: 100, ChunkExt: 4096, Trailer: 8192}
}

package http1

import "roundhouse/codec"

// Error is a refusal. All of them are declared below, so refusing allocates nothing.
// After one the stream is out of step: answer if that is still possible, then close.
type Error struct {
	Status int    // to answer with: 400, 405, 414, 417, 431, 501, 505, or 502 from Response.Parse
	Reason string // short and stable, for counters: "bare-lf"
	Text   string // one sentence for the body of the answer; holds nothing that the peer sent

	kind    error  // codec.ErrMalformed or codec.ErrTooLarge
	gateway *Error // the same refusal of a back end's answer
}

// Error returns the reason and the text.
func (e *Error) Error() string { return "http1: " + e.Reason + ": " + e.Text }

// Unwrap returns codec.ErrMalformed or codec.ErrTooLarge.
func (e *Error) Unwrap() error { return e.kind }

// Is reports whether target is the same refusal, of a request or of a response.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Reason == e.Reason
}

// Gateway returns the same refusal with status 502, for what a back end sent. Response.Parse has done it already;
// a Chunked does not know whose body it reads.
func (e *Error) Gateway() *Error { return e.gateway }

// Refusals returns every refusal of a request or a body, so that a counter of each can exist before it happens.
// The caller owns the slice but not what it points to.
func Refusals() []*Error { return append([]*Error(nil), refusals...) }

// refusals is complete before main starts and never changes after.
var refusals []*Error

func refuse(status int, reason, text string) *Error {
	e := &Error{Status: status, Reason: reason, Text: text, kind: codec.ErrMalformed}
	e.gateway = &Error{Status: 502, Reason: reason, Text: text, kind: codec.ErrMalformed}
	e.gateway.gateway = e.gateway
	refusals = append(refusals, e)
	return e
}

func tooLarge(status int, reason, text string) *Error {
	e := refuse(status, reason, text)
	e.kind, e.gateway.kind = codec.ErrTooLarge, codec.ErrTooLarge
	return e
}

// Lines and start lines.
var (
	errLineTooLong = tooLarge(414, "line-too-long", "The request line is too long.")
	errHeadTooBig  = tooLarge(431, "head-too-large", "The header section is too large.")
	errFieldCount  = tooLarge(431, "too-many-fields", "There are too many header fields.")
	errBareLF      = refuse(400, "bare-lf", "A line ends with LF alone.")
	errStartLine   = refuse(400, "start-line", "The first line is malformed.")
	errMethod      = refuse(400, "method", "The method is not a token.")
	errNotAllowed  = refuse(405, "method-not-allowed", "CONNECT and TRACE are not relayed.")
	errTarget      = refuse(400, "target", "The request target is malformed.")
	errTargetForm  = refuse(400, "target-form", "The form of the request target does not suit the method.")
	errVersion     = refuse(505, "version", "Only HTTP/1.0 and HTTP/1.1 are spoken here.")
)

// Fields.
var (
	errFold       = refuse(400, "line-folding", "A header line starts with a blank.")
	errNoColon    = refuse(400, "no-colon", "A header line has no colon.")
	errEmptyName  = refuse(400, "empty-name", "A header field has no name.")
	errBlankColon = refuse(400, "blank-before-colon", "There is a blank before the colon of a header line.")
	errName       = refuse(400, "field-name", "The name of a header field is not a token.")
	errValue      = refuse(400, "field-value", "A control character stands in a header field.")
	errNoHost     = refuse(400, "no-host", "An HTTP/1.1 request needs a Host field.")
	errTwoHosts   = refuse(400, "two-hosts", "There is more than one Host field.")
	errHost       = refuse(400, "host", "The host is not a valid authority.")
	errHostDiffer = refuse(400, "host-differs", "The Host field differs from the request target.")
	errOptions    = refuse(400, "connection-options", "The Connection field has too many options.")
	errExpect     = refuse(417, "expect", "The only expectation known is 100-continue.")
	errUpgrade    = refuse(400, "upgrade", "The only upgrade known is a complete WebSocket handshake.")
)

// Framing.
var (
	errTwoLengths = refuse(400, "two-content-lengths", "There is more than one Content-Length.")
	errLength     = refuse(400, "content-length", "The Content-Length is not a number of 1 to 19 digits.")
	errTEAndCL    = refuse(400, "te-and-cl", "Transfer-Encoding and Content-Length exclude each other.")
	errTransfer   = refuse(400, "transfer-encoding", "The Transfer-Encoding is not exactly one chunked.")
	errCoding     = refuse(501, "transfer-coding", "The only transfer coding known is chunked.")
	errTEOld      = refuse(400, "te-in-1.0", "HTTP/1.0 has no Transfer-Encoding.")
	errTEInterim  = refuse(400, "te-in-1xx", "An interim response has no Transfer-Encoding.")
	errAlias      = refuse(400, "framing-alias", "A framing field is spelled with an underscore.")
	errAnnounced  = refuse(400, "trailer-names", "The Trailer field announces a framing field.")
)

// Chunked bodies.
var (
	errChunkLine = tooLarge(400, "chunk-line-too-long", "The extensions of the chunks are too long.")
	errChunkSize = refuse(400, "chunk-size", "A chunk size is not 1 to 16 hexadecimal digits.")
	errChunkExt  = refuse(400, "chunk-extension", "A chunk extension is malformed.")
	errChunkEnd  = refuse(400, "chunk-end", "The data of a chunk do not end with CRLF.")
	errTrailer   = tooLarge(400, "trailer-too-large", "The trailer section is too large.")
)

package natswire

import (
	"strconv"

	"roundhouse/codec"
)

// The texts of -ERR that nats-server v2.15.2 sends. After those of the first group it closes the connection.
const (
	TextUnknownOperation  = "Unknown Protocol Operation"
	TextMaxPayload        = "Maximum Payload Violation"
	TextMaxControlLine    = "maximum control line exceeded"
	TextAuthorization     = "Authorization Violation"
	TextAuthTimeout       = "Authentication Timeout"
	TextAuthExpired       = "User Authentication Expired"
	TextAuthRevoked       = "User Authentication Revoked"
	TextTLSRequired       = "Secure Connection - TLS Required"
	TextStale             = "Stale Connection"
	TextMaxConnections    = "maximum connections exceeded"
	TextClientProtocol    = "invalid client protocol"
	TextNoRespondersNeeds = "no responders requires headers support"
	TextThrottled         = "Connection throttling is active. Please try again later."

	TextInvalidSubject   = "Invalid Subject"         // of a SUB
	TextInvalidPublish   = "Invalid Publish Subject" // in pedantic mode; the message is delivered all the same
	TextMaxSubscriptions = "maximum subscriptions exceeded"
)

// The texts of -ERR for what nats-server v2.15.2 ends by closing the connection without a word. Clients print them.
const (
	TextParser    = "Parser Error"                  // arguments that make no sense, a CONNECT that is no JSON
	TextNoHeaders = "message headers not supported" // HPUB of a client that did not say headers in its CONNECT
	TextSlow      = "Slow Consumer"
	TextShutdown  = "Server Shutdown"
)

// ProtocolError is what a parser makes of input that breaks the protocol.
//
// It is codec.ErrTooLarge when a limit was passed, and codec.ErrMalformed otherwise.
type ProtocolError struct {
	Text string // for AppendErr
	kind error
}

// Error returns the text with the name of the package before it.
func (e *ProtocolError) Error() string { return "natswire: " + e.Text }

// Unwrap returns codec.ErrTooLarge or codec.ErrMalformed.
func (e *ProtocolError) Unwrap() error { return e.kind }

// One error of each kind: whoever sends garbage makes nothing allocate.
var (
	errUnknown = &ProtocolError{TextUnknownOperation, codec.ErrMalformed}
	errParser  = &ProtocolError{TextParser, codec.ErrMalformed}
	errPayload = &ProtocolError{TextMaxPayload, codec.ErrTooLarge}
	errLine    = &ProtocolError{TextMaxControlLine, codec.ErrTooLarge}
)

// PublishViolation is the text for a message that a client may not publish to subject. The connection stays.
func PublishViolation(subject string) string {
	return "Permissions Violation for Publish to " + strconv.Quote(subject)
}

// ReplyViolation is the text for a message whose reply subject the client may not use. The connection stays.
func ReplyViolation(reply string) string {
	return "Permissions Violation for Publish with Reply of " + strconv.Quote(reply)
}

// SubscribeViolation is the text for a subscription that a client may not have; queue may be empty. The connection stays.
func SubscribeViolation(subject, queue string) string {
	text := "Permissions Violation for Subscription to " + strconv.Quote(subject)
	if queue != "" {
		text += " using queue " + strconv.Quote(queue)
	}
	return text
}

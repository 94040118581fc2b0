// Package codec holds what all codecs share: the contract of a parser and the two errors that a caller tells apart.
//
// The packages below it turn bytes into values and values into bytes. They do no I/O, read no clock, start no goroutine,
// take no lock and keep no state outside the values that their caller owns.
//
// The contract of every parser, Parse(b) (v, n, err):
//
//	n == 0, err == nil   more input is needed; nothing was consumed
//	n > 0,  err == nil   n bytes were consumed; v may alias b
//	err != nil           the stream is out of step: answer if the protocol has an answer, then close
//
// A parser is incremental: however the input is split, the same values and the same error come out. Writers are called
// Append(dst, v) and return the extended slice.
package codec

import "errors"

var (
	// ErrMalformed means that the input breaks the grammar.
	ErrMalformed = errors.New("malformed")
	// ErrTooLarge means that a length or a count passed the limit that the caller gave.
	ErrTooLarge = errors.New("too large")
)

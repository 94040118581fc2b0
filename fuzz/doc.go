// Package fuzz holds a fuzz target for every parser of the codecs, and nothing that is built into a program.
//
// Each target states a property: the same result however the input is split, a round trip, or agreement with the standard
// library. Nothing here recovers from a panic. Every input that was ever found is kept under testdata/fuzz/ and committed
// with its fix, so that a plain go test replays all of them.
//
//	go test ./fuzz -run '^$' -fuzz '^FuzzHTTP1Request$' -fuzztime 30s
package fuzz

package router

import (
	"time"

	"roundhouse/codec/message"
	"roundhouse/codec/natswire"
	"roundhouse/server/loop"
)

// shard is what one loop owns of the door.
type shard struct {
	// Fixed at start.
	door  *Door
	loop  *loop.Loop
	index int

	// Owned by the loop.
	parcel    parcel           // the message that is being published
	command   natswire.Command // of the session whose Data runs
	message   message.Message  // likewise
	frame     []byte           // scratch: a message in the other protocol
	dice      uint64           // state of the generator that picks members of queue groups; never 0
	out       []*outbox        // by the loop that they lead to; nil for the own one
	posting   bool             // the end of the turn will post what is in the outboxes
	postEnd   func()           // postAll, as a value that is made once
	full      bool             // an outbox is: publishers are held
	holding   []*peer          // publishers that are held
	tally     tally
	peers     []*peer       // all that are open, in no order
	clock     time.Duration // that all sweeps so far have taken
	sweepTime time.Duration // until the next sweep
	sweeper   loop.Timer
	rules     uint64      // version of who may do what that the peers were judged by
	logIn     *messageLog // of messages that come; nil: none
	logOut    *messageLog // of messages that go

	stats stats // any goroutine
}

func newShard(d *Door, l *loop.Loop) *shard {
	s := &shard{door: d, loop: l, index: l.Index(), dice: uint64(l.Index()+1) * 0x9e3779b97f4a7c15}
	s.postEnd = s.postAll
	return s
}

// roll returns a number from 0 to n-1; 0 < n.
func (s *shard) roll(n int) int {
	x := s.dice // xorshift64*: Vigna, 2016
	x ^= x >> 12
	x ^= x << 25
	x ^= x >> 27
	s.dice = x
	return int((x * 0x2545f4914f6cdd1d >> 33) % uint64(n))
}

// endCallback follows every callback in which messages may have been published: the counters are brought up to date.
func (s *shard) endCallback() { s.tally.publish(&s.stats) }

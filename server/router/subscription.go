package router

// subscription is one peer's wish to get what is published to the subjects that match a pattern. There may be millions: its texts share
// one string.
type subscription struct {
	// Fixed when it is made.
	id   uint64 // unique in the process
	peer *peer
	text string // the pattern, in canonical form, then what the subscriber calls it (NATS: sid), then the queue group

	patternLen uint16
	sidLen     uint16
	always     bool // a client's subscription that takes no part in load balancing

	// Owned by the peer's loop.
	delivered uint32 // messages; stops at its largest value
	max       uint32 // after this many it ends (NATS: UNSUB with a maximum); 0: never
}

// Key makes a subscription a value of a subject table.
func (s *subscription) Key() uint64 { return s.id }

func (s *subscription) pattern() string { return s.text[:s.patternLen] }

func (s *subscription) sid() string { return s.text[s.patternLen : int(s.patternLen)+int(s.sidLen)] }

// queue is the queue group; empty: none.
func (s *subscription) queue() string { return s.text[int(s.patternLen)+int(s.sidLen):] }

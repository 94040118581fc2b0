package router

import "sync/atomic"

// lossReason says why a message did not reach a subscriber.
type lossReason uint8

const (
	lostLeft     lossReason = iota // the subscriber left while the message was on its way between loops
	lostSlow                       // its subscriber was cut for being slow
	lostStopping                   // the server is stopping
	lostDenied                     // its publisher may not publish to the subject
	lostExpired                    // its time had passed
	lostName                       // its subject is too long for our own protocol
	lossReasons
)

var lossNames = [lossReasons]string{"left", "slow", "stopping", "denied", "expired", "name"}

// cutReason says why the door ended a connection.
type cutReason uint8

const (
	cutSlow cutReason = iota
	cutStalled
	cutSilent
	cutProtocol
	cutDenied
	cutLate // has not introduced itself in time
	cutLimit
	cutReplaced
	cutStopping
	cutReasons
)

var cutNames = [cutReasons]string{"slow", "stalled", "silent", "protocol", "denied", "late", "limit", "replaced", "stopping"}

// tally counts what a callback does, without atomics. It is owned by its loop.
type tally struct {
	msgsIn, bytesIn   int64
	msgsOut, bytesOut int64
	losses            [lossReasons]int64
	dirty             bool
}

func (t *tally) in(bytes int) {
	t.msgsIn++
	t.bytesIn += int64(bytes)
	t.dirty = true
}

func (t *tally) out(bytes int) {
	t.msgsOut++
	t.bytesOut += int64(bytes)
	t.dirty = true
}

func (t *tally) lost(why lossReason, n int) {
	t.losses[why] += int64(n)
	t.dirty = true
}

// publish adds the tally to the counters and starts it anew.
func (t *tally) publish(s *stats) {
	if !t.dirty {
		return
	}
	s.msgsIn.Add(t.msgsIn)
	s.bytesIn.Add(t.bytesIn)
	s.msgsOut.Add(t.msgsOut)
	s.bytesOut.Add(t.bytesOut)
	for i, n := range t.losses {
		if n > 0 {
			s.losses[i].Add(n)
		}
	}
	*t = tally{}
}

// stats are the counters of a shard: written by its loop, read by anybody.
type stats struct {
	msgsIn, bytesIn   atomic.Int64
	msgsOut, bytesOut atomic.Int64
	losses            [lossReasons]atomic.Int64
	cuts              [cutReasons]atomic.Int64
	clients           atomic.Int64 // connections of clients
	natsClients       atomic.Int64
	subscriptions     atomic.Int64
	held              atomic.Int64 // times that a publisher was held
	caches            cacheStats
	_                 [64]byte // the next shard's are on another cache line
}

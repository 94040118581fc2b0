package relay

import (
	"sync/atomic"

	"roundhouse/server/loop"
)

// Kick has the enabler of a back-end server, or of all of a farm when server is empty, open its lanes anew: those that there are take no
// more requests, and end with those that they have. It returns how many lanes that are. It is not called on a loop.
func (r *Relay) Kick(farm, server string) int {
	var n atomic.Int64
	r.group.Each(func(l *loop.Loop) {
		for key, link := range r.shards[l.Index()].lanes {
			if key.farm == farm && (server == "" || key.server == server) && link.joined && !link.leaving {
				link.retire("an administrator has asked for it")
				n.Add(1)
			}
		}
	})
	return int(n.Load())
}

package router

import (
	"time"

	"roundhouse/codec/message"
)

// expired tells whether the time of a message has passed. Source: option Enforce_Expiration.
func expired(m *message.Message, now time.Time) bool {
	life, ok := m.RealProperty(message.TagExpiration)
	if !ok || !(life > 0) {
		return false
	}
	sent, ok := m.RealProperty(message.TagSenderTimestamp)
	return ok && float64(now.UnixNano())/1e9 > sent+life
}

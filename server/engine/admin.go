package engine

import (
	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
)

// admin takes a verb of the administrator, whose password was right.
func (c *client) admin(fields []byte) {
	verb, _, _ := frame.Cut(fields)
	c.done(oes.Failed, "Unknown verb "+clip(verb))
}

// takeStatistics takes a record of another server.
func (c *client) takeStatistics([]byte) { c.refuse("Unknown command -90", "unknown command") }

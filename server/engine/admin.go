package engine

import (
	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
)

// admin takes a verb of the administrator, whose password was right.
func (t *control) admin(fields []byte) {
	verb, _, _ := frame.Cut(fields)
	t.done(oes.Failed, "Unknown verb "+clip(verb))
}

// takeStatistics takes a record of another server.
func (t *control) takeStatistics([]byte) { t.client.refuse("Unknown command -90", "unknown command") }

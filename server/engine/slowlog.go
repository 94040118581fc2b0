package engine

import "time"

// maxInfo is how much of an engine's last information is kept for the line of a slow request.
const maxInfo = 200

// note keeps the last thing that the engine has said about its request, if slow requests are logged.
func (v *sight) note(e *engine, info []byte) {
	if e.door.settings.Load().cfg.SlowLog > 0 {
		v.said = append(v.said[:0], info[:min(len(info), maxInfo)]...)
	}
}

// from is the client that has made the call, for the log; empty: none has, or it has gone.
func (c *call) from() string {
	switch owner := c.owner.(type) {
	case *answer:
		return owner.client.info.remote
	case *dialogue:
		if owner.client != nil {
			return owner.client.info.remote
		}
	}
	return ""
}

// slow logs a request that has taken longer than the configuration finds right; d is in nanoseconds, from when the engine got it, the turns
// of its client included.
func (v *sight) slow(e *engine, c *call, d int64) {
	most := e.door.settings.Load().cfg.SlowLog
	if most > 0 && d > int64(most) {
		e.shard.log.Warn("a slow request", "engine", e.name(), "client", c.from(), "kind", c.kind, "procedure", c.procedure,
			"seconds", time.Duration(d).Round(time.Millisecond).Seconds(), "info", clip(v.said))
	}
	v.said = v.said[:0]
}

package engine

import (
	"roundhouse/enginepool"
	"roundhouse/enginepool/proc"
)

// watch looks at the memory of the shard's engines, again and again.
func (s *shard) watch() {
	t := s.loop.NewTimer(s.watch)
	t.Arm(s.door.settings.Load().cfg.Pool.IdleCheck)
	engines := append([]*enginepool.Engine(nil), s.pool.Engines()...)
	if len(engines) == 0 || s.door.draining.Load() {
		return
	}
	s.door.starting.Go(func() { s.weigh(engines) }) // ends with the look; Door.Close waits for it
}

// weigh reads what engines hold, outside of the loop, and brings it back.
func (s *shard) weigh(engines []*enginepool.Engine) {
	bytes := make([]int64, len(engines))
	for i, pooled := range engines {
		if e, ok := pooled.Owner.(*engine); ok && e.pid.Load() != 0 && !e.reaped.Load() {
			bytes[i], _ = proc.RSS(int(e.pid.Load())) // 0 when it has ended
		}
	}
	s.loop.Post(func() {
		for i, pooled := range engines {
			if bytes[i] > 0 && pooled.Home() == s.index {
				s.pool.Memory(pooled, bytes[i], s.now())
			}
		}
	})
}

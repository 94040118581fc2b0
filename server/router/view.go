package router

import "roundhouse/routing/subject"

// view is a project as one loop sees it: the plans of the subjects that were published to. It is owned by its loop.
type view struct {
	project *project
	shard   *shard
	clients *subject.Cache[*subscription, *plan] // by canonical name
	nats    *subject.Cache[*subscription, *plan] // by the name in NATS
	matched []*subscription                      // scratch
}

func newView(p *project, s *shard) *view {
	limit := s.door.settings.Load().cfg.SubjectCacheSize
	return &view{
		project: p, shard: s,
		clients: subject.NewCache[*subscription, *plan](limit, nil),
		nats:    subject.NewCache[*subscription, *plan](limit, natsKey),
	}
}

func natsKey(dst []byte, name string) []byte { return subject.ToNATS(dst, []byte(name)) }

// natsPlan returns the plan of a subject that a NATS client publishes to.
func (v *view) natsPlan(last *recent, key []byte) *plan {
	snap := v.project.table.Snapshot()
	if last.plan != nil && last.version == snap.Version() && string(last.key) == string(key) {
		return last.plan
	}
	p, ok := v.nats.Get(snap, key)
	if !ok {
		name, err := subject.FromNATS(nil, key, false)
		if err != nil { // an empty token: nobody can have subscribed to it
			return nobody
		}
		p = v.make(snap, v.nats, key, string(name))
	}
	last.remember(snap.Version(), key, p)
	return p
}

// clientPlan returns the plan of a subject that a client publishes to. The error is that of a name that is none.
func (v *view) clientPlan(last *recent, key []byte) (*plan, error) {
	snap := v.project.table.Snapshot()
	if last.plan != nil && last.version == snap.Version() && string(last.key) == string(key) {
		return last.plan, nil
	}
	p, ok := v.clients.Get(snap, key)
	if !ok {
		set := v.shard.door.settings.Load()
		name, err := subject.Canonical(nil, set.cfg.DefaultSubjectPrefix, key)
		if err != nil {
			return nil, err
		}
		if p, ok = v.clients.Get(snap, name); !ok {
			p = v.make(snap, v.clients, name, string(name))
		}
	}
	last.remember(snap.Version(), key, p)
	return p, nil
}

// make matches a subject, compiles its plan and keeps it.
func (v *view) make(snap *subject.Snapshot[*subscription], cache *subject.Cache[*subscription, *plan], key []byte, name string) *plan {
	v.matched = v.matched[:0]
	if name != serverSubject { // source: it is never routed
		v.matched = snap.Append(v.matched, name)
	}
	p := v.compile(name, v.matched, cache == v.clients)
	clear(v.matched)
	cache.Put(snap, key, name, p)
	return p
}

func (r *recent) remember(version uint64, key []byte, p *plan) {
	const most = 256 // bytes: longer names are looked up each time
	if len(key) > most {
		r.plan = nil
		return
	}
	r.version, r.plan = version, p
	r.key = append(r.key[:0], key...)
}

package relay

import (
	"maps"
	"slices"

	"roundhouse/routing/farm"
	"roundhouse/server/loop"
)

// DrainServer has a back-end server, or all of a farm when server is empty, get no new requests until it is called with on false. Requests in
// flight go on, and lanes stay. It returns how many servers these are; none are configured: nothing has changed. A reload changes nothing of
// it, a new process knows nothing of it. It is not called on a loop.
func (r *Relay) DrainServer(farmID, server string, on bool) int {
	r.changing.Lock()
	defer r.changing.Unlock()
	drained := map[serverName]bool{}
	if old := r.drained.Load(); old != nil {
		maps.Copy(drained, *old)
	}
	n := 0
	for _, s := range r.view.Load().servers(farmID) {
		if server != "" && s.ID != server {
			continue
		}
		n++
		if name := (serverName{farmID, s.ID}); on {
			drained[name] = true
		} else {
			delete(drained, name)
		}
	}
	if n == 0 {
		return 0
	}
	r.drained.Store(&drained)
	r.group.Each(func(l *loop.Loop) {
		for _, link := range r.shards[l.Index()].lanes {
			link.followDrain()
		}
	})
	return n
}

// servers are the back-end servers of a farm; nil: there is none of that name.
func (v *view) servers(farmID string) []*farm.Server {
	if f := v.table.Farm([]byte(farmID)); f != nil {
		return f.Servers
	}
	return nil
}

// isDrained tells whether an administrator wants a server to get no new requests.
func (r *Relay) isDrained(name serverName) bool {
	p := r.drained.Load()
	return p != nil && (*p)[name]
}

// rests tells whether the lane takes no new requests, for whatever reason.
func (l *link) rests() bool {
	return l.draining || l.leaving || l.s.relay.isDrained(serverName{l.key.farm, l.key.server})
}

// followDrain puts in force what an administrator wants of the lane's server.
func (l *link) followDrain() {
	if !l.joined || l.server == nil {
		return
	}
	rests := l.rests()
	l.s.roster.SetDraining(l.server, l, rests)
	if !rests {
		l.s.local[l.server.Farm.Index].hadLane = true
		l.s.wake(l.server.Farm)
	}
}

// SetVerbosity changes what is logged until the next reload: of a back-end server, of a farm when server is empty, or of everything when farm
// is empty, too. -1 is inherit. It tells whether there is such a farm or server. It is not called on a loop.
func (r *Relay) SetVerbosity(farmID, server string, verbosity int) (found bool, err error) {
	r.changing.Lock()
	defer r.changing.Unlock()
	before := r.view.Load()
	cfg := *before.given
	switch {
	case farmID == "":
		found = true
		cfg.Log.Verbosity, cfg.Log.Level = verbosity, ""
	case server == "":
		cfg.Relay.Farms = slices.Clone(cfg.Relay.Farms)
		for i := range cfg.Relay.Farms {
			if f := &cfg.Relay.Farms[i]; f.ID == farmID {
				f.Verbosity, found = verbosity, true
			}
		}
	default:
		cfg.Relay.Backends = slices.Clone(cfg.Relay.Backends)
		for i := range cfg.Relay.Backends {
			if b := &cfg.Relay.Backends[i]; b.Farm == farmID && b.ID == server {
				b.Verbosity, found = verbosity, true
			}
		}
	}
	if !found {
		return false, nil
	}
	v, err := newView(&cfg, before, r.machine, &r.dynamics)
	if err != nil {
		return true, err
	}
	r.install(v)
	return true, nil
}

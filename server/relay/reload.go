package relay

import (
	"fmt"
	"reflect"

	"roundhouse/codec/lane"
	"roundhouse/routing/farm"
	"roundhouse/server/config"
	"roundhouse/server/loop"
)

// Reconfigure puts another configuration in force, on one loop after the other, each between two callbacks: a request sees the old one
// or the new one. Requests in flight go on; lanes stay as long as the new configuration has a place for their enablers. On an error
// everything stays as it is.
func (r *Relay) Reconfigure(cfg *config.Config) error {
	if r.access.file != nil {
		r.access.file.Look()
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	before := r.view.Load()
	v, err := newView(cfg, before, r.machine, &r.dynamics)
	if err != nil {
		return err
	}
	if err := r.reloadCerts(&cfg.Relay.TLS); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	r.install(v)
	return nil
}

// Config is the configuration in force.
func (r *Relay) Config() *config.Config { return r.view.Load().given }

// install puts a view in force. The caller holds changing.
func (r *Relay) install(v *view) {
	before := r.view.Swap(v)
	news := !reflect.DeepEqual(before.cfg.Relay.Servers, v.cfg.Relay.Servers) || before.cfg.Relay.Lane != v.cfg.Relay.Lane ||
		!reflect.DeepEqual(before.given.Relay.Backends, v.given.Relay.Backends)
	r.group.Each(func(l *loop.Loop) { r.shards[l.Index()].adopt(v, news) })
}

// adopt makes a view that of the shard: everything that points into the one before is looked up again by its name.
func (s *shard) adopt(v *view, news bool) {
	before := s.view
	s.view = v
	roster := farm.NewRoster[*link](v.table)
	roster.Inherit(s.roster)
	s.roster = roster
	s.signer = farm.NewSigner(v.affinityKey)
	clear(s.sessions)
	s.adoptFarms(before)
	for _, l := range s.lanes {
		l.adopt(v)
		if news && l.end.Live() && !l.leaving {
			l.end.Send(lane.OpPeers, 0, 0, nil)
		}
	}
	for _, f := range v.farms {
		s.wake(f.farm)
	}
}

// adoptFarms takes over what the loop knows of the farms. Those that wait for one that is gone fail.
func (s *shard) adoptFarms(before *view) {
	old := map[string]*farmLocal{}
	for i, f := range before.farms {
		old[f.conf.ID] = s.local[i]
	}
	s.local = nil
	for _, f := range s.view.farms {
		local := old[f.conf.ID]
		if local == nil {
			local = new(farmLocal)
		}
		delete(old, f.conf.ID)
		for _, x := range local.parked {
			x.farm = f
		}
		s.local = append(s.local, local)
	}
	for _, local := range old {
		for _, x := range local.parked {
			x.parked = false
			x.fail(failUnknownFarm, "There is no farm of this name any more.")
		}
	}
}

// adopt finds the lane's server in a new view. An enabler that would not be let in now is sent away.
func (l *link) adopt(v *view) {
	var b *config.Backend
	l.server, b = v.server(l.key.farm, l.key.server)
	l.look()
	f := v.farm([]byte(l.key.farm))
	l.streams.Each(func(_ uint32, x *exchange) {
		if x.orphan = f == nil; !x.orphan {
			x.farm = f
		}
	})
	if l.server != nil {
		l.reallot()
		l.streams.Each(func(_ uint32, x *exchange) {
			x.server = l.server
			l.s.roster.Begin(l.server)
		})
		if l.said {
			l.s.roster.SetUp(l.server, l.backUp)
		}
		if l.joined {
			l.join()
		}
	}
	switch {
	case l.server == nil:
		l.retire("there is no such back-end server")
	case !l.server.Enable || !l.server.Farm.Enable:
		l.retire("the farm or the back-end server is disabled")
	case !l.as.still(v, l, b):
		l.retire("the enabler would not be let in any more")
	}
}

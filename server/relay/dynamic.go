package relay

import (
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"roundhouse/routing/farm"
	"roundhouse/server/config"
)

// dynamics are the farms and servers that relay.trust.auto_config has let in. They are part of each view, as if they were configured, as
// long as their enablers are there and a while longer.
type dynamics struct {
	mu     sync.Mutex // guards wanted
	wanted []serverName

	// Guarded by Relay.changing.
	servers map[serverName]time.Time // since when nobody serves it; zero: somebody does; at most as many as bounds says

	// Fixed before the first is added.
	bounds dynamicBounds
}

// dynamicBounds is how much auto_config may add, and for how long.
type dynamicBounds struct {
	most int           // servers, and so farms
	life time.Duration // how long one stays after its enablers
	look time.Duration // how often that is looked at
}

var usualDynamics = dynamicBounds{most: 10_000, life: 10 * time.Minute, look: time.Minute}

// configured is a configuration with what auto_config has let in. Without that it is cfg itself.
func (d *dynamics) configured(cfg *config.Config) *config.Config {
	farms := map[string]bool{}
	for i := range cfg.Relay.Farms {
		farms[cfg.Relay.Farms[i].ID] = true
	}
	known := map[serverName]bool{}
	for i := range cfg.Relay.Backends {
		b := &cfg.Relay.Backends[i]
		known[serverName{b.Farm, b.ID}] = true
	}
	keys := cfg.Relay.Trust.AutoMatcher()
	all := *cfg
	all.Relay.Farms, all.Relay.Backends = slices.Clip(cfg.Relay.Farms), slices.Clip(cfg.Relay.Backends)
	for _, name := range d.names() {
		if known[name] || len(keys(name.farm)) == 0 { // it has got a place in the configuration, or auto_config would not let it in now
			continue
		}
		if !farms[name.farm] {
			farms[name.farm] = true
			f := config.DefaultFarm()
			f.ID, f.Description = name.farm, "dynamic: by auto_config"
			all.Relay.Farms = append(all.Relay.Farms, f)
		}
		b := config.DefaultBackend()
		b.Farm, b.ID, b.Description = name.farm, name.server, "dynamic: by auto_config"
		all.Relay.Backends = append(all.Relay.Backends, b)
	}
	if len(all.Relay.Backends) == len(cfg.Relay.Backends) {
		return cfg
	}
	return &all
}

// names are those of all servers, in an order that stays.
func (d *dynamics) names() []serverName {
	names := make([]serverName, 0, len(d.servers))
	for name := range d.servers {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b serverName) int {
		switch {
		case a.farm != b.farm && a.farm < b.farm, a.farm == b.farm && a.server < b.server:
			return -1
		}
		return 1
	})
	return names
}

// add makes a server known, and its farm, and puts that in force. Those that come at the same time are added together. It blocks:
// never call it on a loop.
func (d *dynamics) add(r *Relay, name serverName) (no refusal) {
	if text := wrongName(name.farm) + wrongName(name.server); text != "" {
		return refusal{failure: failOERequest, text: text}
	}
	d.mu.Lock()
	d.wanted = append(d.wanted, name)
	d.mu.Unlock()
	r.changing.Lock()
	defer r.changing.Unlock()
	d.mu.Lock()
	wanted := d.wanted
	d.wanted = nil
	d.mu.Unlock()
	if len(wanted) > 0 {
		d.install(r, wanted)
	}
	if _, b := r.view.Load().server(name.farm, name.server); b == nil {
		return refusal{failure: failBusy, text: "There are too many farms and servers that are not configured.", after: time.Minute}
	}
	return no
}

// wrongName says what is wrong with the id of a farm or a server.
func wrongName(id string) string {
	const longest = 2048
	for i := range len(id) {
		if id[i] < ' ' || id[i] > '~' {
			return "A name is not printable ASCII."
		}
	}
	if id == "" || len(id) > longest {
		return "A name is empty, or too long."
	}
	return ""
}

// install adds servers, as many as there is room for. The caller holds changing.
func (d *dynamics) install(r *Relay, names []serverName) {
	if d.servers == nil {
		d.servers = map[serverName]time.Time{}
	}
	began := len(d.servers) == 0
	for _, name := range names {
		if _, ok := d.servers[name]; !ok && len(d.servers) < d.bounds.most {
			d.servers[name] = time.Time{}
			r.log.Info("farm or server added by auto_config", "farm", name.farm, "server", name.server)
		}
	}
	renewView(r)
	if began {
		r.shards[0].loop.Post(r.shards[0].lookAtDynamics)
	}
}

// renewView puts the configuration in force once more, with other dynamic servers. The caller holds changing.
func renewView(r *Relay) {
	before := r.view.Load()
	v, err := newView(before.given, before, r.machine, &r.dynamics)
	if err != nil {
		r.log.Error("what auto_config has changed cannot be put in force", "error", err)
		return
	}
	r.install(v)
}

// lookAtDynamics has servers removed that nobody serves any more, now and then.
func (s *shard) lookAtDynamics() {
	s.dynamicTimer.Init(s.loop, func() {
		s.relay.work.Go(func() { // ends when a view is in force; Close waits for it
			if s.relay.dynamics.sweep(s.relay, time.Now()) {
				s.loop.Post(func() { s.dynamicTimer.Arm(s.relay.dynamics.bounds.look) })
			}
		})
	})
	s.dynamicTimer.Arm(s.relay.dynamics.bounds.look)
}

// sweep removes servers that nobody has served for long enough. False: there are none left.
func (d *dynamics) sweep(r *Relay, now time.Time) bool {
	r.changing.Lock()
	defer r.changing.Unlock()
	gone := 0
	for name, since := range d.servers {
		switch {
		case r.gate.claims.serves(name):
			d.servers[name] = time.Time{}
		case since.IsZero():
			d.servers[name] = now
		case now.Sub(since) >= d.bounds.life:
			delete(d.servers, name)
			gone++
			r.log.Info("farm or server of auto_config removed", "farm", name.farm, "server", name.server)
		}
	}
	if gone > 0 {
		renewView(r)
	}
	return len(d.servers) > 0
}

// keys are the digests of the tokens of which the enabler of a server must have one; asks is false when it needs none. server and b are nil
// when it is not configured.
func (v *view) keys(r *Relay, server *farm.Server, b *config.Backend, farmID string) (keys [][sha256.Size]byte, asks bool) {
	if b == nil || v.dynamic(server) {
		return v.cfg.Relay.Trust.AutoKeys(farmID), true
	}
	return r.gate.hashed.add(b.TokenKeys(), b), b.Token != "" || b.SecondToken != ""
}

// dynamic tells whether auto_config has let a server in: these follow those of the configuration.
func (v *view) dynamic(s *farm.Server) bool { return s.Index >= len(v.given.Relay.Backends) }

package relay

import (
	"fmt"
	"sync/atomic"

	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
	"roundhouse/routing/farm"
	"roundhouse/server/config"
	"roundhouse/server/handover"
)

// view is what one configuration makes of the door. It is immutable: a reload makes another one, and puts it in force on one loop after
// the other. What lives longer than a configuration, such as counters, hangs on farmState.
type view struct {
	cfg        *config.Config // with what auto_config has added; read given for what the administrator has said
	given      *config.Config
	generation int64 // 1 for the first, one more for each reload
	table      *farm.Table
	farms      []*farmView          // by farm.Farm.Index
	backends   []*config.Backend    // by farm.Server.Index
	limits     http1.Limits         // of requests
	hosts      map[string]*farmView // by config.HostName
	// affinityKey signs session ids: the same at all relay servers with the same configuration, unless that has no secret.
	affinityKey []byte
	memory      int64 // bytes of bodies that may be held back for slow clients, all together
	paced       bool  // a farm has a limit of bytes a second
	verbosity   int   // of all farms and servers; a farm's or a server's own may be higher
}

// farmView is one farm of a view.
type farmView struct {
	conf  *config.Farm
	farm  *farm.Farm
	state *farmState

	limits *allowance  // nil: none
	pages  *errorPages // nil: none
}

// farmState is what a farm keeps over all configurations. Any goroutine.
type farmState struct {
	use    usage
	counts countBook
	whole  atomic.Bool // every enabled server has been seen with lanes to every loop
}

// newView makes a view of a valid configuration, which is only read, and of what auto_config has added. before is the one in force; nil:
// there is none.
func newView(given *config.Config, before *view, machineBytes int64, added *dynamics) (*view, error) {
	cfg := added.configured(given)
	v := &view{
		cfg: cfg, given: given, generation: 1, hosts: map[string]*farmView{}, verbosity: baseVerbosity(cfg.Log), memory: cfg.Limits.MemoryLimit(machineBytes),
		limits: http1.Limits{RequestLine: cfg.Relay.RequestLine, Head: cfg.Relay.Head, Fields: cfg.Relay.Fields,
			ChunkExt: http1.DefaultLimits().ChunkExt, Trailer: min(max(cfg.Relay.TrailerBytes, len("\r\n")), lane.MaxControl/2)},
	}
	known := map[string]*farmView{}
	if before != nil {
		v.generation = before.generation + 1
		for _, f := range before.farms {
			known[f.conf.ID] = f
		}
	}
	if v.affinityKey = farm.AffinityKey(given.Relay.Trust.AffinityKey, given.Relay.Secrets()); v.affinityKey == nil {
		v.affinityKey = handover.Key()
	}
	var farms []farm.FarmSpec
	for i := range cfg.Relay.Farms {
		f := &cfg.Relay.Farms[i]
		farms = append(farms, farmSpec(f))
		one := &farmView{conf: f, state: new(farmState), limits: newAllowance(&f.Limits)}
		old := known[f.ID]
		if old != nil {
			one.state = old.state
		}
		if old != nil && before.given == given { // no reload: the pages are those that it has read
			one.pages = old.pages
		} else if err := one.readPages(); err != nil {
			return nil, err
		}
		v.farms = append(v.farms, one)
		v.paced = v.paced || f.Limits.MaxBytesSec > 0
	}
	var servers []farm.ServerSpec
	for i := range cfg.Relay.Backends {
		b := &cfg.Relay.Backends[i]
		servers = append(servers, serverSpec(b))
		v.backends = append(v.backends, b)
	}
	var err error
	if v.table, err = farm.NewTable(farms, servers); err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	for i, f := range v.table.Farms() { // in the order of the specs
		v.farms[i].farm = f
		for _, host := range v.farms[i].conf.Hosts {
			v.hosts[config.HostName(host)] = v.farms[i]
		}
	}
	return v, nil
}

func farmSpec(f *config.Farm) farm.FarmSpec {
	balance, _ := farm.ParseBalance(f.Balance) // a valid configuration has no other name
	return farm.FarmSpec{ID: f.ID, Enable: f.Enable, Balance: balance, EjectAfter: f.EjectAfter, EjectTime: f.EjectTime}
}

func serverSpec(b *config.Backend) farm.ServerSpec {
	return farm.ServerSpec{Farm: b.Farm, ID: b.ID, Enable: b.Enable, Priority: b.Priority}
}

// of returns what the configuration says of a farm of this view.
func (v *view) of(f *farm.Farm) *farmView { return v.farms[f.Index] }

// farm returns the farm of that name; nil when there is none. Nothing is allocated.
func (v *view) farm(id []byte) *farmView {
	f := v.table.Farm(id)
	if f == nil {
		return nil
	}
	return v.farms[f.Index]
}

// server returns a back-end server and what the configuration says of it; nil when there is none.
func (v *view) server(farmID, id string) (*farm.Server, *config.Backend) {
	f := v.table.Farm([]byte(farmID))
	if f == nil {
		return nil, nil
	}
	s := f.Server(id)
	if s == nil {
		return nil, nil
	}
	return s, v.backends[s.Index]
}

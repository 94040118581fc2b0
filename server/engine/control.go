package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
	"roundhouse/enginepool"
	"roundhouse/server/config"
)

// control is a command with a negative code: it needs no login, and its reply has no prefix.
type control struct {
	client *client
	was    clientState // of the client
}

// take takes the command.
func (t *control) take(code int, fields []byte) {
	c := t.client
	switch code {
	case oes.List:
		t.list(fields)
	case oes.StopIdle, oes.StopAll:
		t.withPassword(fields, func(rest []byte) { t.stopEngines(code == oes.StopAll, rest) })
	case oes.Phantom:
		t.startPhantom(fields)
	case oes.Times:
		c.bare(oes.Done, fmt.Sprintf("Startup: %s; Current %s", stamp(c.door.began), stamp(time.Now())))
	case oes.Admin:
		t.withPassword(fields, t.admin)
	case oes.Statistics:
		t.takeStatistics(fields)
	default:
		c.refuse(fmt.Sprintf("Unknown command %d", code), "unknown command")
	}
}

// stamp is a time as clients get it.
func stamp(t time.Time) string { return t.Format(time.DateTime) }

// done answers a control command that took its time.
func (t *control) done(code int, text string) {
	c := t.client
	if c.state != stateLeaving {
		c.bare(code, text)
		c.next(t.was)
	}
}

// list answers with the engines and their state.
func (t *control) list(fields []byte) {
	c := t.client
	flag, rest, _ := frame.Cut(fields)
	switch access := c.door.settings.Load().cfg.ListAccess; {
	case access == "loopback" && !c.conn.Remote().Addr().Unmap().IsLoopback():
		t.denied("the list of engines from elsewhere")
	case access == "password":
		given := rest
		if string(flag) != "1" && len(rest) == 0 {
			given = fields
		}
		t.withPassword(given, func([]byte) { t.sendList(string(flag) == "1") })
	default:
		t.sendList(string(flag) == "1")
	}
}

func (t *control) sendList(chars bool) {
	c := t.client
	rows := c.door.rows(c.info.id)
	if chars {
		start := c.conn.Buffer()
		c.conn.SetBuffer(c.framed(oes.AppendReplyBytes(start, c.login.mode == oes.Char, oes.Done, appendArray(nil, rows)), len(start)))
	} else {
		c.bare(oes.Done, htmlTable(c.door.Observe().withQueues(rows)))
	}
	if c.state == stateBusy {
		c.next(t.was)
	}
}

// deniedControl refuses a control command.
func (t *control) denied(reason string) {
	c := t.client
	c.shard.warn("a control command was denied", "client", c.info.remote, "reason", reason)
	c.shard.stats.denied.Add(1)
	c.bare(oes.Failed, "Access Denied")
}

// deniedTime is how long a wrong password makes its sender wait.
const deniedTime = time.Second

// withPassword runs do with the fields behind the control password, when that is right. It is compared in a goroutine: a hash takes
// its time. A wrong one is answered after a second, whatever was wrong.
func (t *control) withPassword(fields []byte, do func(rest []byte)) {
	c := t.client
	given, rest, _ := frame.Cut(fields)
	password, kept := string(given), append([]byte(nil), rest...)
	s, set := c.shard, c.door.settings.Load()
	allowed := set.mayControl(c.conn.Remote().Addr().Unmap())
	c.state = stateBusy
	c.door.starting.Go(func() { // ends with the comparison; Door.Close waits for it
		right := set.cfg.ControlPassword != "" && config.CheckSecret(set.cfg.ControlPassword, password) && allowed
		s.loop.Post(func() {
			switch {
			case c.state == stateLeaving:
			case right:
				do(kept)
			default:
				s.loop.NewTimer(func() {
					if c.state != stateLeaving {
						t.denied("wrong control password, or not from here")
						c.next(t.was)
					}
				}).Arm(deniedTime)
			}
		})
	})
}

// stopEngines stops the engines that the selectors pick.
func (t *control) stopEngines(force bool, fields []byte) {
	c := t.client
	sel := parseSelector(fields)
	c.state = stateBusy
	c.shard.log.Info("engines are stopped", "client", c.info.remote, "force", force, "wide", sel.wide, "selectors", strings.Join(sel.words, " "))
	c.shard.onEach(func(s *shard) []string { return s.stopEngines(sel, force) }, func([]string) {
		if force {
			t.done(oes.Done, "All Engines shut down")
		} else {
			t.done(oes.Done, "Idle Engines shut down")
		}
	})
}

// selector says which engines a command means.
type selector struct {
	words []string // names, applications, user@application, procedures; none: all of the pool
	wide  bool     // bound engines and phantoms too
}

// parseSelector reads the fields of a selector: U widens it to bound engines and phantoms, * is everything.
func parseSelector(fields []byte) selector {
	var sel selector
	for len(fields) > 0 {
		var word []byte
		word, fields, _ = frame.Cut(fields)
		switch w := string(word); {
		case w == "":
		case w == "U" || w == "u":
			sel.wide = true
		case w == "*":
			return selector{wide: true}
		default:
			sel.words = append(sel.words, w)
		}
	}
	return sel
}

func (sel selector) picks(e *engine) bool {
	if e.pooled == nil || !sel.wide && !e.pooled.Pools() && e.sub.Load() != int32(subZombie) {
		return false
	}
	if len(sel.words) == 0 {
		return true
	}
	l := e.pooled.View().Login
	for _, w := range sel.words {
		for _, name := range []string{e.name(), l.Application, l.User + "@" + l.Application, l.Procedure} {
			if name != "" && strings.EqualFold(w, name) {
				return true
			}
		}
	}
	return false
}

// stopEngines stops the idle engines of this shard that sel picks, with force also the busy ones.
func (s *shard) stopEngines(sel selector, force bool) (names []string) {
	for _, pooled := range append([]*enginepool.Engine(nil), s.pool.Engines()...) {
		e, _ := pooled.Owner.(*engine)
		if e == nil || !sel.picks(e) {
			continue
		}
		names = append(names, e.name())
		p := s.parked[e.name()]
		switch {
		case p != nil:
			p.end(enginepool.WhyAdmin)
		case force:
			s.forceEngine(e)
		case len(e.calls) == 0 && pooled.Running() == 0 && (pooled.Pools() || pooled.Phase() == enginepool.Ready):
			s.pool.Stop(pooled, enginepool.WhyAdmin, s.now())
		}
	}
	return names
}

// forceEngine stops an engine whatever it does. Its client is told at once.
func (s *shard) forceEngine(e *engine) {
	s.pool.Force(e.pooled, enginepool.WhyForced, s.now())
	s.failCalls(e, "Engine was shut down")
}

// failCalls tells those who wait for an engine that it does not answer any more.
func (s *shard) failCalls(e *engine, text string) {
	for _, k := range append([]*call(nil), e.calls...) {
		if k != &e.own && k.owner != (nobody{}) {
			e.fail(k, text)
		}
	}
}

// onEach runs f on every loop, and then done on that of s, with all that f returned.
func (s *shard) onEach(f func(*shard) []string, done func(all []string)) {
	left := len(s.door.shards)
	var all []string
	for _, each := range s.door.shards {
		each.loop.Post(func() {
			found := f(each)
			s.loop.Post(func() {
				all = append(all, found...)
				if left--; left == 0 {
					done(all)
				}
			})
		})
	}
}

// mayControl tells whether control commands are taken from an address.
func (set *settings) mayControl(from netip.Addr) bool {
	allow := set.cfg.ControlAllow
	return len(allow) == 0 || slices.ContainsFunc(allow, func(p netip.Prefix) bool { return p.Contains(from) })
}

func appendInt(dst []byte, n int) []byte { return strconv.AppendInt(dst, int64(n), 10) }

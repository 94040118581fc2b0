package engine

import (
	"errors"
	"fmt"
	"strings"

	"roundhouse/codec"
	"roundhouse/codec/revcap"
	"roundhouse/enginepool"
	"roundhouse/server/config"
	"roundhouse/server/loop"
)

// A guest is an engine that has dialled in.

var errToken = errors.New("engine: wrong token")

// openGuest makes the session of an engine that dials in.
func (d *Door) openGuest(conn *loop.Conn) loop.Session {
	s := d.shards[conn.Loop().Index()]
	e := &engine{door: d, shard: s, conn: conn, remote: conn.Remote().String()}
	e.hail.guest = true
	e.hail.timer.Init(s.loop, func() {
		s.warn("an engine that dialled in did not say hello", "engine", e.remote)
		conn.Abort(errEngine)
	})
	e.hail.timer.Arm(d.settings.Load().cfg.Process.StartTimeout)
	s.guests[e] = true
	return e
}

// hello takes the introduction of an engine.
func (e *engine) hello(body []byte) error {
	h, err := revcap.ParseHello(body)
	if err != nil {
		return err
	}
	if h.Version != revcap.Version {
		return fmt.Errorf("protocol version %d, this server speaks %d: %w", h.Version, revcap.Version, codec.ErrMalformed)
	}
	s := e.shard
	switch {
	case e.hail.guest && !e.hail.done:
		return e.guestHello(&h)
	case e.hail.done:
		return fmt.Errorf("a second hello: %w", codec.ErrMalformed)
	}
	e.hail.done = true
	s.pool.Hello(e.pooled, h.Ahead, s.now())
	return nil
}

// guestHello lets an engine in that knows the token.
func (e *engine) guestHello(h *revcap.HelloFields) error {
	s := e.shard
	cfg := s.door.settings.Load().cfg
	if !config.CheckSecret(cfg.DialIn.Token, h.Token) {
		s.warn("an engine that dialled in has the wrong token", "engine", e.remote)
		return errToken
	}
	e.hail.timer.Stop()
	e.hail.done = true
	name := h.Name
	if name == "" {
		name = "engine"
	}
	e.pooled = s.pool.DialIn(clip(name)+"@"+e.remote, h.Ahead, upper(h.Applications), e, s.now())
	if e.pooled == nil {
		s.warn("an engine that dialled in was refused", "engine", e.remote, "reason", enginepool.NoEngine.String())
		return fmt.Errorf("too many engines: %w", errEngine)
	}
	s.log.Info("an engine has dialled in", "engine", e.name(), "applications", h.Applications)
	return nil
}

// upper returns names in upper case, as applications are compared.
func upper(names []string) []string {
	var all []string
	for _, n := range names {
		all = append(all, strings.ToUpper(n))
	}
	return all
}

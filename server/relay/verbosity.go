package relay

import (
	"context"
	"encoding/hex"
	"log/slog"
	"time"

	"roundhouse/codec/lane"
	"roundhouse/routing/farm"
	"roundhouse/server/config"
	"roundhouse/server/logfile"
)

// The verbosities of the original. The highest of those of the log, the farm and the back-end server holds: a farm can show more than the
// log's own level lets through. They are looked at before anything is put together.
const (
	showSessions = 1 // lanes and back ends that come and go, and records
	showRequests = 2
	showPackets  = 3
	showDebug    = 4
	showBytes    = 5 // of packets, payloads included
)

// verbosity is the highest of the verbosities that hold for a farm and a server of it; either may be nil.
func (s *shard) verbosity(f *farmView, server *farm.Server) int {
	v := s.view.verbosity
	if f != nil {
		v = max(v, f.conf.Verbosity)
	}
	if server != nil && server.Index < len(s.view.backends) {
		v = max(v, s.view.backends[server.Index].Verbosity)
	}
	return v
}

// baseVerbosity is what holds everywhere.
func baseVerbosity(l config.Log) int { return config.LevelVerbosity(l.MinLevel()) }

// say writes a record to the log that a verbosity has asked for, whatever the level of the log. The verbosity has been looked at.
func say(r *Relay, level slog.Level, text string, args ...any) {
	record := slog.NewRecord(time.Now(), level, text, 0)
	record.Add(args...)
	_ = r.log.Handler().Handle(context.Background(), record) // there is nowhere to tell
}

// look sees what of the lane is to be shown under the view of its shard.
func (l *link) look() {
	l.verbosity = l.s.view.verbosity
	if l.server != nil {
		l.verbosity = l.s.verbosity(l.s.view.of(l.server.Farm), l.server)
	}
}

// tell writes to the log what has become of the lane, or of its back end.
func (l *link) tell(text string, args ...any) {
	if l.verbosity >= showSessions {
		say(l.s.relay, slog.LevelInfo, text, append([]any{"farm", l.key.farm, "server", l.key.server}, args...)...)
	}
}

// maxShown is how much of a packet is shown, in bytes.
const maxShown = 4 << 10

// showPacket writes a packet to the log, and what is in it at the highest verbosity. dir is up for those of the relay, dn for those of the
// enabler.
//
// trace is that of the packet's request; nil: it belongs to none.
func (l *link) showPacket(dir string, op lane.Op, stream uint32, data []byte, t *trace) {
	args := []any{logfile.KeyLoop, l.s.loop.Index(), "farm", l.key.farm, "server", l.key.server, "lane", l.key.number,
		"dir", dir, "op", op.String(), "stream", stream, "bytes", len(data)}
	level := config.LevelPacket
	verbosity := l.verbosity
	if t != nil {
		args, verbosity = t.add(args), max(verbosity, t.verbosity)
	}
	if verbosity >= showBytes {
		level = config.LevelBytes
		args = append(args, "hex", hex.EncodeToString(data[:min(len(data), maxShown)]))
	}
	say(l.s.relay, level, "packet", args...)
}

// showIncoming shows a packet of the enabler.
func (l *link) showIncoming(p lane.Packet) {
	var t *trace
	if x := l.streams.Get(p.Stream); x != nil {
		t = &x.trace
	}
	l.showPacket("dn", p.Op, p.Stream, p.Data, t)
}

// show writes to the log that the request goes to a server. Its path has no query: that may hold secrets.
func (x *exchange) show() {
	say(x.s.relay, config.LevelRequest, "request",
		place(x, "path", withoutQuery(x.pathText()), "remote", string(x.client.ip), "retried", x.retried)...)
	if x.trace.verbosity >= showDebug {
		showHead(x)
	}
}

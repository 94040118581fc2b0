package outbound

import (
	"bytes"
	"context"
	"encoding/hex"
	"log/slog"
	"time"

	"roundhouse/codec/lane"
	"roundhouse/codec/passport"
	"roundhouse/server/config"
	"roundhouse/server/logfile"
)

// What the verbosities of the original add, besides what has a level of its own. They are looked at before anything is put together.
const (
	showRequests = 2
	showPackets  = 3
	showBytes    = 5 // of packets, payloads included
)

// trace is what of a request is shown.
type trace struct {
	verbosity int               // that of the enabler, or what the client's SAP Passport asks for
	passport  passport.Passport // the zero one: it has none
}

// begin finds out what of the request is shown.
func (t *trace) begin(c *config.Enabler, head []byte) {
	t.verbosity, t.passport = c.Verbosity, passport.Passport{}
	if c.PassportVerbosity == 0 {
		return
	}
	if p, err := passport.Parse(fieldOf(head, "sap-passport:")); err == nil {
		t.passport, t.verbosity = p, max(c.Verbosity, min(int(p.Level), c.PassportVerbosity))
	}
}

// say writes a record to the log that a verbosity has asked for, whatever the level of the log.
func (k *link) say(level slog.Level, text string, s *stream, args ...any) {
	all := []any{logfile.KeyLoop, k.s.loop.Index()}
	if s != nil {
		all = append(all, logfile.KeyRequest, s.seen.index)
		if s.trace.passport.Version != 0 {
			all = append(all, logfile.KeyPassport, string(s.trace.passport.Append(nil)))
		}
	}
	record := slog.NewRecord(time.Now(), level, text, 0)
	record.Add(append(all, args...)...)
	_ = k.s.e.log.Handler().Handle(context.Background(), record) // there is nowhere to tell
}

// showRequest writes to the log that a relay has sent a request. Its path has no query: that may hold secrets.
func showRequest(s *stream) {
	method, rest, _ := bytes.Cut(s.head, []byte{' '})
	path, _, _ := bytes.Cut(rest, []byte{' '})
	path, _, _ = bytes.Cut(path, []byte{'?'})
	s.k.say(config.LevelRequest, "request", s, "relay", s.k.spec.peer.Host, "lane", s.k.spec.number, "stream", s.id, "method", string(method), "path", string(path))
}

// maxShown is how much of a packet is shown, in bytes.
const maxShown = 4 << 10

// showPacket writes a packet to the log, and what is in it at the highest verbosity. dir is up for those of the relay, dn for ours. s is nil for
// those of the lane itself.
func (k *link) showPacket(dir string, op lane.Op, stream uint32, s *stream, data []byte) {
	level, verbosity := config.LevelPacket, k.s.e.cfg.Verbosity
	if s != nil {
		verbosity = max(verbosity, s.trace.verbosity)
	}
	args := []any{"relay", k.spec.peer.Host, "lane", k.spec.number, "dir", dir, "op", op.String(), "stream", stream, "bytes", len(data)}
	if verbosity >= showBytes {
		level = config.LevelBytes
		args = append(args, "hex", hex.EncodeToString(data[:min(len(data), maxShown)]))
	}
	k.say(level, "packet", s, args...)
}

// shows a packet that the stream sends, where that is wanted.
func (k *link) shows(s *stream, op lane.Op, data []byte) {
	if s.trace.verbosity >= showPackets {
		k.showPacket("dn", op, s.id, s, data)
	}
}

// fieldOf returns the value of the first field with that name, which is in lower case and has its colon, in a head.
func fieldOf(head []byte, name string) []byte {
	for len(head) > 0 {
		line, rest, _ := bytes.Cut(head, crlf)
		if len(line) >= len(name) && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return bytes.TrimSpace(line[len(name):])
		}
		head = rest
	}
	return nil
}

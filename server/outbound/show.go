package outbound

import (
	"bytes"
	"context"
	"encoding/hex"

	"roundhouse/codec/lane"
	"roundhouse/server/config"
)

// What the log shows from which verbosity on, besides what the levels of its lines say.
const (
	showRequests = 2
	showPackets  = 3
	showBytes    = 5 // of packets, payloads included
)

// maxShown is how much of a packet is shown, in bytes.
const maxShown = 4 << 10

// show writes a packet to the log, and what is in it at the highest verbosity, when these are to be seen. dir is up for those of the relay, dn
// for ours.
func (k *link) show(dir string, op lane.Op, stream uint32, data []byte) {
	if k.s.e.cfg.Verbosity < showPackets {
		return
	}
	args := []any{"relay", k.spec.peer.Host, "lane", k.spec.number, "dir", dir, "op", op.String(), "stream", stream, "bytes", len(data)}
	level := config.LevelPacket
	if k.s.e.cfg.Verbosity >= showBytes {
		level = config.LevelBytes
		args = append(args, "hex", hex.EncodeToString(data[:min(len(data), maxShown)]))
	}
	k.s.e.log.Log(context.Background(), level, "packet", args...)
}

// showRequest writes to the log that a request has come. Its path has no query: that may hold secrets.
func (k *link) showRequest(stream uint32, head []byte) {
	if k.s.e.cfg.Verbosity < showRequests {
		return
	}
	method, rest, _ := bytes.Cut(head, []byte{' '})
	path, _, _ := bytes.Cut(rest, []byte{' '})
	path, _, _ = bytes.Cut(path, []byte{'?'})
	k.s.e.log.Log(context.Background(), config.LevelRequest, "request", "relay", k.spec.peer.Host, "lane", k.spec.number, "stream", stream,
		"method", string(method), "path", string(path))
}

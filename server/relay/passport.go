package relay

import (
	"bytes"
	"slices"

	"roundhouse/codec/http1"
	"roundhouse/codec/passport"
	"roundhouse/server/config"
	"roundhouse/server/logfile"
)

// trace is what a client's SAP Passport asks to be logged of its request. The zero trace is that of no passport.
type trace struct {
	passport  passport.Passport
	verbosity int // at most log.passport_max_verbosity
}

// read reads the passport. One that cannot be read is none.
func (t *trace) read(fields []http1.Field, most int) {
	value := fieldValue(fields, "sap-passport")
	if len(value) == 0 {
		return
	}
	if p, err := passport.Parse(value); err == nil {
		t.passport, t.verbosity = p, min(int(p.Level), most)
	}
}

// add adds the passport to what a line of the log says, where there is one.
func (t *trace) add(args []any) []any {
	if t.passport.Version == 0 {
		return args
	}
	return append(args, logfile.KeyPassport, string(t.passport.Append(nil)))
}

// asks tells whether the passport shows what base does not.
func (t *trace) asks(base, wanted int) bool { return t.verbosity >= wanted && base < wanted }

// hidden are the fields whose values are not shown with a head: they say who somebody is.
var hidden = []string{"authorization", "proxy-authorization", "cookie"}

// showHead writes the head of the request to the log, as a passport of level medium or high asks for. Its query, too: who sends a passport
// knows what he sends.
func showHead(x *exchange) {
	var head []byte
	for line := range bytes.SplitSeq(bytes.TrimSpace(x.req.head), crlf) {
		name, _, ok := bytes.Cut(line, []byte{':'})
		if ok && slices.Contains(hidden, string(bytes.ToLower(name))) {
			line = append(bytes.Clone(name), ": ***"...)
		}
		head = append(append(head, line...), '\n')
	}
	args := place(x, "head", string(bytes.TrimSpace(head)))
	say(x.s.relay, config.LevelDebug, "request head", args...)
}

// place says which request a line of the log is about; args follow.
func place(x *exchange, args ...any) []any {
	all := []any{logfile.KeyLoop, x.s.loop.Index(), logfile.KeyFarm, x.farm.farm.Index, logfile.KeyBackend, x.server.Index,
		logfile.KeyRequest, x.seen.index - 1, "farm", x.farm.conf.ID, "server", x.server.ID}
	return x.trace.add(append(all, args...))
}

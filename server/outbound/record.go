package outbound

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strconv"
	"time"

	"roundhouse/codec/lane"
	"roundhouse/server/logfile"
)

// RecordHeader names the columns of the enabler's records, one of which is written for each request: time is when it began, i: is an id or a code, c: a count,
// b: bytes, m: milliseconds, x: hexadecimal; up is the request, dn the answer; the columns of text are quoted.
//
//	oidx         which relay server, in the order in which they were met       ridx  number of the request, from 0 on
//	sidx         number of the connection that its session knows, 0: none      oee   code of the reset, 0: none; 1000: the lane was lost
//	stream       number on the lane, as the relay server's record has it       label  that relay server, and the number of the lane
//	up.maxReqQ   most bytes of the request that waited for the back end        dn.maxReqQ  most bytes of the answer that waited for the lane
//	connect      until there was a connection                                  up.out  from there to the end of the request
//	rtp          from the end of the request to the head of the answer         dn.in   reading the answer
//	dn.out       waiting for the lane and its credit                           flags   1 session, 2 upgrade, 4 connection used before, 8 sent twice
//
// With the log format rs a record is a line of the log, which says the time itself.
func RecordHeader(format string) []byte {
	if format == rsFormat {
		b := logfile.AppendHead(nil, slog.LevelInfo, time.Now(), 0, logfile.Index{})
		return append(b, "OER "+recordColumns...)
	}
	return []byte("OER# time " + recordColumns)
}

const rsFormat = "rs" // of the log: the lines of the original

const recordColumns = "i:oidx i:ridx i:sidx i:stream i:status i:oee i:rse c:up.pkt c:dn.pkt b:up.body b:dn.body b:up.maxReqQ b:dn.maxReqQ " +
	"m:total m:connect m:up.out m:rtp m:dn.in m:dn.out x:flags backend:string ua:string affinity:string cookie:string error:string label:string passport:string\n"

// seen is what is measured of a request. Times count from its beginning; 0: it has not happened.
type seen struct {
	began                  time.Time
	connected, sent, first time.Duration
	pausedAt, paused       time.Duration // since when, and how long, the answer had to wait for the lane
	upPackets, downPackets int64
	upBody, downBody       int64
	upHeld, downHeld       int // most bytes that waited
	status                 int
	code                   lane.Code
	socket                 uint32 // of the connection that was used last
	used                   bool   // it had been used before
	index                  int64  // of the request, from 0 on
}

// begin begins to measure a request.
func (n *seen) begin(sh *shard) {
	n.began, n.upPackets = sh.loop.Now(), 1
	n.index = sh.begun*int64(len(sh.e.shards)) + int64(sh.loop.Index())
	sh.begun++
}

// rtp is the time from the end of the request to the head of the answer, or from the connection if that came later.
func (n *seen) rtp() time.Duration { return max(0, n.first-max(n.sent, n.connected)) }

const codeLaneLost lane.Code = 1000 // of records only: the lane was lost under the request

// since is how long the request has been under way, and never 0.
func (s *stream) since() time.Duration { return max(1, s.k.s.loop.Now().Sub(s.seen.began)) }

// head notes the head of the answer.
func (n *seen) head(at time.Duration, status int) {
	n.status, n.first = status, at
	n.downPackets++
}

// pause notes that bytes of the answer have to wait.
func (n *seen) pause(at time.Duration, size int) {
	n.downHeld = max(n.downHeld, size)
	if n.pausedAt == 0 {
		n.pausedAt = at
	}
}

// body notes bytes of the answer that go on.
func (n *seen) body(at time.Duration, size int) {
	if n.pausedAt != 0 {
		n.paused += at - n.pausedAt
		n.pausedAt = 0
	}
	n.downPackets++
	n.downBody += int64(size)
}

// count counts a request that has ended, and records it when records are kept.
func (s *stream) count() {
	sh, n := s.k.s, &s.seen
	total := s.since()
	if n.code == 0 && s.k.isGone {
		n.code = codeLaneLost
	}
	sh.stats.finished(s, total)
	if sh.e.records != nil && s.trace.verbosity >= 1 {
		sh.record(s, total)
	}
}

var affinityNames = [...]string{"none", "new", "kept", "renewed", "lost"}

// affinityIndex says what became of the request's session: an index in affinityNames.
func (s *stream) affinityIndex() int {
	switch {
	case !s.aff.on:
		return 0
	case s.seen.code == lane.CodeAffinityLost:
		return 4
	case s.aff.asked == 0:
		return 1
	case s.aff.asked == s.seen.socket:
		return 2
	default:
		return 3
	}
}

// codeNames are the errors of records.
var codeNames = map[lane.Code]string{
	lane.CodeCancelled: "cancelled", lane.CodeBackendDown: "backend_down", lane.CodeBackendReset: "backend_reset", lane.CodeBadResponse: "bad_response",
	lane.CodeTimeout: "timeout", lane.CodeProtocol: "protocol", lane.CodeOverload: "overload", lane.CodeGoingAway: "going_away",
	lane.CodeAffinityLost: "affinity_lost", codeLaneLost: "lane_lost",
}

func (s *stream) flags() (f int64) {
	for i, is := range [...]bool{s.aff.on, s.upgrade, s.seen.used, s.retried} {
		if is {
			f |= 1 << i
		}
	}
	return f
}

// columns are the numbers of a record, up to the flags, in the order of recordHeader.
func (s *stream) columns(total time.Duration) [19]int64 {
	n := &s.seen
	ms := func(d time.Duration) int64 { return max(0, d.Milliseconds()) }
	connected, sent, first := n.connected, n.sent, n.first
	upOut := max(0, sent-connected)
	rtp, down := time.Duration(0), time.Duration(0)
	if first > 0 {
		rtp, down = n.rtp(), total-first-n.paused
	}
	if connected == 0 {
		upOut = 0
	}
	return [...]int64{int64(s.k.relayIndex), n.index, int64(n.socket), int64(s.id), int64(n.status), int64(n.code), 0, n.upPackets, n.downPackets, n.upBody, n.downBody,
		int64(n.upHeld), int64(n.downHeld), ms(total), ms(connected), ms(upOut), ms(rtp), ms(down), ms(n.paused)}
}

// record appends the record of a request to those that are handed over.
func (sh *shard) record(s *stream, total time.Duration) {
	numbers := s.columns(total)
	cookie := "-"
	if len(fieldOf(s.head, "cookie:")) > 0 {
		cookie = "yes" // its value is the client's own business
	}
	texts := [...][]byte{[]byte(sh.e.backend.Load().Addr), fieldOf(s.head, "user-agent:"), []byte(affinityNames[s.affinityIndex()]), []byte(cookie),
		[]byte(codeNames[s.seen.code]), []byte(s.k.spec.peer.Host + "/" + strconv.Itoa(s.k.spec.number)),
		s.trace.passport.Append(nil)}
	b := sh.recorded
	if sh.e.cfg.LogFormat == "json" {
		b = appendJSONRecord(b, s.seen.began, numbers[:], s.flags(), texts[:])
	} else {
		if sh.e.cfg.LogFormat == rsFormat {
			index := logfile.Index{3: s.seen.index + 1}
			if s.seen.socket > 0 {
				index[2] = int64(s.seen.socket) + 1
			}
			b = append(logfile.AppendHead(b, slog.LevelInfo, sh.loop.Now(), int64(sh.loop.Index()), index), "OER"...)
		} else {
			b = s.seen.began.UTC().AppendFormat(append(b, "OER "...), "2006-01-02T15:04:05.000Z")
		}
		for _, v := range numbers {
			b = strconv.AppendInt(append(b, ' '), v, 10)
		}
		b = strconv.AppendInt(append(b, ' '), s.flags(), 16)
		for _, v := range texts[:len(texts)-1] {
			b = appendRecordText(append(b, ' '), v)
		}
		if b = append(b, ' '); s.trace.passport.Version == 0 {
			b = append(b, '-')
		}
		b = append(s.trace.passport.Append(b), '\n') // as it stands at the end of other lines
	}
	sh.recorded = b
	if len(b) >= recordBatch {
		sh.flushRecords()
	} else if !sh.recordTimer.Armed() {
		sh.recordTimer.Arm(recordDelay)
	}
}

const (
	recordBatch = 16 << 10 // bytes of records that are handed over at once, unless recordDelay is over first
	recordDelay = 200 * time.Millisecond
)

func (sh *shard) flushRecords() {
	if len(sh.recorded) > 0 && sh.e.records != nil {
		_, _ = sh.e.records.Write(sh.recorded) // it drops what it cannot take, and counts
	}
	sh.recorded = sh.recorded[:0]
}

// appendRecordText appends what others have sent so that it cannot end the quotes that it stands in.
func appendRecordText(dst, text []byte) []byte {
	if len(text) == 0 {
		return append(dst, '-')
	}
	dst = append(dst, '"')
	for _, c := range text {
		switch {
		case c == '"', c == '\\', c < ' ', c >= 0x7f:
			dst = append(dst, '\\', 'x', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// recordNames are the names of the columns, without their kinds.
var recordNames = func() (names []string) {
	for _, column := range bytes.Fields([]byte(recordColumns)) {
		kind, name, _ := bytes.Cut(column, []byte{':'})
		if string(name) == "string" {
			name = kind
		}
		names = append(names, string(name))
	}
	return names
}()

func appendJSONRecord(b []byte, at time.Time, numbers []int64, flags int64, texts [][]byte) []byte {
	b = at.UTC().AppendFormat(append(b, `{"time":"`...), time.RFC3339Nano)
	b = append(b, `","msg":"request"`...)
	for i, v := range append(numbers, flags) {
		b = append(append(append(b, `,"`...), recordNames[i]...), `":`...)
		b = strconv.AppendInt(b, v, 10)
	}
	for i, v := range texts {
		text, err := json.Marshal(string(v))
		if err != nil {
			panic("BUG: a string that is no JSON: " + err.Error())
		}
		b = append(append(append(b, `,"`...), recordNames[len(numbers)+1+i]...), `":`...)
		b = append(b, text...)
	}
	return append(b, "}\n"...)
}

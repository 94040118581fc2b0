package relay

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"roundhouse/codec/http1"
	"roundhouse/routing/farm"
	"roundhouse/server/logfile"
)

// seen is what is measured of an exchange, for its record and the farm's counters. Times count from its beginning.
type seen struct {
	counts   *farmCounts   // of its farm, on its loop
	index    int64         // of the request, unique in the process, from 1 on
	assigned time.Duration // when its head was sent to a server
	sent     time.Duration // when its last byte was
	first    time.Duration // when the first packet of the answer came; 0: none has
	stalled  time.Duration // how long the body could not be sent on, for want of credit or room on the lane
	slow     time.Duration // how long the client did not take what there was of the answer
	stallsAt time.Duration // since when it has been so; 0: it has not
	slowAt   time.Duration // likewise

	upPackets, downPackets int64         // of the stream, credit left out
	upHead, downHead       int           // bytes of the heads, as they travel over the lane
	held                   int           // most bytes of the answer that were held for the client
	method                 uint8         // index in methodNames
	backTime               time.Duration // from the request to the answer, as the enabler has seen it
	backTimed              bool          // it has told
}

// since is how long the exchange has been under way, and never 0.
func (x *exchange) since() time.Duration { return max(1, x.s.loop.Now().Sub(x.began)) }

// begin begins to measure a request for a farm.
func (n *seen) begin(s *shard, f *farmView, method []byte) {
	s.begun++
	n.counts, n.method = s.counts(f), methodIndex(method)
	n.index = (s.begun-1)*int64(len(s.relay.shards)) + int64(s.loop.Index()) + 1
}

// sentTo follows the sending of the head to a server.
func (n *seen) sentTo(at time.Duration, head int) {
	n.assigned, n.upHead = at, head
	n.upPackets++
}

// packetCame follows a packet of the answer.
func (x *exchange) packetCame() {
	x.seen.downPackets++
	if x.seen.first == 0 {
		x.seen.first = x.since()
	}
}

// begins notes in since that something has begun, unless it had before.
func begins(since *time.Duration, at time.Duration) {
	if *since == 0 {
		*since = at
	}
}

// ends adds to sum how long something has lasted, if it had begun.
func ends(since, sum *time.Duration, at time.Duration) {
	if *since != 0 {
		*sum += at - *since
		*since = 0
	}
}

// affinity says what became of the request's binding.
func (x *exchange) affinity(f *failure) affinity {
	switch {
	case f == failAffinityLost:
		return affinityLost
	case x.session.lost:
		return affinityRenewed
	case x.session.bound:
		return affinityKept
	case x.resp.started && (x.farm.conf.ActiveCookie || x.farm.conf.ActiveHeader):
		return affinityNew
	}
	return affinityNone
}

// log counts and records an exchange that has ended; f is what went wrong, nil nothing. It is called once for each.
func (x *exchange) log(f *failure) {
	total, status, n := x.since(), x.resp.status, &x.seen
	if f == failClientGone && !x.resp.started {
		status = f.status
	}
	ends(&n.stallsAt, &n.stalled, total)
	ends(&n.slowAt, &n.slow, total)
	binding := x.affinity(f)
	n.counts.answered(n.method, status)
	n.counts.affinity[binding].Add(1)
	if f != nil {
		n.counts.failures[f.index].Add(1)
	}
	if n.assigned > 0 {
		n.counts.phases[phaseAssign].add(n.assigned)
	}
	if n.first > 0 {
		n.counts.phases[phaseRTP].add(x.rtp())
	}
	n.counts.phases[phaseTotal].add(total)
	form, ok := x.s.records(x.farm, x.server)
	if !ok && x.trace.verbosity >= showSessions {
		form = x.s.relay.access.form
	}
	if form == formNone {
		return
	}
	method, path, _ := bytes.Cut(x.req.head[:min(x.req.path, len(x.req.head))], []byte{' '})
	x.s.recorded = record{
		at: x.began, total: total, loop: x.s.loop.Index(), client: x.client, from: x.from, farm: x.farm, server: x.server, x: x, f: f, status: status,
		method: method, path: path, agent: headField(x.req.head, "user-agent:"), affinity: binding,
	}
	x.s.record(form)
}

// rtp is the time from the last packet to the enabler to the first one back; when the answer came before the end of the request, from the
// head of it.
func (x *exchange) rtp() time.Duration {
	if n := &x.seen; n.sent > 0 && n.sent <= n.first {
		return n.first - n.sent
	}
	return max(0, x.seen.first-x.seen.assigned)
}

// headField returns the value of the first field with that name, which is in lower case and has its colon, in a canonical head.
func headField(head []byte, name string) []byte {
	for len(head) > 0 {
		line, rest, _ := bytes.Cut(head, crlf)
		if len(line) >= len(name) && line[len(name)-1] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return bytes.TrimSpace(line[len(name):])
		}
		head = rest
	}
	return nil
}

// logRefused counts and records a request that came to no exchange, with the URL as it came; q is nil when it could not be read.
func (s *shard) logRefused(c *client, q *http1.Request, status int, f *failure) {
	n := s.counts(s.asked)
	method := uint8(len(methodNames) - 1)
	if q != nil {
		method = methodIndex(q.Method)
	}
	n.answered(method, status)
	n.failures[f.index].Add(1)
	form, ok := s.records(s.asked, nil)
	if !ok {
		return
	}
	s.recorded = record{at: s.loop.Now(), loop: s.loop.Index(), client: c, farm: s.asked, x: &noExchange, f: f, status: status}
	if q != nil {
		s.recorded.from = told(c, q)
		s.recorded.method, s.recorded.path, s.recorded.agent = q.Method, q.Path, fieldValue(q.Fields, "user-agent")
	}
	s.record(form)
}

// noExchange stands for the exchange of a request that came to none. It is only read.
var noExchange = exchange{req: request{minor: 1}}

// record is what is written of one request. It is valid during one callback.
type record struct {
	at       time.Time // when it began
	total    time.Duration
	loop     int
	client   *client
	farm     *farmView    // nil: it named none that there is
	server   *farm.Server // nil: none was chosen
	x        *exchange
	f        *failure // nil: nothing went wrong
	status   int
	affinity affinity

	from     netip.Addr // of the client, as a trusted proxy tells it
	fromText [64]byte   // of it

	method, path, agent []byte // path with its query; nil: it could not be read
}

// recordForm is how records are written.
type recordForm uint8

const (
	formNone recordForm = iota // not at all
	formLine                   // a line of our own
	formRSR                    // the columns of the original
	formJSON                   // one object a line
	formText                   // name=value, as in a log of format text
)

// records tells whether and how requests of a farm, and of a server of it, are recorded. In the log they are what verbosity 1 shows.
func (s *shard) records(f *farmView, server *farm.Server) (form recordForm, ok bool) {
	a := s.relay.access
	if a.form == formNone || a.logged && s.verbosity(f, server) < showSessions {
		return formNone, false
	}
	return a.form, true
}

// record appends what recorded holds to the records that are handed over.
func (s *shard) record(form recordForm) {
	b, r := s.accesses, &s.recorded
	if a := s.relay.access; a.original { // a line of the original's shape around it
		b = logfile.AppendHead(b, slog.LevelInfo, s.loop.Now(), int64(r.loop), r.indexes())
		if form == formJSON {
			b = append(b, '{')
		}
	} else {
		b = appendStart(b, form, a.logged, r, s.loop.Now())
	}
	switch form {
	case formLine:
		b = appendLine(b, r)
	case formRSR:
		b = append(b, "RSR"...)
		for i := range columns {
			b = columns[i].appendRSR(append(b, ' '), r)
		}
	case formJSON:
		b = appendMembers(b, r)
	case formText:
		for i := range columns {
			b = columns[i].appendText(b, r)
		}
	}
	s.accesses = append(b, '\n')
	*r = record{}
	s.maybeFlushAccesses()
}

// appendStart appends what stands in front of the columns where no line of the original does.
func appendStart(b []byte, form recordForm, logged bool, r *record, now time.Time) []byte {
	switch form {
	case formLine:
		b = append(r.at.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z"), ' ')
	case formText:
		b = now.AppendFormat(append(b, "time="...), "2006-01-02T15:04:05.000Z07:00")
		b = append(b, " level=INFO msg=request"...)
	case formJSON:
		b = now.AppendFormat(append(b, `{"time":"`...), time.RFC3339Nano)
		b = append(b, `",`...)
		if logged {
			b = append(b, `"level":"INFO","msg":"request",`...)
		}
	}
	return b
}

// appendMembers appends the columns as the rest of an object.
func appendMembers(b []byte, r *record) []byte {
	first := true
	for i := range columns {
		b, first = columns[i].appendJSON(b, r, first)
	}
	return append(b, '}')
}

// indexes are those that stand in a line of the original.
func (r *record) indexes() (all logfile.Index) {
	if r.farm != nil {
		all[0] = int64(r.farm.farm.Index) + 1
	}
	if r.server != nil {
		all[1] = int64(r.server.Index) + 1
	}
	if r.x.session.used.Number > 0 {
		all[2] = int64(r.x.session.used.Number) + 1
	}
	all[3] = r.x.seen.index
	return all
}

// appendLine appends a record of form line, less its time.
func appendLine(b []byte, r *record) []byte {
	b = append(append(b, r.clientIP()...), " \""...)
	if r.method != nil {
		b = append(append(b, r.method...), ' ')
		b = appendPath(b, r.path)
	}
	b = append(b, "\" "...)
	b = strconv.AppendInt(b, int64(r.status), 10)
	b = strconv.AppendInt(append(b, " in="...), r.x.req.came, 10)
	b = strconv.AppendInt(append(b, " out="...), r.x.resp.went, 10)
	b = strconv.AppendInt(append(b, " us="...), r.total.Microseconds(), 10)
	b = append(append(b, " farm="...), orDash(r.farmID())...)
	b = append(append(b, " server="...), orDash(r.serverID())...)
	b = strconv.AppendUint(append(b, " conn="...), r.client.conn.ID(), 10)
	if r.f != nil {
		b = append(append(b, " error="...), r.f.name...)
	}
	return b
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (r *record) farmID() string {
	if r.farm == nil {
		return ""
	}
	return r.farm.conf.ID
}

func (r *record) serverID() string { return serverID(r.server) }

// serverID is the id of a server; empty when there is none.
func serverID(s *farm.Server) string {
	if s == nil {
		return ""
	}
	return s.ID
}

// appendPath is appendQuoted for a path and its query, less a session id in it: who reads the log must not be able to use that.
func appendPath(dst, path []byte) []byte {
	const name = sessionName + "="
	for {
		at := bytes.Index(path, []byte(name))
		if at < 0 {
			return appendQuoted(dst, path)
		}
		at += len(name)
		dst = append(appendQuoted(dst, path[:at]), '-')
		end := bytes.IndexByte(path[at:], '&')
		if end < 0 {
			return dst
		}
		path = path[at+end:]
	}
}

// appendQuoted appends what a client has sent so that it can neither end the quotes that it stands in, nor mean anything to a terminal.
func appendQuoted(dst, text []byte) []byte {
	for _, c := range text {
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return dst
}

// column is one value of a record. Exactly one of its functions is set.
type column struct {
	original string                        // its name in the columns of the original: i: index or code, c: count, b: bytes, m: milliseconds, x: hexadecimal, or text
	name     string                        // in JSON
	number   func(r *record) int64         // below 0: not known
	millis   func(r *record) time.Duration // below 0: not known
	text     func(r *record) string
	bytes    func(r *record) []byte
}

// columns are all there are, in the order of a line. up is the way of the request, dn that of its answer, rtp from the last packet to
// the enabler to the first one back; in is waiting for what comes, out for what goes to be taken.
var columns = [...]column{
	{original: "i:fidx", name: "farm_index", number: func(r *record) int64 { return r.indexes()[0] - 1 }},
	{original: "i:bidx", name: "server_index", number: func(r *record) int64 { return r.indexes()[1] - 1 }},
	{original: "i:sidx", name: "session_index", number: func(r *record) int64 { return r.indexes()[2] - 1 }},
	{original: "i:ridx", name: "request_index", number: func(r *record) int64 { return r.indexes()[3] - 1 }},
	{original: "i:stream", name: "stream", number: func(r *record) int64 { return int64(r.x.id) }},
	{original: "i:status", name: "status", number: func(r *record) int64 { return int64(r.status) }},
	{original: "i:rse", name: "error_number", number: (*record).errorNumber},
	{original: "c:up.pkt", name: "up_packets", number: func(r *record) int64 { return r.x.seen.upPackets }},
	{original: "c:dn.pkt", name: "down_packets", number: func(r *record) int64 { return r.x.seen.downPackets }},
	{original: "b:up.hdr", name: "up_head_bytes", number: func(r *record) int64 { return int64(r.x.seen.upHead) }},
	{original: "b:up.body", name: "up_body_bytes", number: func(r *record) int64 { return r.x.req.came }},
	{original: "b:dn.hdr", name: "down_head_bytes", number: func(r *record) int64 { return int64(r.x.seen.downHead) }},
	{original: "b:dn.body", name: "down_body_bytes", number: func(r *record) int64 { return r.x.resp.went }},
	{original: "b:maxClientBuf", name: "max_client_buffer_bytes", number: func(r *record) int64 { return int64(r.x.seen.held) }},
	{original: "m:total", name: "total_ms", millis: func(r *record) time.Duration { return r.total }},
	{original: "m:assign", name: "assign_ms", millis: func(r *record) time.Duration { return unlessZero(r.x.seen.assigned) }},
	{original: "m:up", name: "up_ms", millis: (*record).up},
	{original: "m:up.in", name: "up_in_ms", millis: func(r *record) time.Duration { return less(r.up(), r.x.seen.stalled) }},
	{original: "m:up.out", name: "up_out_ms", millis: func(r *record) time.Duration { return r.x.seen.stalled }},
	{original: "m:rtp", name: "rtp_ms", millis: (*record).rtp},
	{original: "m:oe.rtp", name: "enabler_rtp_ms", millis: (*record).enablerRTP},
	{original: "m:dn", name: "down_ms", millis: (*record).down},
	{original: "m:dn.in", name: "down_in_ms", millis: func(r *record) time.Duration { return less(r.down(), r.x.seen.slow) }},
	{original: "m:dn.out", name: "down_out_ms", millis: func(r *record) time.Duration { return r.x.seen.slow }},
	{original: "x:flags", name: "flags", number: (*record).flags},
	{original: "method", name: "method", bytes: func(r *record) []byte { return r.method }},
	{original: "path", name: "path", bytes: (*record).pathAlone},
	{original: "farm", name: "farm", text: (*record).farmID},
	{original: "server", name: "server", text: (*record).serverID},
	{original: "affinity", name: "affinity", text: func(r *record) string { return affinityNames[r.affinity] }},
	{original: "ua", name: "user_agent", bytes: func(r *record) []byte { return r.agent }},
	{original: "client", name: "client", bytes: (*record).clientIP},
	{original: "error", name: "error", text: (*record).errorName},
	{original: "passport", name: "passport", bytes: func(r *record) []byte { return r.x.trace.passport.Append(nil) }},
}

// recordHeader names the columns.
func recordHeader() []byte {
	b := []byte("RSR")
	for i := range columns {
		b = append(append(b, ' '), columns[i].original...)
	}
	return b
}

// unlessZero makes a time that was not measured one that is not known.
func unlessZero(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// less takes a part from a time that is known.
func less(whole, part time.Duration) time.Duration {
	if whole < 0 {
		return whole
	}
	return max(0, whole-part)
}

func (r *record) errorNumber() int64 {
	if r.f == nil {
		return 0
	}
	return int64(r.f.number)
}

func (r *record) errorName() string {
	if r.f == nil {
		return ""
	}
	return r.f.name
}

// up is how long the request took to be sent on.
func (r *record) up() time.Duration {
	n := &r.x.seen
	switch {
	case n.assigned == 0:
		return -1
	case n.sent == 0: // it never was, to its end
		return r.total - n.assigned
	}
	return max(0, n.sent-n.assigned)
}

// clientIP is the address of who asked, as a trusted proxy tells it, else of the connection.
func (r *record) clientIP() []byte {
	if r.from.IsValid() {
		return r.from.AppendTo(r.fromText[:0])
	}
	return r.client.ip
}

func (r *record) rtp() time.Duration {
	if r.x.seen.first == 0 {
		return -1
	}
	return r.x.rtp()
}

// enablerRTP is how long the back end took, as its enabler has seen it.
func (r *record) enablerRTP() time.Duration {
	if !r.x.seen.backTimed {
		return -1
	}
	return r.x.seen.backTime
}

// down is how long the answer took.
func (r *record) down() time.Duration {
	if r.x.seen.first == 0 {
		return -1
	}
	return max(0, r.total-r.x.seen.first)
}

// pathAlone is the path without its query, which may hold secrets.
func (r *record) pathAlone() []byte {
	path, _, _ := bytes.Cut(r.path, []byte{'?'})
	return path
}

// flags says more of the request, a bit each.
func (r *record) flags() int64 {
	var all int64
	for i, on := range [...]bool{
		r.x.retried, r.x.resp.upgraded, r.client.https, r.x.req.keepAlive, r.x.req.chunked(), r.x.resp.chunked, !r.x.waits.IsZero(),
	} {
		if on {
			all |= 1 << i
		}
	}
	return all
}

// appendRSR appends the value as the original does; - is one that is not known.
func (c *column) appendRSR(b []byte, r *record) []byte {
	switch {
	case c.number != nil:
		n := c.number(r)
		switch {
		case n < 0:
			return append(b, '-')
		case c.original[0] == 'x':
			return strconv.AppendInt(append(b, "0x"...), n, 16)
		}
		return strconv.AppendInt(b, n, 10)
	case c.millis != nil:
		d := c.millis(r)
		if d < 0 {
			return append(b, '-')
		}
		return appendMillis(b, d)
	case c.text != nil:
		return appendWord(b, c.text(r))
	default:
		return appendWord(b, c.bytes(r))
	}
}

// appendText appends " name=value"; nothing of one that is not known.
func (c *column) appendText(b []byte, r *record) []byte {
	from := len(b)
	b = append(append(append(b, ' '), c.name...), '=')
	value := len(b)
	if b = c.appendRSR(b, r); len(b) == value+1 && b[value] == '-' {
		return b[:from]
	}
	return b
}

// appendJSON appends a member of an object; nothing of a value that is not known.
func (c *column) appendJSON(b []byte, r *record, first bool) ([]byte, bool) {
	from := len(b)
	if !first {
		b = append(b, ',')
	}
	b = append(append(append(b, '"'), c.name...), `":`...)
	switch {
	case c.number != nil:
		if n := c.number(r); n >= 0 {
			return strconv.AppendInt(b, n, 10), false
		}
	case c.millis != nil:
		if d := c.millis(r); d >= 0 {
			return appendMillis(b, d), false
		}
	case c.text != nil:
		if s := c.text(r); s != "" {
			return appendString(b, s), false
		}
	default:
		if s := c.bytes(r); len(s) > 0 {
			return appendString(b, s), false
		}
	}
	return b[:from], first
}

// appendMillis appends a time in milliseconds, with its microseconds as a fraction.
func appendMillis(b []byte, d time.Duration) []byte {
	us := d.Microseconds()
	b = strconv.AppendInt(b, us/1000, 10)
	if us %= 1000; us > 0 {
		b = append(b, '.', byte('0'+us/100), byte('0'+us/10%10), byte('0'+us%10))
	}
	return b
}

// appendWord appends a text as one word: in quotes where it would not be one; an empty one is -.
func appendWord[T string | []byte](b []byte, s T) []byte {
	if len(s) == 0 {
		return append(b, '-')
	}
	plain := len(s) > 1 || s[0] != '-'
	for i := 0; i < len(s) && plain; i++ {
		c := s[i]
		plain = c > ' ' && c < 0x7f && c != '"' && c != '\\'
	}
	if plain {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			b = append(b, c)
		} else {
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(b, '"')
}

const hexDigits = "0123456789ABCDEF"

// appendString appends a JSON string (RFC 8259, 7).
func appendString[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			char, n := utf8.DecodeRune([]byte(s[i:min(i+utf8.UTFMax, len(s))]))
			b = utf8.AppendRune(b, char) // of what is not UTF-8 the replacement character
			i += n
			continue
		}
		i++
	}
	return append(b, '"')
}

// formOf says how records are written to a log of a format, or to a file of their own, which has none.
func formOf(records, format string) (form recordForm, original bool) {
	switch {
	case format == "json":
		return formJSON, false
	case format == "text":
		return formText, false
	case records == "rsr":
		return formRSR, true
	case records == "json":
		return formJSON, format == "rs"
	default:
		return formLine, format == "rs"
	}
}

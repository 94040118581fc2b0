package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// origin tells where a field of a Config was set, and by which name.
type origin struct {
	where
	name string
}

// origins holds them by path: relay.listen, relay.farm[0].id, and relay.farm[0] for the table as a whole.
type origins map[string]origin

// at returns where path was set, else the innermost table that it is missing in. The name is never empty.
func (o origins) at(path string) origin {
	for end := len(path); end > 0; end = strings.LastIndexByte(path[:end], '.') {
		if found, ok := o[path[:end]]; ok {
			return origin{found.where, found.name + path[end:]}
		}
	}
	return origin{name: path}
}

// has tells whether path was set.
func (o origins) has(path string) bool {
	_, found := o[path]
	return found
}

// mentions tells whether anything was said about a table.
func (o origins) mentions(table string) bool {
	for path := range o {
		if rest, ok := strings.CutPrefix(path, table); ok && (rest == "" || rest[0] == '.') {
			return true
		}
	}
	return false
}

// checker looks for mistakes in a Config whose fields have been parsed.
type checker struct {
	*problems
	cfg  *Config
	from origins
}

// Validate returns nil, or an *Error with every mistake. It does not look at the world: no file, no name, no port.
func (c *Config) Validate() error {
	found := new(problems)
	(&checker{problems: found, cfg: c}).check()
	return found.err()
}

func (c *checker) check() {
	c.checkAddresses()
	c.checkPrefixes()
	c.checkDurations()
	c.checkSizes()
	c.checkLog()
	relayChecker{c}.check()
	c.checkEngine()
	routerChecker{c}.check()
	accessChecker{routerChecker{c}}.check()
}

// Findings takes what a look at the world has found. A key is that of what names it, as relay.tls.cert; of an element of a list,
// relay.farm[0].error_pages. It is reported with the place where the key was set.
type Findings struct{ c *checker }

// Fail reports a mistake.
func (f Findings) Fail(key, value string, err error) { f.c.bad(key, value, err.Error()) }

// Warn reports what is hardly meant.
func (f Findings) Warn(key, text string) { f.c.hint(key, "%s", text) }

// bad reports that the value of path is not what it should be.
func (c *checker) bad(path string, value any, want string) {
	at := c.from.at(path)
	c.fail(at.where, "field %q: value %s: %s", at.name, quote("", fmt.Sprint(value)), want)
}

// missing reports that path needs a value.
func (c *checker) missing(path, want string) {
	at := c.from.at(path)
	c.fail(at.where, "field %q: missing: %s", at.name, want)
}

// require reports path unless ok.
func (c *checker) require(ok bool, path string, value any, want string) {
	if !ok {
		c.bad(path, value, want)
	}
}

func (c *checker) checkAddresses() {
	e := &c.cfg.Engine
	if !c.cfg.Relay.Opens() && len(e.Listen)+len(e.ListenUTF8)+len(e.ListenTLS) == 0 && !c.cfg.Router.Opens() {
		c.missing("relay.listen", "no door would open; an address as 127.0.0.1:8080, or one in engine.listen or router.listen")
	}
	seen := map[string]string{}
	once := func(path, addr string) {
		if other, twice := seen[addr]; twice && !strings.HasSuffix(addr, ":0") {
			c.bad(path, addr, "an address that "+other+" does not have already")
		}
		seen[addr] = path
	}
	listen := func(path, addr string) {
		if !isAddress(addr) {
			c.bad(path, addr, "an address as 127.0.0.1:8080 or :8080")
			return
		}
		once(path, addr)
	}
	for _, list := range []struct {
		path  string
		addrs []string
	}{
		{"relay.listen", c.cfg.Relay.Listen},
		{"relay.tls.listen", c.cfg.Relay.TLS.Listen},
		{"engine.listen", e.Listen},
		{"engine.listen_utf8", e.ListenUTF8},
		{"engine.listen_tls", e.ListenTLS},
		{"engine.dial_in.listen", e.DialIn.Listen},
	} {
		for _, addr := range list.addrs {
			listen(list.path, addr)
		}
	}
	if input := e.Statistics.Input; isAddress(input) {
		listen("engine.statistics.input", input)
	}
	if c.cfg.Admin.Listen != "" {
		listen("admin.listen", c.cfg.Admin.Listen)
	}
	checkAdmin(c)
	routerChecker{c}.addresses(once)
	c.checkNetworks("relay.trusted_proxies", c.cfg.Relay.TrustedProxies)
}

func (c *checker) checkNetworks(path string, networks []netip.Prefix) {
	for _, p := range networks {
		c.require(p.IsValid(), path, p, "a network as 192.0.2.0/24")
	}
}

func (c *checker) checkPrefixes() {
	r := &c.cfg.Relay
	for _, list := range []struct {
		path     string
		prefixes []string
	}{{"relay.client_prefixes", r.ClientPrefixes}, {"relay.server_prefixes", r.ServerPrefixes}} {
		if len(list.prefixes) == 0 {
			c.missing(list.path, "at least one path")
		}
		for i, p := range list.prefixes {
			c.require(isPathPrefix(p), list.path, p, "a path that starts with / and does not end with one, of printable ASCII without ? or #")
			c.require(!containsFold(list.prefixes[:i], p), list.path, p, "each path once; case does not matter")
		}
	}
	for _, p := range r.ServerPrefixes {
		c.require(!containsFold(r.ClientPrefixes, p), "relay.server_prefixes", p, "a path that is not also in relay.client_prefixes")
	}
}

func (c *checker) checkDurations() {
	r := &c.cfg.Relay
	for _, d := range []struct {
		path string
		d    time.Duration
		zero bool
	}{
		{"relay.header_timeout", r.HeaderTimeout, false},
		{"relay.idle_timeout", r.IdleTimeout, false},
		{"relay.response_timeout", r.ResponseTimeout, true},
		{"relay.body_grace", r.BodyGrace, true},
		{"relay.heartbeat", r.Heartbeat, false},
		{"relay.status.refresh", r.Status.Refresh, true},
		{"relay.lane.handover_wait", r.Lane.HandoverWait, true},
		{"relay.lane.start_wait", r.Lane.StartWait, true},
		{"handover_timeout", c.cfg.HandoverTimeout, true},
		{"drain_timeout", c.cfg.DrainTimeout, true},
		{"drain_delay", c.cfg.DrainDelay, true},
		{"drain_grace", c.cfg.DrainGrace, true},
	} {
		if d.zero {
			c.require(d.d >= 0, d.path, d.d, "a duration of 0s or more")
		} else {
			c.require(d.d > 0, d.path, d.d, "a duration of more than 0s")
		}
	}
}

func (c *checker) checkSizes() {
	r, l := &c.cfg.Relay, &c.cfg.Limits
	for _, n := range []struct {
		path         string
		n            int64
		least, limit int64
	}{
		{"relay.body_min_rate", int64(r.BodyMinRate), 0, maxSize},
		{"relay.stream_window", int64(r.StreamWindow), 4 << 10, 1 << 30},
		{"relay.request_line", int64(r.RequestLine), 64, 1 << 20},
		{"relay.head", int64(r.Head), int64(r.RequestLine), 16 << 20},
		{"relay.fields", int64(r.Fields), 1, 100_000},
		{"relay.trailer_bytes", int64(r.TrailerBytes), 0, 16 << 20},
		{"relay.max_request_body", r.MaxRequestBody, 0, 1 << 62},
		{"relay.lane.pad_size", int64(r.Lane.PadSize), 0, 1 << 20},
		{"limits.max_requests", int64(l.MaxRequests), 0, 1 << 30},
		{"limits.max_connections", int64(l.MaxConnections), 0, 1 << 30},
		{"limits.memory_bytes", l.MemoryBytes, 0, 1 << 62},
		{"loops", int64(c.cfg.Loops), 0, 1024},
	} {
		c.require(n.least <= n.n && n.n <= n.limit, n.path, n.n, fmt.Sprintf("%d to %d", n.least, n.limit))
	}
}

const maxSize = 4 << 30 // bytes: the largest size that an rs.config may name

func (c *checker) checkLog() {
	l := &c.cfg.Log
	c.require(slices.Contains([]string{"", "error", "warn", "info", "debug"}, l.Level), "log.level", l.Level, "error, warn, info, debug or empty")
	c.require(slices.Contains(logFormats, l.Format), "log.format", l.Format, wordList(logFormats))
	for path, n := range map[string]int{"log.verbosity": l.Verbosity, "log.passport_max_verbosity": l.PassportMaxVerbosity} {
		if n == inherit {
			c.bad(path, "inherit", "0 to 5: there is nothing to inherit it from")
		} else {
			c.require(0 <= n && n <= 5, path, n, "0 to 5")
		}
	}
	c.checkText("relay.description", c.cfg.Relay.Description)
	c.checkPath("relay.access_log", c.cfg.Relay.AccessLog)
	c.checkPath("log.file", l.File)
	c.require(l.MaxSize == 0 || leastLog <= l.MaxSize && l.MaxSize <= 1<<62, "log.max_size", l.MaxSize, "0, or 10k or more")
	c.require(slices.Contains(logRecords, l.Records), "log.records", l.Records, wordList(logRecords))
}

func (c *checker) checkPath(path, file string) {
	c.require(len(file) <= maxPath && !strings.ContainsRune(file, 0), path, file, "a path without a zero byte")
}

const maxPath = 4096 // bytes

var logRecords = []string{"line", "rsr", "json"}

var logFormats = []string{"auto", "text", "json", "rs"}

const leastLog = 10 << 10 // bytes of a log file, before it is put away

const mostJunctions = 1_000_000

func (c *checker) checkID(path, id, what string) {
	if id == "" {
		c.missing(path, what)
		return
	}
	c.require(len(id) <= maxText && isPrintable(id), path, id, fmt.Sprintf("at most %d bytes of printable ASCII", maxText))
}

func (c *checker) checkText(path, text string) {
	c.require(len(text) <= maxText, path, text, fmt.Sprintf("at most %d bytes", maxText))
}

func (c *checker) checkVerbosity(path string, v int) {
	c.require(inherit <= v && v <= 5, path, v, "0 to 5, or inherit")
}

func (c *checker) checkToken(path, token string) {
	if want := judgeToken(token); want != "" {
		c.bad(path, mask, want)
	}
}

// judgeToken returns "" or what would be right.
func judgeToken(token string) string {
	_, right := tokenKey(token)
	switch {
	case token == mask:
		return "the token itself, not the mask of a dump"
	case len(token) > maxText || !isPrintable(token):
		return fmt.Sprintf("at most %d bytes of printable ASCII", maxText)
	case strings.HasPrefix(token, tokenHash):
		return wantUnless(isTokenHash(token[len(tokenHash):]), fmt.Sprintf("%s and a bcrypt hash with a cost of at most %d, as htpasswd -nbB makes it", tokenHash, mostHashCost))
	case token != "" && !right:
		return tokenDigest + " and 64 hexadecimal digits, or a plain token"
	}
	return ""
}

// isAddress tells whether addr is host:port, with a numeric port that may be 0 and a host that may be empty.
func isAddress(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil && (host == "" || isHost(host))
}

// isHost tells whether host is an IP address, without brackets, or may be a name.
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host != "" && len(host) <= 255 && isPrintable(host) && !strings.ContainsAny(host, ` /:@?#[]"'\=,;`)
}

// HostName is the one form of a name or an IP address that are written in several: in lower case, without a dot at the end, addresses in their
// usual form.
func HostName(host string) string {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func isPort(port int) bool { return 0 <= port && port <= 65535 }

func isPathPrefix(p string) bool {
	return len(p) > 1 && p[0] == '/' && p[len(p)-1] != '/' && isPrintable(p) && !strings.ContainsAny(p, " ?#")
}

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(one string) bool { return strings.EqualFold(one, s) })
}

// isPrintable tells whether s is ASCII from the blank to the tilde.
func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

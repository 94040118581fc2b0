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
	c.checkServers()
	c.checkFarms()
	c.checkBackends()
	c.checkEngine()
	routerChecker{c}.check()
	accessChecker{routerChecker{c}}.check()
}

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
	if len(c.cfg.Relay.Listen)+len(e.Listen)+len(e.ListenUTF8)+len(e.ListenTLS) == 0 && !c.cfg.Router.Opens() {
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
	routerChecker{c}.addresses(once)
	for _, p := range c.cfg.Relay.TrustedProxies {
		c.require(p.IsValid(), "relay.trusted_proxies", p, "a network as 192.0.2.0/24")
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
			c.require(!slices.Contains(list.prefixes[:i], p), list.path, p, "each path once")
		}
	}
	for _, p := range r.ServerPrefixes {
		c.require(!slices.Contains(r.ClientPrefixes, p), "relay.server_prefixes", p, "a path that is not also in relay.client_prefixes")
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
		{"drain_timeout", c.cfg.DrainTimeout, true},
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
	c.require(0 <= l.Verbosity && l.Verbosity <= 5, "log.verbosity", l.Verbosity, "0 to 5")
	c.checkText("relay.description", c.cfg.Relay.Description)
	c.require(!strings.ContainsRune(c.cfg.Relay.AccessLog, 0), "relay.access_log", c.cfg.Relay.AccessLog, "a path without a zero byte")
}

var logFormats = []string{"auto", "text", "json", "rs"}

const leastLog = 10 << 10 // bytes of a log file, before it is put away

const mostJunctions = 1_000_000

func (c *checker) checkServers() {
	for i, s := range c.cfg.Relay.Servers {
		path := fmt.Sprintf("relay.server[%d].", i)
		if s.Host == "" {
			c.missing(path+"host", "the name or address that enablers connect to")
		} else {
			c.require(isHost(s.Host), path+"host", s.Host, "a name or an IP address, without scheme and port")
		}
		c.require(isPort(s.HTTPPort), path+"http_port", s.HTTPPort, "0 to 65535")
		c.require(isPort(s.HTTPSPort), path+"https_port", s.HTTPSPort, "0 to 65535")
		c.checkText(path+"description", s.Description)
		if s.HTTPPort == 0 && s.HTTPSPort == 0 {
			at := c.from.at(path + "https_port")
			c.warn(at.where, "field %q: both http_port and https_port are off: no enabler can reach this relay", at.name)
		}
	}
}

func (c *checker) checkFarms() {
	seen := map[string]bool{}
	for i, f := range c.cfg.Relay.Farms {
		path := fmt.Sprintf("relay.farm[%d].", i)
		c.checkID(path+"id", f.ID, "the name of the farm in URLs")
		c.require(f.ID == "" || !seen[f.ID], path+"id", f.ID, "an id that no other farm has")
		seen[f.ID] = true
		c.checkText(path+"description", f.Description)
		c.checkVerbosity(path+"verbosity", f.Verbosity)
		c.require(4<<10 <= f.MaxClientBuffer && f.MaxClientBuffer <= maxSize, path+"max_client_buffer", f.MaxClientBuffer, "4k to 4g")
	}
}

func (c *checker) checkBackends() {
	farms, seen, tokens := map[string]bool{}, map[[2]string]bool{}, map[string]string{}
	for _, f := range c.cfg.Relay.Farms {
		farms[f.ID] = true
	}
	for i, b := range c.cfg.Relay.Backends {
		path := fmt.Sprintf("relay.backend[%d].", i)
		c.checkID(path+"farm", b.Farm, "the id of the farm that it serves")
		c.checkID(path+"id", b.ID, "the name of the back-end server in its farm")
		// auto_config of an rs.config excuses nothing: it has no effect yet, so such a server could not be reached.
		c.require(b.Farm == "" || farms[b.Farm], path+"farm", b.Farm, "the id of a farm that is configured; ids are case-sensitive")
		who := [2]string{b.Farm, b.ID}
		c.require(b.ID == "" || !seen[who], path+"id", b.ID, "an id that no other server of farm "+strconv.Quote(b.Farm)+" has")
		seen[who] = true
		c.checkText(path+"description", b.Description)
		c.checkVerbosity(path+"verbosity", b.Verbosity)
		c.checkToken(path+"token", b.Token)
		if other, reused := tokens[b.Token]; reused {
			at := c.from.at(path + "token")
			c.warn(at.where, "field %q: back-end server %q has the token of %q: give each its own", at.name, b.ID, other)
		}
		if b.Token != "" {
			tokens[b.Token] = b.ID
		}
	}
	if len(c.cfg.Relay.Backends) > 0 && len(tokens) == 0 {
		at := c.from.at("relay.backend[0].token")
		c.warn(at.where, "field %q: no back-end server has a token: whoever reaches a listener can serve its farm", at.name)
	}
}

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
	return host != "" && len(host) <= 255 && isPrintable(host) && !strings.ContainsAny(host, ` /:@?#[]"'\`)
}

func isPort(port int) bool { return 0 <= port && port <= 65535 }

func isPathPrefix(p string) bool {
	return len(p) > 1 && p[0] == '/' && p[len(p)-1] != '/' && isPrintable(p) && !strings.ContainsAny(p, " ?#")
}

// isPrintable tells whether s is ASCII from the blank to the tilde.
func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

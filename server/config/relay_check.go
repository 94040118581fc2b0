package config

import (
	"fmt"
	"slices"
	"strconv"
)

// Opens tells whether the relay door listens anywhere.
func (r *Relay) Opens() bool { return len(r.Listen)+len(r.TLS.Listen) > 0 }

// relayChecker looks for mistakes in what is said about the relay door.
type relayChecker struct{ *checker }

func (c relayChecker) check() {
	c.checkTLS()
	c.checkTrust()
	c.checkServers()
	c.checkFarms()
	c.checkBackends()
}

// checkTLS looks at the listeners that speak TLS.
func (c relayChecker) checkTLS() {
	t := &c.cfg.Relay.TLS
	var given where // the place of a key of the table
	for _, key := range []string{"listen", "cert", "key", "client_ca", "require_client_cert"} {
		if path := "relay.tls." + key; given == (where{}) && c.from.has(path) {
			given = c.from.at(path).where
		}
	}
	missing := func(key, what string) { c.fail(given, "field %q: missing: %s", "relay.tls."+key, what) }
	if t.Cert == "" && (len(t.Listen) > 0 || t.Key != "") {
		missing("cert", "the file of the certificate")
	}
	if t.Key == "" && (len(t.Listen) > 0 || t.Cert != "") {
		missing("key", "the file of the key of the certificate")
	}
	if t.ClientCA == "" && t.RequireClientCert {
		missing("client_ca", "the file of the roots that certificates must lead to")
	}
	c.checkPath("relay.tls.cert", t.Cert)
	c.checkPath("relay.tls.key", t.Key)
	c.checkPath("relay.tls.client_ca", t.ClientCA)
	if len(t.Listen) == 0 && t.Cert+t.Key+t.ClientCA != "" {
		c.warn(given, "field %q: not set: the certificates of relay.tls have no effect", "relay.tls.listen")
	}
}

// hint warns of a field.
func (c *checker) hint(path, format string, args ...any) {
	at := c.from.at(path)
	c.warn(at.where, "field %q: %s", at.name, fmt.Sprintf(format, args...))
}

func (c relayChecker) checkTrust() {
	t := &c.cfg.Relay.Trust
	c.checkNetworks("relay.trust.proxy_protocol", t.ProxyProtocol)
	if want := judgeSecret(t.AffinityKey, false); want != "" {
		c.bad("relay.trust.affinity_key", mask, want)
	} else if n := len(t.AffinityKey); 0 < n && n < leastKey {
		c.hint("relay.trust.affinity_key", "%d bytes: whoever has a session id can guess it; take %d or more", n, leastKey)
	}
	c.checkAffinity()
	if _, want := parseAutoConfig(t.AutoConfig); want != "" {
		c.bad("relay.trust.auto_config", mask, want)
	}
}

const leastKey = 16 // bytes

// checkAffinity looks at what session ids are signed with when there is no key for that.
func (c relayChecker) checkAffinity() {
	r := &c.cfg.Relay
	sessions := slices.ContainsFunc(r.Farms, func(f Farm) bool { return f.ActiveCookie || f.ActiveHeader })
	if r.Trust.AffinityKey != "" || !sessions {
		return
	}
	secrets, many, size := r.Secrets(), 0, 0
	for _, s := range r.Servers {
		if s.Enable {
			many++
		}
	}
	slices.Sort(secrets)
	for _, s := range slices.Compact(secrets) {
		size += len(s)
	}
	switch {
	case len(secrets) == 0 && many > 1:
		c.hint("relay.trust.affinity_key", "not set, and there is no token to make one of: each of the %d relay servers makes its own at random, and no session is known at two of them", many)
	case 0 < size && size < leastKey:
		c.hint("relay.trust.affinity_key", "not set: made of the tokens, which have %d bytes: whoever has a session id can guess them; set it, and take longer tokens", size)
	}
}

func (c relayChecker) checkServers() {
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
			c.hint(path+"https_port", "both http_port and https_port are off: no enabler can reach this relay")
		}
	}
}

func (c relayChecker) checkFarms() {
	seen, hosts := map[string]bool{}, map[string]string{}
	for i := range c.cfg.Relay.Farms {
		f := &c.cfg.Relay.Farms[i]
		path := fmt.Sprintf("relay.farm[%d].", i)
		c.checkID(path+"id", f.ID, "the name of the farm in URLs")
		c.require(f.ID == "" || !seen[f.ID], path+"id", f.ID, "an id that no other farm has")
		seen[f.ID] = true
		c.checkText(path+"description", f.Description)
		c.checkVerbosity(path+"verbosity", f.Verbosity)
		c.require(4<<10 <= f.MaxClientBuffer && f.MaxClientBuffer <= maxSize, path+"max_client_buffer", f.MaxClientBuffer, "4k to 4g")
		c.checkHosts(path+"hosts", f, hosts)
		c.checkSecurity(path, f)
		c.checkForwarding(path, f)
		c.checkBalance(path, f)
		c.checkFarmLimits(path+"limits.", &f.Limits)
		c.checkPath(path+"error_pages", f.ErrorPages)
	}
}

// checkHosts looks at the names that reach a farm by themselves; all has those of the farms before it.
func (c relayChecker) checkHosts(path string, f *Farm, all map[string]string) {
	for _, host := range f.Hosts {
		name := HostName(host)
		other, twice := all[name]
		switch {
		case !isHost(host):
			c.bad(path, host, "names or IP addresses, without scheme and port")
		case twice:
			c.bad(path, host, fmt.Sprintf("a name that farm %q does not have already", other))
		default:
			all[name] = f.ID
		}
	}
}

var (
	clientSecurity  = []string{"", "on", "off", "redirect"}
	backendSecurity = []string{"", "on", "off"}
	x509Fields      = []string{"ssl", "client-cert", "x-client-cert"}
	balances        = []string{"round_robin", "least_conn", "p2c", "hash"}
)

func (c relayChecker) checkSecurity(path string, f *Farm) {
	c.require(slices.Contains(clientSecurity, f.ClientSecurity), path+"client_security", f.ClientSecurity, "on (or yes, true, 1), off (or no, false, 0), redirect, or nothing")
	c.require(slices.Contains(backendSecurity, f.BackendSecurity), path+"backend_security", f.BackendSecurity, "on (or yes, true, 1), off (or no, false, 0), or nothing")
	r := &c.cfg.Relay
	if len(r.TLS.Listen)+len(r.TrustedProxies)+len(r.Trust.ProxyProtocol) > 0 {
		return
	}
	const neither = "HTTPS is demanded of %s, and there is neither a TLS listener nor a trusted proxy"
	if f.ClientSecurity == "on" || f.ClientSecurity == "redirect" {
		c.hint(path+"client_security", neither, "clients")
	}
	if f.BackendSecurity == "on" {
		c.hint(path+"backend_security", neither, "enablers")
	}
}

func (c relayChecker) checkForwarding(path string, f *Farm) {
	patterns := [][2]string{{"forwarder_certificate_subject", f.ForwarderCertificateSubject}, {"forwarder_certificate_issuer", f.ForwarderCertificateIssuer}}
	for i, p := range patterns {
		c.checkText(path+p[0], p[1])
		switch other := patterns[1-i]; {
		case p[1] == "":
		case !f.ForwardX509Identity:
			c.hint(path+p[0], "means nothing without forward_x509_identity = yes")
		case other[1] == "":
			c.hint(path+p[0], "means nothing without %s: both must fit", other[0])
		}
	}
	c.require(slices.Contains(x509Fields, f.X509Fields), path+"x509_fields", f.X509Fields, wordList(x509Fields))
	if f.ForwardX509Identity && c.cfg.Relay.TLS.ClientCA == "" {
		c.hint(path+"forward_x509_identity", "without relay.tls.client_ca (x_client_ca) no client is asked for its certificate")
	}
}

func (c relayChecker) checkBalance(path string, f *Farm) {
	c.require(slices.Contains(balances, f.Balance), path+"balance", f.Balance, wordList(balances))
	c.require(f.QueueTimeout >= 0, path+"queue_timeout", f.QueueTimeout, "a duration of 0s or more")
	c.require(0 <= f.EjectAfter && f.EjectAfter <= 1_000_000, path+"eject_after", f.EjectAfter, "0 to 1000000")
	c.require(f.EjectTime > 0 || f.EjectTime == 0 && f.EjectAfter == 0, path+"eject_time", f.EjectTime, "a duration of more than 0s")
}

func (c relayChecker) checkFarmLimits(path string, l *FarmLimits) {
	for _, n := range []struct {
		path     string
		n, limit int64
	}{
		{"max_rps", int64(l.MaxRPS), 1 << 30},
		{"max_inflight", int64(l.MaxInflight), 1 << 30},
		{"max_bytes_sec", l.MaxBytesSec, 1 << 50},
		{"max_request_body", l.MaxRequestBody, 1 << 62},
	} {
		c.require(0 <= n.n && n.n <= n.limit, path+n.path, n.n, fmt.Sprintf("0 to %d", n.limit))
	}
	c.checkNetworks(path+"allow_ip", l.AllowIP)
	c.checkNetworks(path+"deny_ip", l.DenyIP)
}

func (c relayChecker) checkBackends() {
	farms, seen, tokens := map[string]bool{}, map[[2]string]bool{}, map[string]string{}
	for _, f := range c.cfg.Relay.Farms {
		farms[f.ID] = true
	}
	for i := range c.cfg.Relay.Backends {
		b := &c.cfg.Relay.Backends[i]
		path := fmt.Sprintf("relay.backend[%d].", i)
		c.checkID(path+"farm", b.Farm, "the id of the farm that it serves")
		c.checkID(path+"id", b.ID, "the name of the back-end server in its farm")
		c.require(b.Farm == "" || farms[b.Farm], path+"farm", b.Farm, "the id of a farm that is configured; ids are case-sensitive")
		who := [2]string{b.Farm, b.ID}
		c.require(b.ID == "" || !seen[who], path+"id", b.ID, "an id that no other server of farm "+strconv.Quote(b.Farm)+" has")
		seen[who] = true
		c.checkText(path+"description", b.Description)
		c.checkVerbosity(path+"verbosity", b.Verbosity)
		c.checkTokens(path, b, tokens)
		c.checkBackend(path, b)
	}
	if len(c.cfg.Relay.Backends) > 0 && len(tokens) == 0 {
		c.hint("relay.backend[0].token", "no back-end server has a token: whoever reaches a listener can serve its farm")
	}
}

// checkTokens looks at both tokens of a server; all has those of the servers before it.
func (c relayChecker) checkTokens(path string, b *Backend, all map[string]string) {
	c.checkToken(path+"token", b.Token)
	c.checkToken(path+"second_token", b.SecondToken)
	if b.Token == "" && b.SecondToken != "" {
		c.missing(path+"token", "the token that second_token is another one beside")
	}
	for _, t := range [][2]string{{"token", b.Token}, {"second_token", b.SecondToken}} {
		if other, reused := all[t[1]]; reused && t[1] != "" {
			c.hint(path+t[0], "back-end server %q has the token of %q: give each its own", b.ID, other)
		}
	}
	for _, token := range []string{b.Token, b.SecondToken} {
		if token != "" {
			all[token] = b.ID
		}
	}
}

func (c relayChecker) checkBackend(path string, b *Backend) {
	for _, mac := range b.MAC {
		c.require(isMAC(mac), path+"mac", mac, "six pairs of hexadecimal digits, as 01-23-45-67-89-ab")
	}
	c.checkText(path+"certificate_subject", b.CertificateSubject)
	if b.CertificateSubject != "" && c.cfg.Relay.TLS.ClientCA == "" {
		c.hint(path+"certificate_subject", "without relay.tls.client_ca (x_client_ca) no enabler is asked for its certificate, and this one cannot come in")
	}
	c.require(0 <= b.Priority && b.Priority <= 100, path+"priority", b.Priority, "0 to 100")
	c.require(1 <= b.MaxJunction && b.MaxJunction <= mostJunctions, path+"max_junction", b.MaxJunction, fmt.Sprintf("1 to %d", mostJunctions))
	c.require(b.MaxJunctionIdle >= 0, path+"max_junction_idle", b.MaxJunctionIdle, "a duration of 0s or more")
}

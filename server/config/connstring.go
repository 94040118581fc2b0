package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TLS is what both connection strings say about encryption.
type TLS struct {
	// Whether to speak HTTPS.
	HTTPS bool
	// PEM file of the root certificates to trust; empty: those of the system.
	TrustedCertificates string
	// Name that the certificate of the other side must carry, as a name it is for or as the common name of its subject; empty: the host
	// connected to.
	CertificateName string
	// Organization and organizational unit that the subject of that certificate must have; empty: any.
	CertificateCompany, CertificateUnit string
	// Whether the name in the certificate is not looked at.
	SkipNameCheck bool
	// PEM file of the own certificate and key, and the password of the key; empty: none.
	Identity, IdentityPassword string
}

// BackendAddr is where the back-end server listens: -cs.
type BackendAddr struct {
	TLS
	Host string // a name, or an IP address without brackets
	Port int    // 1 to 65535
	// Path of a Unix socket that takes the place of host and port; empty: none.
	Unix string
	// Path that is fetched to see whether the back end is up; empty: a connection is enough.
	StatusURL string
	// Whether Host of the client's request is replaced by host and port of the back end: host_header=back-end.
	OwnHost bool
	// Version of the PROXY header that each connection begins with: 0 (none), 1 or 2.
	ProxyProtocol int
	// Most connections; 0: no limit.
	MaxConns int
	// How long an idle connection is kept; 0: what the relay says (max_junction_idle_sec), else 30 s.
	KeepAlive time.Duration
	// How long connecting may take; 0: 10 s.
	ConnectTimeout time.Duration
	// From the end of a request until the head of its answer; 0: no limit but the relay's.
	ResponseTimeout time.Duration
}

// RelayAddr is where a relay server listens: -cr.
type RelayAddr struct {
	TLS
	Host string // a name, or an IP address without brackets
	Port int    // 1 to 65535
	// Path of the relay's server side: a slash in front and none at its end.
	URLSuffix string
	// Basic authentication at the web server before the relay; empty: none.
	HTTPUser, HTTPPassword string
	// HTTP proxy on the way: CONNECT for HTTPS, absolute-form requests for HTTP. Port 0: none.
	ProxyHost string
	ProxyPort int
	// Basic authentication at the proxy; empty: none.
	ProxyUser, ProxyPassword string
}

// DefaultURLSuffix is where a relay expects its enablers.
const DefaultURLSuffix = "/srv/iarelayserver"

// String returns the address as a connection string.
func (a RelayAddr) String() string {
	return connString(a.TLS, a.Host, a.Port) + ";url_suffix=" + quoteParam(a.URLSuffix)
}

// String returns the address as a connection string.
func (a BackendAddr) String() string { return connString(a.TLS, a.Host, a.Port) }

func connString(t TLS, host string, port int) string {
	s := fmt.Sprintf("host=%s;port=%d", quoteParam(host), port)
	if t.HTTPS {
		s += ";https=1"
	}
	if t.TrustedCertificates != "" {
		s += ";trusted_certificates=" + quoteParam(t.TrustedCertificates)
	}
	if t.CertificateName != "" {
		s += ";certificate_name=" + quoteParam(t.CertificateName)
	}
	return s
}

// quoteParam puts quotes around a value that needs them. No value that a string can express holds both kinds and needs them.
func quoteParam(v string) string {
	quote := `"`
	switch {
	case v != "" && !strings.Contains(v, ";") && strings.Trim(v, " \t") == v && v[0] != '"' && v[0] != '\'':
		return v
	case strings.Contains(v, `"`):
		quote = `'`
	}
	return quote + v + quote
}

// connection is a connection string as it was read.
type connection struct {
	TLS
	host, urlSuffix      string
	port                 int // 0: not given
	proxyHost, proxyPort bool
}

// connParam is one name of a connection string.
type connParam struct {
	later  bool   // it has no effect yet
	secret bool   // its value is not shown
	want   string // what would be right
	set    func(c *connection, v string) bool
}

var (
	commonParams = map[string]connParam{
		"host":                 {want: "a name or an IP address, without scheme and port", set: setHost},
		"port":                 {want: "1 to 65535", set: setPort},
		"https":                {want: "0 or 1", set: setHTTPS},
		"trusted_certificates": {want: "a PEM file", set: func(c *connection, v string) bool { c.TrustedCertificates = v; return isValue(v) }},
		"certificate_name":     {want: "a name", set: func(c *connection, v string) bool { c.CertificateName = v; return isValue(v) }},
		"certificate_company":  {later: true, want: "a name", set: isText},
		"certificate_unit":     {later: true, want: "a name", set: isText},
		"tls_type":             {later: true, want: "RSA or ECC", set: isOneOf("rsa", "ecc")},
		"identity":             {later: true, want: "a file", set: isText},
		"identity_password":    {later: true, secret: true, want: "a text", set: isText},
	}
	relayParams = extend(commonParams, map[string]connParam{
		"url_suffix":                  {want: "a path that starts with /, as " + DefaultURLSuffix, set: setURLSuffix},
		"http_userid":                 {later: true, want: "a text", set: isText},
		"http_password":               {later: true, secret: true, want: "a text", set: isText},
		"http_proxy_userid":           {later: true, want: "a text", set: isText},
		"http_proxy_password":         {later: true, secret: true, want: "a text", set: isText},
		"proxy_host":                  {later: true, want: "a name or an IP address", set: func(c *connection, v string) bool { c.proxyHost = true; return isHost(v) }},
		"proxy_port":                  {later: true, want: "1 to 65535", set: func(c *connection, v string) bool { c.proxyPort = true; return isPortText(v) }},
		"fips":                        {later: true, want: "yes or no", set: isYesNo},
		"skip_certificate_name_check": {later: true, want: "yes or no", set: isYesNo},
	})
	backendParams = extend(commonParams, map[string]connParam{
		"status_url":       {later: true, want: "a path that starts with /", set: func(_ *connection, v string) bool { return isValue(v) && v[0] == '/' }},
		"unix":             {later: true, want: "a path", set: isText},
		"h2c":              {later: true, want: "0 or 1", set: isYesNo},
		"host_header":      {later: true, want: "preserve or back-end", set: isOneOf("preserve", "back-end")},
		"max_conns":        {later: true, want: "a whole number", set: isWholeNumber},
		"keepalive":        {later: true, want: "seconds", set: isWholeNumber},
		"connect_timeout":  {later: true, want: "seconds", set: isWholeNumber},
		"response_timeout": {later: true, want: "seconds", set: isWholeNumber},
	})
)

func extend(common, more map[string]connParam) map[string]connParam {
	all := maps.Clone(common)
	maps.Copy(all, more)
	return all
}

// connection reads the value of -cr or -cs:
//
//	string = pair *( ";" pair ) [ ";" ]     empty pairs are skipped, blanks around a pair, a name or a value are dropped
//	pair   = name "=" value                 names are case-insensitive, and each stands once
//	value  = "'" *any "'" | DQUOTE *any DQUOTE | *any       the last without a semicolon
func (p *enablerParser) connection(o word, s string, params map[string]connParam) (c connection, ok bool) {
	before := len(p.errors)
	fail := func(format string, args ...any) {
		p.fail(o.at, "option %q: %s", o.text, fmt.Sprintf(format, args...))
	}
	c.host, c.urlSuffix = "localhost", DefaultURLSuffix
	seen := map[string]bool{}
	for n := 1; strings.Trim(s, " \t;") != ""; n++ {
		pair, rest, err := cutPair(s)
		if s = rest; err != "" {
			fail("pair %d: %s", n, err) // not shown: it may be what is left of a password
			continue
		}
		param, known := params[pair.name]
		switch {
		case !known:
			fail("%q: unknown; there are %s", pair.name, strings.Join(slices.Sorted(maps.Keys(params)), ", "))
		case seen[pair.name]:
			fail("%q: given twice", pair.name)
		case !param.set(&c, pair.value):
			shown := quote("", pair.value)
			if param.secret {
				shown = mask
			}
			fail("%q: value %s: %s", pair.name, shown, param.want)
		case param.later:
			p.warn(o.at, "option %q: %q: has no effect yet", o.text, pair.name)
		}
		seen[pair.name] = true
	}
	if c.proxyHost != c.proxyPort {
		fail("%q and %q: one without the other", "proxy_host", "proxy_port")
	}
	if !c.HTTPS && (c.TrustedCertificates != "" || c.CertificateName != "") {
		p.warn(o.at, "option %q: certificates mean nothing without https=1", o.text)
	}
	if c.port == 0 {
		c.port = 80
		if c.HTTPS {
			c.port = 443
		}
	}
	return c, len(p.errors) == before
}

type connPair struct{ name, value string }

// cutPair takes the first pair off a connection string. err is "" or says what is wrong with it.
func cutPair(s string) (pair connPair, rest, err string) {
	s = strings.TrimLeft(s, " \t;")
	end := strings.IndexByte(s, ';')
	if end < 0 {
		end = len(s)
	}
	equals := strings.IndexByte(s[:end], '=')
	if equals < 0 {
		return pair, s[end:], "no = in it: write name=value, and quotes around a value with a semicolon"
	}
	pair.name = strings.ToLower(strings.TrimRight(s[:equals], " \t"))
	if !isName(pair.name) {
		return pair, s[end:], "a name is letters, digits and _"
	}
	value := strings.TrimLeft(s[equals+1:], " \t")
	if value == "" || value[0] != '\'' && value[0] != '"' {
		pair.value = strings.Trim(s[equals+1:end], " \t")
		return pair, s[end:], ""
	}
	close := strings.IndexByte(value[1:], value[0])
	if close < 0 {
		return pair, "", strconv.Quote(pair.name) + ": a quote without its partner"
	}
	pair.value, rest = value[1:1+close], strings.TrimLeft(value[close+2:], " \t")
	if rest != "" && rest[0] != ';' {
		_, rest, _ = strings.Cut(rest, ";")
		return pair, rest, strconv.Quote(pair.name) + ": text after the closing quote"
	}
	return pair, rest, ""
}

func setHost(c *connection, v string) bool {
	if strings.HasPrefix(v, "[") && strings.HasSuffix(v, "]") && strings.Contains(v, ":") {
		v = v[1 : len(v)-1]
	}
	c.host = v
	return isHost(v)
}

func setPort(c *connection, v string) bool {
	n, err := strconv.ParseUint(v, 10, 16)
	c.port = int(n)
	return err == nil && n > 0
}

func setHTTPS(c *connection, v string) (ok bool) {
	c.HTTPS, ok = parseBool(v)
	return ok
}

func setURLSuffix(c *connection, v string) bool {
	c.urlSuffix = strings.TrimRight(v, "/")
	return isPathPrefix(c.urlSuffix)
}

// isValue tells whether v is a text of one line that is not empty.
func isValue(v string) bool {
	return v != "" && !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func isText(_ *connection, v string) bool        { return isValue(v) }
func isPortText(v string) bool                   { n, err := strconv.ParseUint(v, 10, 16); return err == nil && n > 0 }
func isYesNo(_ *connection, v string) bool       { _, ok := parseBool(v); return ok }
func isWholeNumber(_ *connection, v string) bool { return judgeCount(v) == "" }

func isOneOf(words ...string) func(*connection, string) bool {
	return func(_ *connection, v string) bool { return slices.Contains(words, strings.ToLower(v)) }
}

package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// connection is a connection string as it was read. TLS, host and port are those of whichever address it becomes.
type connection struct {
	TLS
	host    string
	port    int // 0: not given
	relay   RelayAddr
	backend BackendAddr
	idle    []string // parameters that are accepted and change nothing
}

// connParam is one name of a connection string.
type connParam struct {
	secret bool   // its value is not shown
	want   string // what would be right
	set    func(c *connection, v string) bool
}

const (
	wantYesNo   = "yes, no, on, off, true, false, 1 or 0"
	wantSeconds = "0 to 86400 seconds"
	mostSeconds = 86400
	mostConns   = 1_000_000
)

var (
	commonParams = map[string]connParam{
		"host":                        {want: "a name or an IP address, without scheme and port", set: setHost},
		"port":                        {want: "1 to 65535", set: setPort(func(c *connection) *int { return &c.port })},
		"https":                       {want: "0 or 1", set: setYesNo(func(c *connection) *bool { return &c.HTTPS })},
		"trusted_certificates":        {want: "a PEM file", set: setText(func(c *connection) *string { return &c.TrustedCertificates })},
		"certificate_name":            {want: "a name", set: setText(func(c *connection) *string { return &c.CertificateName })},
		"certificate_company":         {want: "a name", set: setText(func(c *connection) *string { return &c.CertificateCompany })},
		"certificate_unit":            {want: "a name", set: setText(func(c *connection) *string { return &c.CertificateUnit })},
		"skip_certificate_name_check": {want: wantYesNo, set: setYesNo(func(c *connection) *bool { return &c.SkipNameCheck })},
		"identity":                    {want: "a PEM file", set: setText(func(c *connection) *string { return &c.Identity })},
		"identity_password":           {secret: true, want: "a text", set: setText(func(c *connection) *string { return &c.IdentityPassword })},
		"tls_type":                    {want: "RSA or ECC", set: isOneOf("rsa", "ecc")}, // whatever the other side has is taken
		"fips":                        {want: wantYesNo, set: setFIPS},
	}
	relayParams = extend(commonParams, map[string]connParam{
		"url_suffix":          {want: "a path that starts with /, as " + DefaultURLSuffix, set: setURLSuffix},
		"http_userid":         {want: "a name without a colon", set: setUser(func(c *connection) *string { return &c.relay.HTTPUser })},
		"http_password":       {secret: true, want: "a text", set: setText(func(c *connection) *string { return &c.relay.HTTPPassword })},
		"http_proxy_userid":   {want: "a name without a colon", set: setUser(func(c *connection) *string { return &c.relay.ProxyUser })},
		"http_proxy_password": {secret: true, want: "a text", set: setText(func(c *connection) *string { return &c.relay.ProxyPassword })},
		"via_balancer":        {want: wantYesNo, set: setYesNo(func(c *connection) *bool { return &c.relay.ViaBalancer })},
		"proxy_host":          {want: "a name or an IP address, without scheme and port", set: setProxyHost},
		"proxy_port":          {want: "1 to 65535", set: setPort(func(c *connection) *int { return &c.relay.ProxyPort })},
	})
	backendParams = extend(commonParams, map[string]connParam{
		"unix":             {want: "the path of a socket", set: setText(func(c *connection) *string { return &c.backend.Unix })},
		"status_url":       {want: "a path that starts with /, of printable ASCII without blanks", set: setStatusURL},
		"host_header":      {want: "preserve or back-end", set: setHostHeader},
		"proxy_protocol":   {want: "0, 1 or 2", set: setCount(2, func(c *connection) *int { return &c.backend.ProxyProtocol })},
		"max_conns":        {want: "0 to 1000000", set: setCount(mostConns, func(c *connection) *int { return &c.backend.MaxConns })},
		"keepalive":        {want: wantSeconds, set: setSeconds(func(c *connection) *time.Duration { return &c.backend.KeepAlive })},
		"connect_timeout":  {want: wantSeconds, set: setSeconds(func(c *connection) *time.Duration { return &c.backend.ConnectTimeout })},
		"response_timeout": {want: wantSeconds, set: setSeconds(func(c *connection) *time.Duration { return &c.backend.ResponseTimeout })},
		"h2c":              {want: "0: back-end servers are spoken to in HTTP/1.1, never in HTTP/2", set: isOneOf("0", "no", "off", "false")},
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
	c.host, c.relay.URLSuffix = "localhost", DefaultURLSuffix
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
		case !param.set(&c, pair.value) || param.secret && pair.value == mask:
			shown := quote("", pair.value)
			if param.secret {
				shown = mask
			}
			fail("%q: value %s: %s", pair.name, shown, param.want)
		}
		seen[pair.name] = true
	}
	for _, need := range [][2]string{
		{"proxy_host", "proxy_port"}, {"proxy_port", "proxy_host"}, {"http_password", "http_userid"}, {"http_proxy_password", "http_proxy_userid"},
		{"http_proxy_userid", "proxy_host"}, {"identity_password", "identity"},
	} {
		if seen[need[0]] && !seen[need[1]] {
			fail("%q: not without %q", need[0], need[1])
		}
	}
	p.hintConnection(o, &c)
	if c.port == 0 {
		c.port = 80
		if c.HTTPS {
			c.port = 443
		}
	}
	return c, len(p.errors) == before
}

// hintConnection warns of what is accepted and hardly meant.
func (p *enablerParser) hintConnection(o word, c *connection) {
	if without := c.TLS; !c.HTTPS && without != (TLS{}) {
		p.warn(o.at, "option %q: certificates mean nothing without https=1", o.text)
	}
	for _, name := range c.idle {
		p.warn(o.at, "option %q: %q: has no effect: the cryptography of this program is what it is", o.text, name)
	}
	if c.SkipNameCheck && c.CertificateName != "" {
		p.warn(o.at, "option %q: certificate_name means nothing with skip_certificate_name_check", o.text)
	}
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
	switch {
	case isName(pair.name):
	case pair.name != "" && (pair.name[0] == '\'' || pair.name[0] == '"'):
		return pair, "", "a quote before a name: quotes go around a value, and double quotes around the whole string"
	default:
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
	c.host = unbracket(v)
	return isHost(c.host)
}

func setProxyHost(c *connection, v string) bool {
	c.relay.ProxyHost = unbracket(v)
	return isHost(c.relay.ProxyHost)
}

// unbracket takes the brackets off an IPv6 address.
func unbracket(host string) string {
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") && strings.Contains(host, ":") {
		return host[1 : len(host)-1]
	}
	return host
}

func setPort(field func(*connection) *int) func(*connection, string) bool {
	return func(c *connection, v string) bool {
		n, err := strconv.ParseUint(v, 10, 16)
		*field(c) = int(n)
		return err == nil && n > 0
	}
}

func setYesNo(field func(*connection) *bool) func(*connection, string) bool {
	return func(c *connection, v string) (ok bool) {
		*field(c), ok = parseBool(v)
		return ok
	}
}

func setText(field func(*connection) *string) func(*connection, string) bool {
	return func(c *connection, v string) bool {
		*field(c) = v
		return isValue(v)
	}
}

// setUser takes a name for basic authentication. RFC 7617, 2: no colon.
func setUser(field func(*connection) *string) func(*connection, string) bool {
	return func(c *connection, v string) bool {
		*field(c) = v
		return isValue(v) && !strings.Contains(v, ":")
	}
}

func setCount(most uint64, field func(*connection) *int) func(*connection, string) bool {
	return func(c *connection, v string) bool {
		n, err := strconv.ParseUint(v, 10, 32)
		*field(c) = int(n)
		return err == nil && n <= most
	}
}

func setSeconds(field func(*connection) *time.Duration) func(*connection, string) bool {
	return func(c *connection, v string) bool {
		n, err := strconv.ParseUint(v, 10, 32)
		*field(c) = time.Duration(n) * time.Second
		return err == nil && n <= mostSeconds
	}
}

func setURLSuffix(c *connection, v string) bool {
	c.relay.URLSuffix = strings.TrimRight(v, "/")
	return isPathPrefix(c.relay.URLSuffix)
}

func setStatusURL(c *connection, v string) bool {
	c.backend.StatusURL = v
	return strings.HasPrefix(v, "/") && isPrintable(v) && !strings.ContainsAny(v, " #") && len(v) <= maxText
}

func setHostHeader(c *connection, v string) bool {
	c.backend.OwnHost = strings.EqualFold(v, "back-end")
	return c.backend.OwnHost || strings.EqualFold(v, "preserve")
}

func setFIPS(c *connection, v string) bool {
	yes, ok := parseBool(v)
	if yes {
		c.idle = append(c.idle, "fips")
	}
	return ok
}

// isValue tells whether v is a text of one line that is not empty.
func isValue(v string) bool {
	return v != "" && len(v) <= mostValue && !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f })
}

const mostValue = 4096 // bytes of a value of a connection string: as long as a path may be

func isOneOf(words ...string) func(*connection, string) bool {
	return func(_ *connection, v string) bool { return slices.Contains(words, strings.ToLower(v)) }
}

package config

import (
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
	// Whether lanes to all relay servers of the list go to Host and Port, too, where a load balancer passes them on by Ias-Rs-Peer.
	ViaBalancer bool
}

// DefaultURLSuffix is where a relay expects its enablers.
const DefaultURLSuffix = "/srv/iarelayserver"

// String returns the address as a connection string for people: passwords are masked.
func (a RelayAddr) String() string { return a.write(mask) }

// ConnString returns the address as a connection string, passwords included, which ParseEnabler reads as a again.
func (a RelayAddr) ConnString() string { return a.write("") }

// String returns the address as a connection string for people: passwords are masked.
func (a BackendAddr) String() string { return a.write(mask) }

// ConnString returns the address as a connection string, passwords included, which ParseEnabler reads as a again.
func (a BackendAddr) ConnString() string { return a.write("") }

func (a RelayAddr) write(instead string) string {
	w := connWriter{instead: instead}
	w.common(a.TLS, a.Host, a.Port)
	w.text("url_suffix", a.URLSuffix)
	w.text("http_userid", a.HTTPUser)
	w.secret("http_password", a.HTTPPassword)
	w.text("proxy_host", a.ProxyHost)
	w.number("proxy_port", a.ProxyPort)
	w.text("http_proxy_userid", a.ProxyUser)
	w.secret("http_proxy_password", a.ProxyPassword)
	w.yes("via_balancer", a.ViaBalancer)
	return w.String()
}

func (a BackendAddr) write(instead string) string {
	w := connWriter{instead: instead}
	w.common(a.TLS, a.Host, a.Port)
	w.text("unix", a.Unix)
	w.text("status_url", a.StatusURL)
	if a.OwnHost {
		w.text("host_header", "back-end")
	}
	w.number("proxy_protocol", a.ProxyProtocol)
	w.number("max_conns", a.MaxConns)
	w.number("keepalive", int(a.KeepAlive/time.Second))
	w.number("connect_timeout", int(a.ConnectTimeout/time.Second))
	w.number("response_timeout", int(a.ResponseTimeout/time.Second))
	return w.String()
}

// connWriter writes a connection string.
type connWriter struct {
	strings.Builder
	instead string // of passwords; empty: they are written as they are
}

func (w *connWriter) common(t TLS, host string, port int) {
	w.text("host", host)
	w.number("port", port)
	w.yes("https", t.HTTPS)
	w.text("trusted_certificates", t.TrustedCertificates)
	w.text("certificate_name", t.CertificateName)
	w.text("certificate_company", t.CertificateCompany)
	w.text("certificate_unit", t.CertificateUnit)
	w.yes("skip_certificate_name_check", t.SkipNameCheck)
	w.text("identity", t.Identity)
	w.secret("identity_password", t.IdentityPassword)
}

// text writes a pair, unless value is empty, which is how nothing is said.
func (w *connWriter) text(name, value string) {
	if value == "" {
		return
	}
	if w.Len() > 0 {
		w.WriteByte(';')
	}
	w.WriteString(name + "=" + quoteParam(value))
}

func (w *connWriter) secret(name, value string) {
	if value != "" && w.instead != "" {
		value = w.instead
	}
	w.text(name, value)
}

func (w *connWriter) number(name string, n int) {
	if n != 0 {
		w.text(name, strconv.Itoa(n))
	}
}

func (w *connWriter) yes(name string, is bool) {
	if is {
		w.text(name, "1")
	}
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

package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"roundhouse/server/config"
)

// trust makes the TLS configurations of one connection string: whom to believe, and who we are. Its files are read again when
// they have changed. Any goroutine may use it, but no loop: it reads files.
type trust struct {
	// Fixed at start.
	conf config.TLS
	log  *slog.Logger

	mu     sync.Mutex // guards all below
	stamps [2]stamp   // of the files when they were read
	files  files
}

// files is what was read.
type files struct {
	roots *x509.CertPool    // nil: those of the system
	own   []tls.Certificate // at most one
}

// stamp tells whether a file is still the one that was read.
type stamp struct {
	when  time.Time
	size  int64
	isOdd bool // it cannot be looked at
}

func stampOf(path string) stamp {
	if path == "" {
		return stamp{}
	}
	info, err := os.Stat(path)
	if err != nil {
		return stamp{isOdd: true}
	}
	return stamp{when: info.ModTime(), size: info.Size()}
}

// newTrust reads the files of a connection string, -cr or -cs; nil for plain HTTP.
func newTrust(option string, conf config.TLS, log *slog.Logger) (*trust, error) {
	if !conf.HTTPS {
		return nil, nil
	}
	t := &trust{conf: conf, log: log, stamps: [2]stamp{stampOf(conf.TrustedCertificates), stampOf(conf.Identity)}}
	var err error
	if t.files, err = t.read(); err != nil {
		return nil, fmt.Errorf("outbound: option %q: %w", option, err)
	}
	return t, nil
}

// CheckFiles reads the files that the connection strings name, and says what is wrong with the first that is not right.
func CheckFiles(cfg *config.Enabler) error {
	_, err := newTrust("-cs", cfg.Backend.TLS, nil)
	for i := range cfg.Relays {
		if err == nil {
			_, err = newTrust("-cr", cfg.Relays[i].TLS, nil)
		}
	}
	return err
}

// refresh reads the files again if they have changed, and tells whether there is something new. What cannot be read is not taken:
// it may be half written.
func (t *trust) refresh() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := [2]stamp{stampOf(t.conf.TrustedCertificates), stampOf(t.conf.Identity)}
	if now == t.stamps {
		return false
	}
	t.stamps = now
	f, err := t.read()
	if err != nil {
		t.log.Error("certificates have changed and cannot be read: the old ones stay", "error", err)
		return false
	}
	t.files = f
	t.log.Info("certificates are read again", "trusted_certificates", t.conf.TrustedCertificates, "identity", t.conf.Identity)
	return true
}

func (t *trust) read() (f files, err error) {
	if path := t.conf.TrustedCertificates; path != "" {
		text, err := readPEM(path)
		if err != nil {
			return f, fmt.Errorf("trusted_certificates: %w", err)
		}
		f.roots = x509.NewCertPool()
		if !f.roots.AppendCertsFromPEM(text) {
			return f, fmt.Errorf("trusted_certificates: %s: it holds no certificate in PEM form%s", path, hintDER(text))
		}
	}
	if path := t.conf.Identity; path != "" {
		text, err := readPEM(path)
		if err != nil {
			return f, fmt.Errorf("identity: %w", err)
		}
		own, err := parseIdentity(text, t.conf.IdentityPassword)
		if err != nil {
			return f, fmt.Errorf("identity: %s: %w", path, err)
		}
		f.own = []tls.Certificate{own}
	}
	return f, nil
}

// readPEM reads a file of certificates.
func readPEM(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, syscall.EISDIR) {
		return nil, fmt.Errorf("%s: a directory; one PEM file is needed, which may hold several certificates", path)
	}
	return text, err
}

// hintDER says how a file in binary form becomes one in PEM form.
func hintDER(text []byte) string {
	if len(text) > 0 && text[0] == 0x30 { // a SEQUENCE of ASN.1, which certificates and PKCS #12 files are
		return ": it is in binary form (openssl x509 -inform der -in OLD -out NEW, or of a .p12 or .pfx openssl pkcs12 -in OLD -out NEW)"
	}
	return ""
}

// parseIdentity reads a certificate, those that lead to its root, and the key, in any order.
func parseIdentity(text []byte, password string) (tls.Certificate, error) {
	hint := hintDER(text)
	var certs, key []byte
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			break
		}
		switch {
		case b.Type == "CERTIFICATE":
			certs = append(certs, pem.EncodeToMemory(b)...)
		case strings.HasSuffix(b.Type, "PRIVATE KEY") && key == nil:
			plain, err := decrypt(b, password)
			if err != nil {
				return tls.Certificate{}, err
			}
			key = pem.EncodeToMemory(plain)
		}
	}
	switch {
	case certs == nil:
		return tls.Certificate{}, errors.New("it holds no certificate in PEM form" + hint)
	case key == nil:
		return tls.Certificate{}, errors.New("it holds no private key in PEM form: append the key to the certificate")
	}
	return tls.X509KeyPair(certs, key)
}

// decrypt returns the key of a block without its password.
func decrypt(b *pem.Block, password string) (*pem.Block, error) {
	switch {
	case b.Type == "ENCRYPTED PRIVATE KEY":
		return decryptPKCS8(b, password)
	//lint:ignore SA1019 keys of this form are what the files of the old product hold
	case !x509.IsEncryptedPEMBlock(b):
		return b, nil
	case password == "":
		return nil, errNoPassword
	}
	//lint:ignore SA1019 as above
	der, err := x509.DecryptPEMBlock(b, []byte(password))
	if err != nil {
		return nil, fmt.Errorf("identity_password: %w", err)
	}
	return &pem.Block{Type: b.Type, Bytes: der}, nil
}

var errNoPassword = errors.New("the key is encrypted: identity_password is missing")

// config returns the TLS configuration for a connection to host, with what the files hold now.
func (t *trust) config(host string) *tls.Config {
	t.refresh()
	t.mu.Lock()
	f := t.files
	t.mu.Unlock()
	name := host
	if net.ParseIP(host) != nil && isDNSName(t.conf.CertificateName) {
		name = t.conf.CertificateName // an address cannot say which of several servers is meant
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: name, Certificates: f.own,
		DynamicRecordSizingDisabled: true, // a lane carries large bodies
		// crypto/tls knows names only: what it would check, and the rest, verify does.
		InsecureSkipVerify: true,
		VerifyConnection:   func(s tls.ConnectionState) error { return t.verify(s.PeerCertificates, host, f.roots) },
	}
}

func isDNSName(s string) bool {
	return strings.Contains(s, ".") && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '.' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// certError says why the certificate of the other side is not accepted.
type certError struct {
	field string // of the connection string
	text  string
	err   error // may be nil
}

func (e *certError) Error() string {
	s := "outbound: " + e.field + ": " + e.text
	if e.err != nil {
		s += ": " + e.err.Error()
	}
	return s
}

func (e *certError) Unwrap() error { return e.err }

func (e *certError) advice() string {
	switch e.field {
	case fieldTrusted:
		return "name the PEM file with the root certificate of that issuer as trusted_certificates"
	case fieldHost:
		return "connect by one of these names, or give it as certificate_name"
	}
	return "the certificate is another's, or " + e.field + " is to be changed"
}

const (
	fieldTrusted = "trusted_certificates"
	fieldHost    = "host"
)

// verify checks the certificates of the other side, leaf first.
func (t *trust) verify(chain []*x509.Certificate, host string, roots *x509.CertPool) error {
	if len(chain) == 0 {
		return &certError{field: fieldTrusted, text: "the other side has no certificate"}
	}
	leaf := chain[0]
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between}); err != nil {
		return &certError{field: fieldTrusted, text: fmt.Sprintf("the certificate of %s is for %q, issued by %q", host, leaf.Subject, leaf.Issuer), err: err}
	}
	if err := t.verifyName(leaf, host); err != nil {
		return err
	}
	for _, f := range []struct {
		name, want string
		has        []string
	}{
		{"certificate_company", t.conf.CertificateCompany, leaf.Subject.Organization},
		{"certificate_unit", t.conf.CertificateUnit, leaf.Subject.OrganizationalUnit},
	} {
		if f.want != "" && !slices.Contains(f.has, f.want) {
			return &certError{field: f.name, text: fmt.Sprintf("the certificate of %s has %s, not %q", host, list(f.has), f.want)}
		}
	}
	return nil
}

// verifyName checks whom the certificate is for.
func (t *trust) verifyName(leaf *x509.Certificate, host string) error {
	want, field := t.conf.CertificateName, "certificate_name"
	switch {
	case t.conf.SkipNameCheck:
		return nil
	case want == "":
		want, field = host, fieldHost
	case strings.EqualFold(leaf.Subject.CommonName, want):
		return nil
	}
	if leaf.VerifyHostname(want) == nil {
		return nil
	}
	return &certError{field: field, text: fmt.Sprintf("the certificate of %s is for %s, not %q", host, list(namesOf(leaf)), want)}
}

// namesOf are the names that a certificate is for.
func namesOf(c *x509.Certificate) []string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if cn := c.Subject.CommonName; cn != "" && !slices.Contains(names, cn) {
		names = append(names, pkix.Name{CommonName: cn}.String())
	}
	return names
}

// list shows what a certificate has; the first few will do.
func list(texts []string) string {
	const most = 8
	if len(texts) == 0 {
		return "none"
	}
	more := ""
	if len(texts) > most {
		texts, more = texts[:most], ", ..."
	}
	quoted := make([]string, len(texts))
	for i, s := range texts {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(quoted, ", ") + more
}

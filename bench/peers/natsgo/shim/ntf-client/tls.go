package ntf

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// TLSMaterial is what a client needs to connect to a server with generated certificates, in PEM.
type TLSMaterial struct {
	CAPEM         string
	ClientCertPEM string // empty: the server asks for none
	ClientKeyPEM  string
}

// TLSOpt is one wish of a test about TLS.
type TLSOpt func(*tlsSettings)

type tlsSettings struct {
	serverOnly bool
	sans       []string
	first      bool          // TLS begins with the first byte
	timeout    time.Duration // of the handshake
}

// WithGeneratedTLS makes the server ask for TLS, with certificates made for it. Clients need one too, unless TLSServerOnly says so.
func WithGeneratedTLS(options ...TLSOpt) CreateOption {
	return func(s *settings) {
		s.tls = &tlsSettings{sans: []string{"localhost", "127.0.0.1", "::1"}, timeout: 2 * time.Second}
		for _, option := range options {
			option(s.tls)
		}
	}
}

// TLSMutual makes the server ask for a client's certificate.
func TLSMutual() TLSOpt { return func(s *tlsSettings) { s.serverOnly = false } }

// TLSServerOnly makes the server ask for no client's certificate.
func TLSServerOnly() TLSOpt { return func(s *tlsSettings) { s.serverOnly = true } }

// TLSSANs sets the names and addresses that the server's certificate is good for.
func TLSSANs(sans ...string) TLSOpt { return func(s *tlsSettings) { s.sans = sans } }

// TLSHandshakeFirst makes TLS begin with the first byte.
func TLSHandshakeFirst() TLSOpt { return func(s *tlsSettings) { s.first = true } }

// TLSTimeout sets how long a handshake may take.
func TLSTimeout(d time.Duration) TLSOpt { return func(s *tlsSettings) { s.timeout = d } }

// TLSConfig returns what a client needs to connect to the server of inst.
func TLSConfig(inst *Instance) (*tls.Config, error) {
	if inst.TLS == nil {
		return nil, errors.New("natsgo: the server has no TLS")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(inst.TLS.CAPEM)) {
		return nil, errors.New("natsgo: no certificate of the authority")
	}
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if inst.TLS.ClientCertPEM != "" {
		pair, err := tls.X509KeyPair([]byte(inst.TLS.ClientCertPEM), []byte(inst.TLS.ClientKeyPEM))
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// The files of a server's directory that have to do with TLS.
const (
	caFile         = "ca.pem"
	serverCertFile = "server-cert.pem"
	serverKeyFile  = "server-key.pem"
)

// writeCertificates makes an authority, a certificate for the server and, where one is asked for, one for clients. The server's go to its directory.
func (n *node) writeCertificates() error {
	authority, err := newPair(nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: "natsgo authority " + n.name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "natsgo server"}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, san := range n.settings.tls.sans {
		if ip := net.ParseIP(san); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, san)
		}
	}
	server, err := newPair(authority, template)
	if err != nil {
		return err
	}
	n.tls = &TLSMaterial{CAPEM: authority.certPEM}
	if !n.settings.tls.serverOnly {
		client, err := newPair(authority, &x509.Certificate{
			Subject: pkix.Name{CommonName: "natsgo client"}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		if err != nil {
			return err
		}
		n.tls.ClientCertPEM, n.tls.ClientKeyPEM = client.certPEM, client.keyPEM
	}
	for name, text := range map[string]string{caFile: authority.certPEM, serverCertFile: server.certPEM, serverKeyFile: server.keyPEM} {
		if err := os.WriteFile(n.file(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// pair is a certificate and its key.
type pair struct {
	cert            *x509.Certificate
	key             *ecdsa.PrivateKey
	certPEM, keyPEM string
}

// newPair makes a certificate that is good for a day, signed by the authority; a nil one signs itself.
func newPair(authority *pair, template *x509.Certificate) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, err
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	signer := authority
	if signer == nil {
		signer = &pair{cert: template, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.cert, &key.PublicKey, signer.key)
	if err != nil {
		return nil, fmt.Errorf("natsgo: make a certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &pair{
		cert: cert, key: key,
		certPEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		keyPEM:  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})),
	}, nil
}

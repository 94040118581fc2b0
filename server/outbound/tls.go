package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"roundhouse/server/config"
)

// tlsConfig is what a connection string says about TLS; nil for plain HTTP.
func tlsConfig(t config.TLS, host string) (*tls.Config, error) {
	if !t.HTTPS {
		return nil, nil
	}
	cfg := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if t.CertificateName != "" {
		cfg.ServerName = t.CertificateName
	}
	if t.TrustedCertificates == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(t.TrustedCertificates)
	if err != nil {
		return nil, fmt.Errorf("outbound: trusted_certificates: %w", err)
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("outbound: trusted_certificates: %s holds no certificate in PEM form", t.TrustedCertificates)
	}
	return cfg, nil
}

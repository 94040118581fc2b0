package relay

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"strconv"
	"strings"

	"roundhouse/server/config"
)

// presented is the verified certificate of a connection's peer, and what follows from it for the farm that was asked last. Owned by the
// connection's loop.
type presented struct {
	// Fixed at open.
	subject, issuer string
	chain           []*x509.Certificate // up to, but without, the root; at least the peer's own
	cipher          uint16
	proxy           bool // it is that of a trusted proxy, and says nothing of the client

	farm     *config.Farm // what follows is of this configuration of a farm
	forwards bool         // its holder may tell who its client is
	lines    []byte       // the fields for the back end; empty: none
}

// Bounds of what a back end is told of a certificate.
const (
	maxChain     = 8        // certificates after the first
	maxCertLines = 24 << 10 // bytes; a chain that would make more is left out
)

// newPresented returns nil when the peer has shown no certificate that leads to one of our roots. proxy: the peer is a trusted proxy that has
// not named its client by a PROXY header, so it speaks HTTP itself.
func newPresented(state *tls.ConnectionState, proxy bool) *presented {
	if len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return nil
	}
	chain := state.VerifiedChains[0]
	own := chain[0]
	if len(chain) > 1 { // the last one is the root: who trusts it has it
		chain = chain[:len(chain)-1]
	}
	return &presented{subject: own.Subject.String(), issuer: own.Issuer.String(), chain: chain[:min(len(chain), 1+maxChain)], cipher: state.CipherSuite,
		proxy: proxy}
}

// judge finds out what follows from the certificate for a farm. That is kept: clients ask one farm.
func (p *presented) judge(f *config.Farm) {
	if p.farm == f {
		return
	}
	p.farm, p.forwards, p.lines = f, false, nil
	if !f.ForwardX509Identity {
		return
	}
	p.forwards = f.ForwarderCertificateSubject != "" && f.ForwarderCertificateIssuer != "" &&
		config.MatchPattern(f.ForwarderCertificateSubject, p.subject) && config.MatchPattern(f.ForwarderCertificateIssuer, p.issuer)
	if !p.forwards && !p.proxy {
		p.lines = p.appendLines(nil, f.X509Fields)
	}
}

// forwardsTo tells whether the connection's peer may tell a farm who its client is, by the fields that say which certificate that has.
func (p *presented) forwardsTo(f *config.Farm) bool {
	if p == nil {
		return false
	}
	p.judge(f)
	return p.forwards
}

// linesFor are the fields that tell a farm who has come.
func (p *presented) linesFor(f *config.Farm) []byte {
	if p == nil {
		return nil
	}
	p.judge(f)
	return p.lines
}

// appendLines appends the fields that tell of a certificate in one of the forms of config.Farm.X509Fields; of a chain that is too long the
// first certificate only, and nothing when that alone is.
func (p *presented) appendLines(dst []byte, form string) []byte {
	own, rest := p.chain[0], p.chain[1:]
	switch form {
	case "client-cert": // RFC 9440, 2.2 and 2.3: byte sequences of RFC 8941
		dst = appendCert(append(dst, "Client-Cert: :"...), own, ":\r\n")
	case "x-client-cert":
		dst = appendCert(append(dst, "X-Client-Cert: "...), own, "\r\n")
	default: // those that gateways of the original expect
		dst = appendCert(append(dst, "SSL_CLIENT_CERT: "...), own, "\r\n")
		name := tls.CipherSuiteName(p.cipher)
		dst = append(append(append(dst, "SSL_CIPHER: "...), name...), crlf...)
		dst = append(append(append(dst, "SSL_CIPHER_USEKEYSIZE: "...), keySize(name)...), crlf...)
	}
	alone := len(dst)
	switch {
	case alone > maxCertLines:
		return nil
	case form == "client-cert" && len(rest) > 0:
		dst = append(dst, "Client-Cert-Chain: "...)
		for i, cert := range rest {
			end := ":, "
			if i == len(rest)-1 {
				end = ":\r\n"
			}
			dst = appendCert(append(dst, ':'), cert, end)
		}
	case form == "ssl":
		for i, cert := range rest {
			dst = append(dst, "SSL_CLIENT_CERT_CHAIN_"...)
			dst = appendCert(append(strconv.AppendInt(dst, int64(i+1), 10), ": "...), cert, "\r\n")
		}
	}
	if len(dst) > maxCertLines {
		dst = dst[:alone]
	}
	return dst
}

// appendCert appends a certificate in base64, and end.
func appendCert(dst []byte, cert *x509.Certificate, end string) []byte {
	return append(base64.StdEncoding.AppendEncode(dst, cert.Raw), end...)
}

// keySize is how many bits of key a cipher suite uses.
func keySize(name string) string {
	switch {
	case strings.Contains(name, "_AES_256_"), strings.Contains(name, "_CHACHA20_"):
		return "256"
	case strings.Contains(name, "_3DES_"):
		return "168"
	default:
		return "128"
	}
}

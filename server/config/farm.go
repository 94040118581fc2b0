package config

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// RelayServer is one relay server of the farm as enablers reach it: [relay_server] of an rs.config, [[relay.server]] in TOML.
type RelayServer struct {
	// Whether enablers are told of it.
	Enable bool `toml:"enable"`
	// Name or IP address that an enabler connects to. Required.
	Host string `toml:"host"`
	// Port for HTTP. 0 or off: not over HTTP.
	HTTPPort int `toml:"http_port" unit:"port"`
	// Port for HTTPS. 0 or off: not over HTTPS.
	HTTPSPort int `toml:"https_port" unit:"port"`
	// Free text. At most 2048 bytes.
	Description string `toml:"description"`
}

// Farm is a group of back-end servers that are alike: [backend_farm] of an rs.config, [[relay.farm]] in TOML.
type Farm struct {
	// Name in the clients' URLs, case-sensitive. Required, unique, at most 2048 bytes of printable ASCII.
	ID string `toml:"id"`
	// Whether its enablers, and so its clients, are admitted.
	Enable bool `toml:"enable"`
	// Free text. At most 2048 bytes.
	Description string `toml:"description"`
	// As log.verbosity, for this farm; the higher of both holds. inherit (in a program: -1): log.verbosity alone.
	Verbosity int `toml:"verbosity" unit:"verbosity"`
	// Bytes of one response that are kept for a client that reads slowly. 4 KiB to 4 GiB.
	MaxClientBuffer int64 `toml:"max_client_buffer" unit:"bytes"`

	// Host names that reach the farm by themselves: what a request to one of them asks for is the farm's path. Each belongs to one farm;
	// upper and lower case are the same.
	Hosts []string `toml:"hosts"`
	// Whether clients must come by HTTPS: on, off (by HTTP only), redirect (308 to the same URL by HTTPS), or empty: either way.
	ClientSecurity string `toml:"client_security" unit:"security"`
	// Whether enablers must come by HTTPS: on, off (by HTTP only), or empty: either way.
	BackendSecurity string `toml:"backend_security" unit:"security"`

	// Whether answers carry the session id in a cookie.
	ActiveCookie bool `toml:"active_cookie"`
	// Whether answers carry the session id in the header Ias-Rs-Sessionid.
	ActiveHeader bool `toml:"active_header"`
	// Whether a session id whose connection or enabler is gone gets a new one. No: its request is answered with 400.
	RenewOverlappedCookie bool `toml:"renew_overlapped_cookie"`
	// Whether a session id names a connection to the back-end server as well as the server.
	SocketLevelAffinity bool `toml:"socket_level_affinity"`
	// Whether a session whose server is gone goes to another one, even without renew_overlapped_cookie.
	AffinityFallback bool `toml:"affinity_fallback"`

	// How a server is chosen for a request without a session: round_robin, least_conn (least requests in flight), p2c (the lesser of two
	// at random) or hash (of the client's address, as trusted proxies have it).
	Balance string `toml:"balance"`
	// How long a request waits when no server can take it, then 503. 0: not at all.
	QueueTimeout time.Duration `toml:"queue_timeout"`
	// Failures in a row after which a server gets no requests for eject_time, unless there is no other. 0: never. At most 1000000.
	EjectAfter int `toml:"eject_after"`
	// How long such a server gets no requests. More than 0.
	EjectTime time.Duration `toml:"eject_time"`

	// Whether the back end is told the client's verified certificate.
	ForwardX509Identity bool `toml:"forward_x509_identity"`
	// In which fields: ssl (SSL_CLIENT_CERT in base64, SSL_CLIENT_CERT_CHAIN_1 and on, SSL_CIPHER, SSL_CIPHER_USEKEYSIZE), client-cert (Client-Cert and
	// Client-Cert-Chain of RFC 9440) or x-client-cert (X-Client-Cert in base64).
	X509Fields string `toml:"x509_fields"`
	// Pattern of the subject of certificates whose holders may forward the identity of others, as CN = *.example.com, *: * is any text, ? one
	// character, \* a star; blanks around = and , do not count, case does. Empty: nobody may.
	ForwarderCertificateSubject string `toml:"forwarder_certificate_subject"`
	// Pattern of the issuer of such certificates; both must fit.
	ForwarderCertificateIssuer string `toml:"forwarder_certificate_issuer"`

	// Directory of pages that stand for the relay's own: 503.html for one status, 5xx.html for a class, error.html for the rest, and
	// the same with .json for programs. {{status}}, {{reason}}, {{code}}, {{name}} and {{text}} in them are replaced. At most 128 files
	// of 64 KiB, read at the start and with each reload. Empty: none.
	ErrorPages string `toml:"error_pages"`
	// Whether Location, Content-Location and the Path of cookies, as the back end gives them, are made to lead through the relay for clients
	// that came by a URL with a prefix. For back ends that do not know of the prefix.
	RewriteLocation bool `toml:"rewrite_location"`
	// What one farm may use.
	Limits FarmLimits `toml:"limits"`
}

// FarmLimits are what one farm may use. 0 or empty is no limit everywhere. In an rs.config they stand in [backend_farm] itself, with x_
// in front.
type FarmLimits struct {
	// Most requests a second; more get 429.
	MaxRPS int `toml:"max_rps"`
	// Most requests in flight; more get 503.
	MaxInflight int `toml:"max_inflight"`
	// Most bytes of bodies a second, in each direction; what is above comes slower.
	MaxBytesSec int64 `toml:"max_bytes_sec" unit:"bytes"`
	// Longest request body in bytes, then 413; relay.max_request_body holds as well.
	MaxRequestBody int64 `toml:"max_request_body" unit:"bytes"`
	// Networks or addresses of clients that are let in; others get 403.
	AllowIP []netip.Prefix `toml:"allow_ip"`
	// Networks or addresses of clients that get 403, even if they are in allow_ip.
	DenyIP []netip.Prefix `toml:"deny_ip"`
}

// Backend is one back-end server, that is one enabler's identity: [backend_server] of an rs.config, [[relay.backend]] in TOML.
type Backend struct {
	// Farm that it serves. Required.
	Farm string `toml:"farm"`
	// Name, unique within the farm, case-sensitive. Required, at most 2048 bytes of printable ASCII.
	ID string `toml:"id"`
	// Whether its enabler is admitted.
	Enable bool `toml:"enable"`
	// Secret that its enabler must present, plain, as sha256:HEX of its SHA-256 digest, or as bcrypt:HASH of a secret of at most 72 bytes, with a
	// cost of at most 14. Of a bcrypt hash its enabler has to send the secret itself, which it does over HTTPS only. At most 2048 bytes of
	// printable ASCII. Empty: none is demanded.
	Token string `toml:"token" unit:"secret"`
	// Free text. At most 2048 bytes.
	Description string `toml:"description"`
	// As log.verbosity, for this server; the highest of all holds. inherit (in a program: -1): that of the farm.
	Verbosity int `toml:"verbosity" unit:"verbosity"`

	// Another secret that is right as well, for the time in which one takes the place of the other. As token; not without it.
	SecondToken string `toml:"second_token" unit:"secret"`
	// Adapter addresses, as 01-23-45-67-89-ab in either case, of which its enabler must have one. An enabler says itself which it has. Empty: any.
	MAC []string `toml:"mac"`
	// Pattern of the subject of the certificate that its enabler must present, as forwarder_certificate_subject. Empty: none is demanded.
	CertificateSubject string `toml:"certificate_subject"`
	// Servers with a higher number stand by: they get requests when none with a lower one can take them. 0 to 100.
	Priority int `toml:"priority"`
	// Most requests that its enabler runs at a time; more get 503. It goes before the enabler's own -jl. 1 to 1000000.
	MaxJunction int `toml:"max_junction"`
	// How long a connection to the back end may be idle before its enabler closes it; -jsl of them stay.
	MaxJunctionIdle time.Duration `toml:"max_junction_idle"`
}

// DefaultRelayServer returns a relay server with the default of every field; Host is still to be set.
func DefaultRelayServer() RelayServer {
	return RelayServer{Enable: true, HTTPPort: 80, HTTPSPort: 443}
}

// DefaultFarm returns a farm with the default of every field; ID is still to be set.
func DefaultFarm() Farm {
	return Farm{
		Enable: true, Verbosity: inherit, MaxClientBuffer: 1 << 20,
		ActiveCookie: true, ActiveHeader: true, SocketLevelAffinity: true,
		Balance: "round_robin", EjectAfter: 5, EjectTime: 10 * time.Second,
		X509Fields: "ssl",
	}
}

// DefaultBackend returns a back-end server with the default of every field; Farm and ID are still to be set.
func DefaultBackend() Backend {
	return Backend{Enable: true, Verbosity: inherit, MaxJunction: 1000, MaxJunctionIdle: 30 * time.Second}
}

const (
	inherit     = -1
	tokenDigest = "sha256:" // what follows is the SHA-256 digest of the token in hexadecimal
	tokenHash   = "bcrypt:" // what follows is a bcrypt hash of the token
)

// TokenKeys returns the SHA-256 digests of the tokens that are right for b, of which there are two at most. A digest is the key with which
// an enabler proves that it has the token, without sending it. None: no token is demanded, or those of b are
// bcrypt hashes, see TokenHashes, or ones that Validate refuses.
func (b Backend) TokenKeys() [][sha256.Size]byte {
	var keys [][sha256.Size]byte
	for _, token := range []string{b.Token, b.SecondToken} {
		if key, ok := tokenKey(token); ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// TokenHashes returns the bcrypt hashes among the tokens of b, for CheckTokenHash.
func (b *Backend) TokenHashes() (hashes []string) {
	for _, token := range []string{b.Token, b.SecondToken} {
		if hash, ok := strings.CutPrefix(token, tokenHash); ok {
			hashes = append(hashes, hash)
		}
	}
	return hashes
}

const (
	mostHashCost = 14 // of bcrypt: about a second
	mostHashed   = 72 // bytes of a token: bcrypt does not look at more
)

// CheckTokenHash tells whether presented is the token of a bcrypt hash. It takes up to a second: never call it on a loop.
func CheckTokenHash(hash, presented string) bool {
	return isTokenHash(hash) && len(presented) <= mostHashed && bcrypt.CompareHashAndPassword([]byte(hash), []byte(presented)) == nil
}

func isTokenHash(hash string) bool {
	cost, err := bcrypt.Cost([]byte(hash))
	return err == nil && cost <= mostHashCost && len(hash) == 60 // $2b$10$, 22 characters of salt, 31 of hash
}

// tokenKey returns the digest of a token, plain or as sha256:HEX. Not ok: there is none, or what follows sha256: is no digest.
func tokenKey(token string) (key [sha256.Size]byte, ok bool) {
	if strings.HasPrefix(token, tokenHash) {
		return key, false
	}
	digest, hashed := strings.CutPrefix(token, tokenDigest)
	if !hashed {
		return sha256.Sum256([]byte(token)), token != ""
	}
	raw, err := hex.DecodeString(digest)
	if err != nil || len(raw) != sha256.Size {
		return key, false
	}
	return [sha256.Size]byte(raw), true
}

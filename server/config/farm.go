package config

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
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
}

// Backend is one back-end server, that is one enabler's identity: [backend_server] of an rs.config, [[relay.backend]] in TOML.
type Backend struct {
	// Farm that it serves. Required.
	Farm string `toml:"farm"`
	// Name, unique within the farm, case-sensitive. Required, at most 2048 bytes of printable ASCII.
	ID string `toml:"id"`
	// Whether its enabler is admitted.
	Enable bool `toml:"enable"`
	// Secret that its enabler must present, plain or as sha256:HEX, at most 2048 bytes. Empty: none is demanded.
	Token string `toml:"token" unit:"secret"`
	// Free text. At most 2048 bytes.
	Description string `toml:"description"`
	// As log.verbosity, for this server; the highest of all holds. inherit (in a program: -1): that of the farm.
	Verbosity int `toml:"verbosity" unit:"verbosity"`
}

// DefaultRelayServer returns a relay server with the default of every field; Host is still to be set.
func DefaultRelayServer() RelayServer {
	return RelayServer{Enable: true, HTTPPort: 80, HTTPSPort: 443}
}

// DefaultFarm returns a farm with the default of every field; ID is still to be set.
func DefaultFarm() Farm {
	return Farm{Enable: true, Verbosity: inherit, MaxClientBuffer: 1 << 20}
}

// DefaultBackend returns a back-end server with the default of every field; Farm and ID are still to be set.
func DefaultBackend() Backend {
	return Backend{Enable: true, Verbosity: inherit}
}

const (
	inherit     = -1
	tokenDigest = "sha256:" // what follows is the SHA-256 digest of the token in hexadecimal
)

// CheckToken reports whether presented is the token of b, in a time that tells nothing about how near it was.
// Without a configured token anything is right.
func (b Backend) CheckToken(presented string) bool {
	if b.Token == "" {
		return true
	}
	want := sha256.Sum256([]byte(b.Token))
	if digest, ok := strings.CutPrefix(b.Token, tokenDigest); ok {
		raw, err := hex.DecodeString(digest)
		if err != nil || len(raw) != sha256.Size {
			return false // Validate refuses such a token; nothing can match it
		}
		want = [sha256.Size]byte(raw)
	}
	got := sha256.Sum256([]byte(presented))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

package farm

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"slices"
	"strings"
)

// Session is what a session id says.
type Session struct {
	Server uint64 // ServerKey of the server that it is bound to
	Epoch  uint32 // of the enabler; 0 with Socket 0: bound to no connection
	Socket uint32 // the enabler's number of the connection to the back end
	Issued uint32 // when the id was made, in minutes of the Unix epoch
}

// A session id is text for clients that do not look into it:
//
//	v1.PAYLOAD.MAC       PAYLOAD = base64url(server 8 | epoch 4 | socket 4 | issued 4), big endian
//	                     MAC = base64url(first 10 bytes of HMAC-SHA256(key, "v1.PAYLOAD"))
//
// base64url is that of RFC 4648, 5, without padding.
const (
	idVersion  = "v1."
	payloadLen = 20
	macLen     = 10
	signedLen  = len(idVersion) + 27
	macAt      = signedLen + len(".")

	// SessionIDLen is the length of every session id in bytes.
	SessionIDLen = macAt + 14
)

var base64url = base64.RawURLEncoding

// Signer makes and checks session ids with one key. It is owned by a loop; no method allocates.
type Signer struct {
	mac     hash.Hash
	payload [payloadLen]byte
	sum     [sha256.Size]byte
	text    [SessionIDLen]byte
}

// NewSigner returns a signer with that key, see AffinityKey. key is not kept.
func NewSigner(key []byte) *Signer {
	g := &Signer{mac: hmac.New(sha256.New, key)}
	g.sign(Session{}) // what the hash keeps for later is allocated now
	return g
}

// Append appends the id of s to dst.
func (g *Signer) Append(dst []byte, s Session) []byte {
	g.sign(s)
	return append(dst, g.text[:]...)
}

// Parse returns what the id in b says; false when it was not made by Append with the same key. b is not kept, and the time does
// not tell how much of it is right.
func (g *Signer) Parse(b []byte) (Session, bool) {
	if len(b) != SessionIDLen {
		return Session{}, false
	}
	if n, err := base64url.Decode(g.payload[:], b[len(idVersion):signedLen]); n != payloadLen || err != nil {
		return Session{}, false
	}
	p := g.payload[:]
	s := Session{
		Server: binary.BigEndian.Uint64(p), Epoch: binary.BigEndian.Uint32(p[8:]),
		Socket: binary.BigEndian.Uint32(p[12:]), Issued: binary.BigEndian.Uint32(p[16:]),
	}
	g.sign(s) // so every other way to write the same is refused, as is every other version
	if subtle.ConstantTimeCompare(g.text[:], b) != 1 {
		return Session{}, false
	}
	return s, true
}

// sign puts the id of s into g.text.
func (g *Signer) sign(s Session) {
	p := g.payload[:0]
	p = binary.BigEndian.AppendUint64(p, s.Server)
	p = binary.BigEndian.AppendUint32(p, s.Epoch)
	p = binary.BigEndian.AppendUint32(p, s.Socket)
	p = binary.BigEndian.AppendUint32(p, s.Issued)
	copy(g.text[:], idVersion)
	base64url.Encode(g.text[len(idVersion):signedLen], p)
	g.mac.Reset()
	g.mac.Write(g.text[:signedLen])
	sum := g.mac.Sum(g.sum[:0])
	g.text[signedLen] = '.'
	base64url.Encode(g.text[macAt:], sum[:macLen])
}

// AffinityKey returns the key of session ids that relays share which are configured alike: the configured secret or, when it is
// empty, one that is derived from the tokens of all back-end servers. Their order does not matter, nor do empty ones, nor whether
// a token is given plain or as sha256:HEX. It is nil when there is no secret at all.
func AffinityKey(configured string, tokens []string) []byte {
	if configured != "" {
		return []byte(configured)
	}
	var digests [][]byte
	for _, token := range tokens {
		if token != "" {
			digests = append(digests, tokenDigest(token))
		}
	}
	if digests == nil {
		return nil
	}
	slices.SortFunc(digests, bytes.Compare)
	digests = slices.CompactFunc(digests, bytes.Equal)
	sum := sha256.Sum256(append([]byte("roundhouse session id key v1\x00"), bytes.Join(digests, nil)...))
	return sum[:]
}

// tokenDigest is the SHA-256 of a token, which may be given as it is or as its digest.
func tokenDigest(token string) []byte {
	if text, ok := strings.CutPrefix(token, "sha256:"); ok {
		if sum, err := hex.DecodeString(text); err == nil && len(sum) == sha256.Size {
			return sum
		}
	}
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

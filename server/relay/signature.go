package relay

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"sync"
	"time"

	"roundhouse/codec/http1"
)

// The versions of calls (Ias-Rs-Proto). They differ in what the signature of a call covers.
const (
	protoFirst = "1" // who calls, and when
	protoBound = "2" // also what for, and which process of which relay server
)

// newInstance names this process of this relay server. The signature of a call for a lane covers the name, so a call that somebody has read on
// its way is worth nothing at another relay server, nor at the next process of this one, which do not know its nonce.
func newInstance() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

const instanceField = "Ias-Rs-Instance: "

// tellInstance answers an enabler that does not know this process: the answer names it, and the enabler calls again. It is a step of every
// acquaintance, and so neither counted nor logged as a failure.
func tellInstance(c *client, q *http1.Request, no refusal) {
	c.s.relay.log.Debug("an enabler calls for another process, or for none", "remote", string(c.ip))
	a := answer{status: no.failure.status, minor: q.Minor, close: endsWith(c, q), extra: []byte(instanceField + c.s.relay.gate.instance + "\r\n")}
	c.send(no.failure, a, no.text)
}

// readable refuses a credential that could be used again by whoever has read it on its way.
func (k *call) readable(c *client) (no refusal) {
	strict := !c.https && !c.s.view.cfg.Relay.Trust.PlainTokens
	switch {
	case strict && k.auth == "" && k.token != "":
		return refusal{failure: failUnauthorized, text: "A token in clear is not taken over plain HTTP: use HTTPS, or Ias-Rs-Auth."}
	case strict && k.auth != "" && k.proto == protoFirst:
		return refusal{failure: failOEVersion, text: "Ias-Rs-Proto 1 is not taken over plain HTTP: use HTTPS, or a newer enabler."}
	case k.auth != "" && k.proto == protoBound && k.op != "peers" && k.instance != c.s.relay.gate.instance:
		return refusal{failure: failOEStale, text: "The call is not for this process of this relay server: see Ias-Rs-Instance."}
	}
	return no
}

// signature is the value of Ias-Rs-Auth: the time in seconds of the Unix epoch, a nonce in hexadecimal, and what proves that whoever made it
// has the token.
type signature struct {
	ts    int64
	text  [2]string // ts and nonce as they were written
	nonce [16]byte
	mac   [sha256.Size]byte
}

func readSignature(s string) (sig signature, ok bool) {
	ts, rest, _ := strings.Cut(s, ",")
	nonce, mac, _ := strings.Cut(rest, ",")
	ts, nonce, mac = strings.TrimSpace(ts), strings.TrimSpace(nonce), strings.TrimSpace(mac)
	if len(ts) == 0 || len(ts) > 12 || len(nonce) != 2*len(sig.nonce) || len(mac) != 2*len(sig.mac) {
		return sig, false
	}
	seconds, errTime := strconv.ParseUint(ts, 10, 63)
	_, errNonce := hex.Decode(sig.nonce[:], []byte(nonce))
	_, errMAC := hex.Decode(sig.mac[:], []byte(mac))
	sig.ts, sig.text = int64(seconds), [2]string{ts, nonce}
	return sig, errTime == nil && errNonce == nil && errMAC == nil
}

// expect is the right mac of a call for a token with that digest.
func (sig *signature) expect(key [sha256.Size]byte, method string, k *call) []byte {
	said := strings.Join([]string{method, k.farm, k.server, k.run, sig.text[0], sig.text[1]}, "|")
	if k.proto == protoBound { // no field holds a line end: no two calls are written alike
		said = strings.Join([]string{"Ias-Rs-Proto: 2", method, k.op, k.farm, k.server, k.run, k.lane, k.instance, sig.text[0], sig.text[1]}, "\n")
	}
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(said))
	return mac.Sum(nil)
}

// signatureLife is how far the clock of an enabler may be from ours.
const signatureLife = 300 * time.Second

// nonces are those of signatures that were right, so that none counts twice. Any goroutine; enablers' calls alone look.
type nonces struct {
	mu            sync.Mutex // guards the rest
	fresh, stale  map[[16]byte]struct{}
	turned        time.Time // when fresh was empty
	mostForTest   int       // 0: maxNonces
	refusedAtMost int64     // signatures that were refused because there were too many
}

// maxNonces bounds each half of the memory for nonces; more are refused until the next turn.
const maxNonces = 1 << 18

// take accepts a signature, whose mac is right, once, while it is not too old.
func (n *nonces) take(sig signature, now time.Time) (no refusal) {
	if d := now.Unix() - sig.ts; d > int64(signatureLife/time.Second) || d < -int64(signatureLife/time.Second) {
		return refusal{failure: failUnauthorized, text: "The time in Ias-Rs-Auth is too far from that of the relay server: see Date."}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Sub(n.turned) > 2*signatureLife { // what is thrown away was taken so long ago that its time is over
		n.stale, n.fresh, n.turned = n.fresh, map[[16]byte]struct{}{}, now
	}
	_, fresh := n.fresh[sig.nonce]
	_, stale := n.stale[sig.nonce]
	most := maxNonces
	if n.mostForTest > 0 {
		most = n.mostForTest
	}
	switch {
	case fresh || stale:
		return refusal{failure: failUnauthorized, text: "The nonce in Ias-Rs-Auth has been used before."}
	case len(n.fresh) >= most:
		n.refusedAtMost++
		return refusal{failure: failBusy, text: "Too many enablers have called.", after: time.Minute}
	}
	n.fresh[sig.nonce] = struct{}{}
	return no
}

package relay

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/server/config"
)

// call is what an enabler says of itself in the fields of a request to the server URL.
type call struct {
	op, farm, server, token, auth, proto, run, lane, macs, instance, version string

	hashes []string // bcrypt hashes of the tokens of its server that nobody has shown yet
}

func readCall(fields []http1.Field) (c call) {
	for i := range fields {
		if fields[i].ID != http1.IDIasRs {
			continue
		}
		value := string(fields[i].Value)
		switch strings.ToLower(string(fields[i].Name)) {
		case "ias-rs-op":
			c.op = value
		case "ias-rs-farm":
			c.farm = value
		case "ias-rs-server":
			c.server = value
		case "ias-rs-token":
			c.token = value
		case "ias-rs-auth":
			c.auth = value
		case "ias-rs-proto":
			c.proto = value
		case "ias-rs-oe-id":
			c.run = value
		case "ias-rs-lane":
			c.lane = value
		case "ias-rs-mac":
			c.macs = value
		case "ias-rs-oe-version":
			c.version = value
		case "ias-rs-instance":
			c.instance = value
		}
	}
	return c
}

// name is the back-end server that an enabler wants to be.
func (k *call) name() serverName { return serverName{k.farm, k.server} }

// credential is what an enabler has proved or said of itself. A lane keeps it: after a reload it is judged again.
type credential struct {
	run     string            // of the enabler; its lanes may have other names
	key     [sha256.Size]byte // digest of the token that it has
	known   bool              // key is; else it was asked for none
	macs    []string          // as 01-23-45-67-89-ab
	https   bool              // how it has come
	subject string            // of its certificate; empty: it has shown none
	version string            // of its program, as it says; at most maxVersion bytes
}

// refusal says why an enabler is not let in. The zero value: it is.
type refusal struct {
	failure *failure
	text    string
	after   time.Duration // until it is worth asking again; 0: nobody knows
}

// admit checks who an enabler is. An enabler learns of another farm, or of another server's token, only whether the name exists: what comes
// after that is judged by what the configuration says of the server it names.
func (k *call) admit(c *client, q *http1.Request) (as credential, no refusal) {
	v := c.s.view
	switch {
	case k.op == "":
		return as, refusal{failure: failOERequest, text: "This is the URL for outbound enablers: Ias-Rs-Op is missing."}
	case k.proto != protoFirst && k.proto != protoBound:
		return as, refusal{failure: failOEVersion, text: "Ias-Rs-Proto is not 1 or 2, the versions known here."}
	}
	if len(k.run) > maxRun {
		return as, refusal{failure: failOERequest, text: "Ias-Rs-Oe-Id is too long."}
	}
	as = credential{run: k.run, macs: readMACs(k.macs), https: c.https, version: k.version[:min(len(k.version), maxVersion)]}
	if c.cert != nil && !c.cert.proxy {
		as.subject = c.cert.subject
	}
	f := v.farm([]byte(k.farm))
	server, b := v.server(k.farm, k.server)
	keys, asks := v.keys(c.s.relay, server, b, k.farm)
	if b != nil && !v.dynamic(server) {
		k.hashes = c.s.relay.gate.hashed.unknown(b)
	}
	switch {
	case b == nil && len(keys) == 0 && f == nil:
		return as, refusal{failure: failUnknownServer, text: "The farm is not configured. Names are case-sensitive."}
	case b == nil && len(keys) == 0:
		return as, refusal{failure: failUnknownServer, text: "The farm has no back-end server of this id. Ids are case-sensitive."}
	}
	if f != nil {
		if no = as.secureEnough(f.conf); no.failure != nil {
			return as, no
		}
	}
	if no = k.prove(c, q, &as, keys, asks, b == nil); no.failure != nil {
		return as, no
	}
	switch {
	case b != nil && !as.fits(b):
		return as, as.misfit(b)
	case f != nil && !f.conf.Enable, b != nil && !b.Enable:
		return as, refusal{failure: failOEDisabled, text: "The farm or the back-end server is disabled."}
	case c.s.relay.draining.Load():
		return as, refusal{failure: failShutdown, text: "The relay server is shutting down."}
	}
	return as, no
}

// secureEnough holds the way that an enabler has come against the backend_security of its farm.
func (as *credential) secureEnough(f *config.Farm) (no refusal) {
	switch {
	case f.BackendSecurity == securityOn && !as.https:
		return refusal{failure: failOESecurity, text: "The farm's enablers must come over HTTPS."}
	case f.BackendSecurity == securityOff && as.https:
		return refusal{failure: failOESecurity, text: "The farm's enablers must come over HTTP, not HTTPS."}
	}
	return no
}

// fits tells whether the adapters and the certificate of an enabler are those of its server.
func (as *credential) fits(b *config.Backend) bool { return as.misfit(b).failure == nil }

func (as *credential) misfit(b *config.Backend) (no refusal) {
	switch {
	case len(b.MAC) > 0 && !as.hasMAC(b.MAC):
		return refusal{failure: failUnauthorized, text: "None of the enabler's adapters is one that the configuration names."}
	case b.CertificateSubject != "" && (as.subject == "" || !config.MatchPattern(b.CertificateSubject, as.subject)):
		return refusal{failure: failUnauthorized, text: "The enabler has not shown a certificate of the subject that the configuration names."}
	}
	return no
}

func (as *credential) hasMAC(wanted []string) bool {
	for _, w := range wanted {
		for _, has := range as.macs {
			if strings.EqualFold(w, has) {
				return true
			}
		}
	}
	return false
}

// maxVersion is how much of an enabler's version is kept, in bytes.
const maxVersion = 64

// maxRun is the longest name of an enabler's run, in bytes.
const maxRun = 64

// maxMACs is how many adapters of an enabler are looked at.
const maxMACs = 64

// readMACs reads a list of adapter addresses, and leaves out what is none.
func readMACs(list string) (macs []string) {
	for mac := range strings.SplitSeq(list, ",") {
		mac = strings.TrimSpace(mac)
		if raw, err := hex.DecodeString(strings.ReplaceAll(mac, "-", "")); err == nil && len(raw) == 6 && len(mac) == len("01-23-45-67-89-ab") && len(macs) < maxMACs {
			macs = append(macs, mac)
		}
	}
	return macs
}

// prove finds out whether the enabler has one of the tokens with these digests. stranger: its server is not configured, so that the tokens
// are those of relay.trust.auto_config.
func (k *call) prove(c *client, q *http1.Request, as *credential, keys [][sha256.Size]byte, asks, stranger bool) (no refusal) {
	if k.auth == "" && k.token != "" {
		as.key, as.known = sha256.Sum256([]byte(k.token)), true
	}
	if !asks {
		return no
	}
	gate, now := &c.s.relay.gate, c.s.loop.Now()
	who := suspect{addr: wholeAddr(c.judgedBy(q)), server: k.name()}
	if stranger {
		who.server = serverName{} // the names that it may guess have no end
	}
	if wait := gate.suspects.wait(who, k.run, now); wait > 0 {
		return refusal{failure: failOEThrottled, text: "Too many wrong tokens have come from this address.", after: wait}
	}
	if no = k.readable(c); no.failure != nil {
		return no
	}
	signed, wellFormed := readSignature(k.auth)
	right := 0
	for _, key := range keys {
		switch {
		case k.auth == "" && hmac.Equal(key[:], as.key[:]) && as.known:
			right++
		case k.auth != "" && wellFormed && hmac.Equal(signed.mac[:], signed.expect(key, string(q.Method), k)):
			as.key, as.known = key, true
			right++
		}
	}
	switch {
	case right == 0 && len(k.hashes) > 0 && (wellFormed || k.auth == "" && k.token != ""): // in clear, it is compared by judge
		if wellFormed && len(keys) > 0 {
			gate.suspects.add(who, k.run, now) // a guess of the other token
		}
		return refusal{failure: failOEToken, text: "Of the token there is only a hash here: send the token itself, in Ias-Rs-Token, over HTTPS."}
	case right == 0:
		gate.suspects.add(who, k.run, now)
		return refusal{failure: failUnauthorized, text: "The token is wrong."}
	case k.auth == "":
		gate.suspects.prove(who, k.run)
		return no
	}
	if no = gate.nonces.take(signed, time.Now()); no.failure == nil {
		gate.suspects.prove(who, k.run)
	}
	return no
}

// still tells whether the enabler would be let in under this view, by what it presented when it came.
func (as *credential) still(v *view, l *link, b *config.Backend) bool {
	keys, asks := v.keys(l.s.relay, l.server, b, l.key.farm)
	right := !asks
	for _, key := range keys {
		right = right || as.known && key == as.key
	}
	return right && as.fits(b) && as.secureEnough(v.of(l.server.Farm).conf).failure == nil
}

package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"regexp"
	"runtime"
	"strings"
	"sync"

	"roundhouse/server/config"
)

// ErrDenied is what Authenticate returns for whoever cannot come in; it does not say why: the audit trail does.
var ErrDenied = errors.New("access denied")

// ErrBusy is returned by Authenticate when too many attempts wait for their hash. It is no verdict: to try again later may help.
var ErrBusy = errors.New("access: too many authentications at once")

// Credentials are what a connection shows. Those that come first decide, and there is no second try with the others: a password,
// a token, a certificate.
type Credentials struct {
	// User and Password. A User beside a token or a certificate must be the user that it belongs to.
	User, Password string
	Token          string
	// Certificate of the client, verified by TLS; nil without.
	Certificate *x509.Certificate
}

// Authenticate returns the identity that goes with credentials: nil and no error when security is off. Errors: ErrDenied, ErrBusy.
//
// Where secrets are hashed it takes the time of a hash, and of those that wait for one: up to seconds, never call it on a loop.
// It takes as long for a user who does not exist as for a wrong password.
func (g *Guard) Authenticate(c Credentials) (*Identity, error) {
	rules := g.rules.Load()
	if !rules.required {
		return nil, nil
	}
	a, way, err := g.find(rules, &c)
	if err != nil {
		g.trail.entry(rules.audit, c.User, way, err)
		return nil, err
	}
	g.trail.entry(rules.audit, a.name, way, nil)
	return a.identity, nil
}

// find returns the account that credentials belong to, and how that was found out.
func (g *Guard) find(rules *compiled, c *Credentials) (a *account, way string, err error) {
	switch {
	case len(c.Password) > maxSecret || len(c.Token) > maxSecret || len(c.User) > maxSecret:
		return nil, "something too long", ErrDenied
	case c.Password != "" || c.User != "" && c.Token == "" && c.Certificate == nil:
		a, err = g.byPassword(rules, c.User, c.Password)
		way = "password"
	case c.Token != "":
		a, err = g.byToken(rules, c.Token)
		way = "token"
	case c.Certificate != nil:
		a, err = byCertificate(rules, c.Certificate)
		way = "certificate"
	default:
		return nil, "nothing", ErrDenied
	}
	if err == nil && c.User != "" && c.User != a.name {
		return nil, way + " of another user", ErrDenied
	}
	return a, way, err
}

func (g *Guard) byPassword(rules *compiled, user, password string) (*account, error) {
	a := rules.users[user]
	if a == nil || a.password == "" {
		if err := g.logins.pretend(rules.decoys, user, password); err != nil {
			return nil, err
		}
		return nil, ErrDenied
	}
	ok, err := g.logins.check(a.password, user, password)
	if err == nil && !ok {
		err = ErrDenied
	}
	return a, err
}

// byToken looks for the user with a token. A plain one is found by its MAC, which tells nothing about how near it was.
func (g *Guard) byToken(rules *compiled, token string) (*account, error) {
	if a := rules.plainTokens[g.logins.mac("token", token)]; a != nil {
		return a, nil
	}
	for _, a := range rules.hashedTokens {
		if ok, err := g.logins.check(a.token, a.name, token); err != nil || ok {
			return a, err
		}
	}
	return nil, ErrDenied
}

// byCertificate finds the user with the common name of a certificate, who must have no secret: else it would be a second way in.
func byCertificate(rules *compiled, cert *x509.Certificate) (*account, error) {
	a := rules.users[cert.Subject.CommonName]
	if a == nil || a.password != "" || a.token != "" {
		return nil, ErrDenied
	}
	return a, nil
}

// hashForm is what config.CheckSecret takes for a hash.
var hashForm = regexp.MustCompile(`^\{pbkdf2-sha256\}i=[1-9][0-9]{3,7}\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]{43}$`)

// hashed tells whether a configured secret is a hash, right or not: it starts with the name of a scheme in braces.
func hashed(secret string) bool {
	name, _, ok := strings.Cut(secret, "}")
	return ok && len(name) > 1 && name[0] == '{' && strings.Trim(name[1:], "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

const (
	maxKnown   = 4096 // authentications that are remembered
	maxWaiting = 512  // different attempts that wait for a hash, or have it made; see ErrBusy
)

// digest stands for a name and a secret, under the key of a logins.
type digest [sha256.Size]byte

// logins checks secrets, and remembers which were right: a hash takes a quarter of a second on purpose, which ten thousand
// clients of the same user should not pay each. It keeps no secret, only MACs under a key that dies with the process.
type logins struct {
	key   [32]byte
	slots chan struct{} // as many as hashes may be made at a time
	// verify is config.CheckSecret but in tests.
	verify func(configured, given string) bool

	mu     sync.Mutex // guards what follows
	epoch  int        // counts calls of forget
	known  map[digest]struct{}
	flying map[digest]*flight
}

// flight is a check under way, which others with the same question wait for.
type flight struct {
	done chan struct{} // closed when ok is set
	ok   bool
}

func newLogins() *logins {
	l := &logins{
		slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), verify: config.CheckSecret,
		known: map[digest]struct{}{}, flying: map[digest]*flight{},
	}
	_, _ = rand.Read(l.key[:]) // never fails
	return l
}

// mac returns what stands for words. No two lists of words have the same.
func (l *logins) mac(words ...string) (d digest) {
	h := hmac.New(sha256.New, l.key[:])
	for _, w := range words {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(w)))
		h.Write(size[:])
		h.Write([]byte(w))
	}
	h.Sum(d[:0])
	return d
}

// pretend takes the time of a check of one of the decoys, for a user always of the same. The error is ErrBusy.
func (l *logins) pretend(decoys []string, user, given string) error {
	if len(decoys) == 0 {
		return nil
	}
	d := l.mac("decoy", user)
	decoy := decoys[binary.BigEndian.Uint64(d[:])%uint64(len(decoys))]
	// Never right: what is remembered would be quick the second time, and tell that it is somebody's secret.
	_, err := l.check(decoy, user, string(l.key[:])+given)
	return err
}

// forget drops what is known, because the rules have changed.
func (l *logins) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epoch++
	clear(l.known)
}

// check tells whether given is the secret that configured stands for. The error is ErrBusy.
func (l *logins) check(configured, user, given string) (bool, error) {
	if !hashed(configured) {
		return l.verify(configured, given), nil
	}
	key := l.mac("secret", configured, user, given)
	l.mu.Lock()
	if _, ok := l.known[key]; ok {
		l.mu.Unlock()
		return true, nil
	}
	if f := l.flying[key]; f != nil {
		l.mu.Unlock()
		<-f.done // it lasts as long as the hashes before it
		return f.ok, nil
	}
	if len(l.flying) >= maxWaiting {
		l.mu.Unlock()
		return false, ErrBusy
	}
	f := &flight{done: make(chan struct{})}
	l.flying[key] = f
	epoch := l.epoch
	l.mu.Unlock()

	defer l.land(key, f, epoch)
	l.slots <- struct{}{}
	defer func() { <-l.slots }()
	f.ok = l.verify(configured, given)
	return f.ok, nil
}

// land ends a flight, and remembers that it was right.
func (l *logins) land(key digest, f *flight, epoch int) {
	l.mu.Lock()
	delete(l.flying, key)
	if f.ok && epoch == l.epoch {
		if len(l.known) >= maxKnown {
			for some := range l.known { // any of them: it costs its user one more hash
				delete(l.known, some)
				break
			}
		}
		l.known[key] = struct{}{}
	}
	l.mu.Unlock()
	close(f.done)
}

package relay

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"roundhouse/server/config"
)

// hashed are the tokens of which the configuration has a bcrypt hash only. Such a token has to be shown itself once; when it was right, its
// digest is kept while the process lives, and from then on it is a token like others, so that signed calls are right as well. Any goroutine.
type hashed struct {
	mu    sync.Mutex                   // guards known
	known map[string][sha256.Size]byte // by hash: as many as configurations have named

	comparing sync.Mutex // held while a hash is compared: one at a time, as each takes a core for up to a second
	waiting   atomic.Int64
}

// mostWaiting is how many calls of enablers may wait for the comparison of their tokens; more are sent away.
const mostWaiting = 16

// add appends the digests of the tokens of a server that have been shown.
func (h *hashed) add(keys [][sha256.Size]byte, b *config.Backend) [][sha256.Size]byte {
	hashes := b.TokenHashes()
	if len(hashes) == 0 {
		return keys
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, hash := range hashes {
		if key, ok := h.known[hash]; ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// unknown returns the hashes of a server whose tokens nobody has shown yet.
func (h *hashed) unknown(b *config.Backend) (hashes []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, hash := range b.TokenHashes() {
		if _, ok := h.known[hash]; !ok {
			hashes = append(hashes, hash)
		}
	}
	return hashes
}

// compare finds out whether a token goes with one of the hashes, and tells whether it was right and whether there was time for it, on
// another goroutine.
func (h *hashed) compare(r *Relay, hashes []string, token string, tell func(right, done bool)) {
	if h.waiting.Add(1) > mostWaiting {
		h.waiting.Add(-1)
		r.work.Go(func() { tell(false, false) }) // ends at once; Close waits for it
		return
	}
	r.work.Go(func() { // ends with the comparisons, or when the relay drains; Close waits for it
		right, done := h.search(r, hashes, token)
		h.waiting.Add(-1)
		tell(right, done)
	})
}

// search is compare in this goroutine.
func (h *hashed) search(r *Relay, hashes []string, token string) (right, done bool) {
	h.comparing.Lock()
	defer h.comparing.Unlock()
	key := sha256.Sum256([]byte(token))
	for _, hash := range hashes {
		if r.draining.Load() {
			return false, false
		}
		h.mu.Lock()
		known, ok := h.known[hash] // another lane of the same enabler may have shown it meanwhile
		h.mu.Unlock()
		if ok && known == key {
			return true, true
		}
		if !ok && config.CheckTokenHash(hash, token) {
			h.mu.Lock()
			if h.known == nil {
				h.known = map[string][sha256.Size]byte{}
			}
			h.known[hash] = key
			h.mu.Unlock()
			return true, true
		}
	}
	return false, true
}

// compareToken has the call wait until its token has been compared. It is judged again when the token was right.
func (k *call) compareToken(c *client, as credential, who suspect) {
	r, run := c.s.relay, k.run
	c.inquire(*k, as, func(tell func(refusal)) {
		r.gate.hashed.compare(r, k.hashes, k.token, func(right, done bool) {
			switch {
			case !done:
				tell(refusal{failure: failBusy, text: "The relay server has too much to do."})
			case right:
				tell(refusal{})
			default:
				r.gate.suspects.add(who, run, time.Now())
				tell(refusal{failure: failUnauthorized, text: "The token is wrong."})
			}
		})
	})
	c.inquiry.again = true
}

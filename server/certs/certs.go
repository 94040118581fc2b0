// Package certs makes the TLS configuration of a listener out of files, and makes it again when they have changed.
//
// A Source has a certificate with its key, and the roots that the certificates of clients must lead to. Its configuration is asked for
// the current ones at each handshake, so what is new holds for the next connection; those that are open keep what they have. When files
// cannot be read, or do not fit together because only one of them has been replaced yet, what was there before stays.
package certs

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Files says what a listener's TLS is made of.
type Files struct {
	// Cert is the file of the certificate, and of those between it and its root, Key that of its private key, in PEM.
	Cert, Key string
	// ClientCA is the file of the roots of clients' certificates, in PEM. Empty: clients are asked for none.
	ClientCA string
	// RequireClient refuses clients without a certificate.
	RequireClient bool
	// Protocols are offered by ALPN; nil: none, whatever a client wants.
	Protocols []string
}

// Source keeps the TLS configuration of a listener. Its methods are safe for concurrent use.
type Source struct {
	// Fixed at start.
	log   *slog.Logger
	base  *tls.Config   // what the listener has: its session ticket keys hold for all that is read
	every time.Duration // the files are looked at that often at most

	current atomic.Pointer[pair]
	looked  atomic.Int64 // when the files were looked at last, in nanoseconds since began
	began   time.Time

	mu       sync.Mutex // guards the rest, and that the files are read by one at a time
	files    Files
	stamps   [3]stamp // of the files as they were read last, rightly or not
	digest   [sha256.Size]byte
	reported string // the last error that was logged; empty: all is well
}

// pair is what was made of the files at one time. It is never changed.
type pair struct {
	cfg      *tls.Config
	notAfter time.Time
}

// checkEvery is how often the files are looked at when there are handshakes.
const checkEvery = time.Second

// New reads the files. log gets what happens to them later; nil: slog.Default().
func New(f Files, log *slog.Logger) (*Source, error) {
	if log == nil {
		log = slog.Default()
	}
	s := &Source{files: f, log: log, every: checkEvery, began: time.Now()}
	s.base = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: f.Protocols, GetConfigForClient: s.configFor}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.readLocked(true); err != nil {
		return nil, err
	}
	return s, nil
}

// Open is New for a listener that speaks TLS only where it has a certificate: without one it returns nil.
func Open(f Files, log *slog.Logger) (*Source, error) {
	if f.Cert == "" {
		return nil, nil
	}
	return New(f, log)
}

// Config is for the listener. It stays the same. That of a nil Source is nil: no TLS.
func (s *Source) Config() *tls.Config {
	if s == nil {
		return nil
	}
	return s.base
}

// NotAfter is when the certificate ends to be right.
func (s *Source) NotAfter() time.Time { return s.current.Load().notAfter }

// Reload reads the files again, whether they have changed or not. After an error, which names the file, what was there before stays. It
// reads from the disk: never call it on a loop.
func (s *Source) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.readLocked(true)
	s.reportLocked(err)
	return err
}

// Change is Reload with other files; Protocols stay as they are. After an error the old files stay as well.
func (s *Source) Change(f Files) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, digest := s.files, s.digest
	f.Protocols = before.Protocols
	s.files, s.digest = f, [sha256.Size]byte{} // what is made of the same texts may be something else
	if err := s.readLocked(true); err != nil {
		s.files, s.digest = before, digest
		return err
	}
	s.reported = ""
	return nil
}

// Update is Change where f has other files than before, and Reload where it has the same. A nil Source has nothing to update.
func (s *Source) Update(f Files) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	before := s.files
	s.mu.Unlock()
	if f.Cert == before.Cert && f.Key == before.Key && f.ClientCA == before.ClientCA && f.RequireClient == before.RequireClient {
		return s.Reload()
	}
	return s.Change(f)
}

// configFor is called at the beginning of each handshake, in its goroutine.
func (s *Source) configFor(*tls.ClientHelloInfo) (*tls.Config, error) {
	now, looked := int64(time.Since(s.began)), s.looked.Load()
	if now-looked >= int64(s.every) && s.looked.CompareAndSwap(looked, now) { // others go on with what there is
		s.mu.Lock()
		s.reportLocked(s.readLocked(false))
		s.mu.Unlock()
	}
	return s.current.Load().cfg, nil
}

// reportLocked logs an error that was not the last one.
func (s *Source) reportLocked(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != s.reported {
		s.log.Error("certificate files are wrong; the old ones stay in force", "error", err)
	}
	s.reported = text
}

// stamp tells whether a file has changed.
type stamp struct {
	info    os.FileInfo
	settled bool // it was old enough that a further change would show
}

// settle is longer than the clock of any file system takes for a step.
const settle = 2 * time.Second

// same tells whether now is what was seen before.
func (st stamp) same(now os.FileInfo) bool {
	return st.settled && st.info != nil && now != nil && os.SameFile(st.info, now) && st.info.Size() == now.Size() && st.info.ModTime().Equal(now.ModTime())
}

// readLocked reads the files and puts them in force when they are new and right. Unless always, files that have not changed are not read.
func (s *Source) readLocked(always bool) error {
	names := []string{s.files.Cert, s.files.Key, s.files.ClientCA}
	var stamps [len(s.stamps)]stamp
	unchanged := s.reported == "" // else they are tried each time: a look is cheap, and a change may not show
	for i, name := range names {
		if name == "" {
			continue
		}
		info, err := os.Stat(name) // before it is read: a change after this shows
		if err != nil {
			return fmt.Errorf("certs: %w", err)
		}
		unchanged = unchanged && s.stamps[i].same(info)
		stamps[i] = stamp{info, time.Since(info.ModTime()) > settle}
	}
	if unchanged && !always {
		return nil
	}
	var texts [len(s.stamps)][]byte
	hash := sha256.New()
	for i, name := range names {
		if name == "" {
			continue
		}
		var err error
		if texts[i], err = readFile(name); err != nil {
			return fmt.Errorf("certs: %s: %w", name, err)
		}
		part := sha256.Sum256(texts[i])
		hash.Write(part[:])
	}
	s.stamps = stamps
	digest := [sha256.Size]byte(hash.Sum(nil))
	if s.current.Load() != nil && digest == s.digest {
		return nil
	}
	p, err := s.make(texts[0], texts[1], texts[2])
	if err != nil {
		return err
	}
	if s.current.Swap(p) != nil {
		s.log.Info("certificate files are read again", "cert", s.files.Cert, "not_after", p.notAfter)
	}
	s.digest = digest
	if left := time.Until(p.notAfter); left < expiresSoon {
		s.log.Warn("the certificate ends soon, or has ended", "cert", s.files.Cert, "not_after", p.notAfter)
	}
	return nil
}

// expiresSoon is how long before its end a certificate is warned of.
const expiresSoon = 7 * 24 * time.Hour

// make returns what the texts of the files say.
func (s *Source) make(cert, key, roots []byte) (*pair, error) {
	m := s.files.judge(cert, key, roots)
	if err := m.faults.err(s.files); err != nil {
		return nil, err
	}
	p := &pair{cfg: &tls.Config{
		MinVersion: s.base.MinVersion, NextProtos: s.files.Protocols, Certificates: []tls.Certificate{m.chain},
		// Small records at the start of a connection would let a browser read sooner; a body of 64 KiB goes twice as fast without.
		DynamicRecordSizingDisabled: true,
	}}
	p.notAfter = m.chain.Leaf.NotAfter
	if m.roots == nil {
		return p, nil
	}
	p.cfg.ClientCAs, p.cfg.ClientAuth = m.roots, tls.VerifyClientCertIfGiven
	if s.files.RequireClient {
		p.cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	t := tickets{keys: s.base, mark: fmt.Appendf(nil, "roundhouse roots %x", sha256.Sum256(roots))}
	p.cfg.WrapSession, p.cfg.UnwrapSession = t.wrap, t.unwrap
	return p, nil
}

// tickets are the session tickets of clients that the same roots have vouched for.
type tickets struct {
	keys *tls.Config
	mark []byte // stands in the extra data of a ticket
}

// wrap notes in a ticket which roots its client was judged by.
func (t tickets) wrap(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
	ss.Extra = append(ss.Extra, t.mark)
	return t.keys.EncryptTicket(cs, ss)
}

// unwrap refuses the ticket of a client that other roots have vouched for: it has to show its certificate again.
func (t tickets) unwrap(identity []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
	ss, err := t.keys.DecryptTicket(identity, cs)
	if err != nil || ss == nil || !slices.ContainsFunc(ss.Extra, func(b []byte) bool { return bytes.Equal(b, t.mark) }) {
		return nil, err // without an error this is a full handshake
	}
	return ss, nil
}

package access

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roundhouse/server/config"
)

// hashOf returns a hashed secret that is quick to check. Those of config.HashSecret take a quarter of a second.
func hashOf(t testing.TB, secret string) string {
	t.Helper()
	hash, ok := quickHashes[secret]
	if !ok || !config.CheckSecret(hash, secret) {
		t.Fatalf("no hash of %q", secret)
	}
	return hash
}

var quickHashes = map[string]string{
	"sesame": "{pbkdf2-sha256}i=1000$c2FsdHNhbHRzZXNhbWU$iN86nO8jSy2HZ1ubYhpcDKUUlcO8cztGUATiOUBSRNc",
	"ticket": "{pbkdf2-sha256}i=1000$c2FsdHNhbHR0aWNrZXQ$CEtZC/zM/dOI4x2fQl/AAeQy1FUXknZ7VLBEoyMIG1I",
}

func certificate(name string) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: name}}
}

func TestAuthenticate(t *testing.T) {
	g := guardOf(t, Rules{Required: true, Users: []User{
		{Name: "plain", Password: "word"}, {Name: "hashed", Password: hashOf(t, "sesame")},
		{Name: "token", Token: "tok"}, {Name: "hashtoken", Token: hashOf(t, "ticket")}, {Name: "cert"},
	}})
	for _, row := range []struct {
		name string
		with Credentials
		want string // the user; "": denied
	}{
		{"plain", Credentials{User: "plain", Password: "word"}, "plain"},
		{"plain, wrong", Credentials{User: "plain", Password: "wor"}, ""},
		{"plain, none", Credentials{User: "plain"}, ""},
		{"hashed", Credentials{User: "hashed", Password: "sesame"}, "hashed"},
		{"hashed, again", Credentials{User: "hashed", Password: "sesame"}, "hashed"},
		{"hashed, wrong", Credentials{User: "hashed", Password: "Sesame"}, ""},
		{"hashed, the hash", Credentials{User: "hashed", Password: quickHashes["sesame"]}, ""},
		{"of another user", Credentials{User: "plain", Password: "sesame"}, ""},
		{"unknown", Credentials{User: "nobody", Password: "sesame"}, ""},
		{"no user", Credentials{Password: "word"}, ""},
		{"user without a password", Credentials{User: "token", Password: ""}, ""},
		{"user without a password, and one", Credentials{User: "token", Password: "x"}, ""},
		{"token", Credentials{Token: "tok"}, "token"},
		{"token and user", Credentials{Token: "tok", User: "token"}, "token"},
		{"token and other user", Credentials{Token: "tok", User: "plain"}, ""},
		{"token, wrong", Credentials{Token: "to"}, ""},
		{"token, hashed", Credentials{Token: "ticket"}, "hashtoken"},
		{"password as a token", Credentials{Token: "word"}, ""},
		{"token as a password", Credentials{User: "token", Password: "tok"}, ""},
		{"certificate", Credentials{Certificate: certificate("cert")}, "cert"},
		{"certificate and user", Credentials{User: "cert", Certificate: certificate("cert")}, "cert"},
		{"certificate and other user", Credentials{User: "plain", Certificate: certificate("cert")}, ""},
		{"certificate, user has a password", Credentials{Certificate: certificate("plain")}, ""},
		{"certificate, user has a token", Credentials{Certificate: certificate("token")}, ""},
		{"certificate, unknown", Credentials{Certificate: certificate("x")}, ""},
		{"certificate, no name", Credentials{Certificate: certificate("")}, ""},
		{"certificate and password", Credentials{User: "plain", Password: "word", Certificate: certificate("cert")}, "plain"},
		{"certificate and wrong password", Credentials{User: "plain", Password: "x", Certificate: certificate("cert")}, ""},
		{"nothing", Credentials{}, ""},
		{"too long", Credentials{User: "plain", Password: strings.Repeat("x", maxSecret+1)}, ""},
	} {
		id, err := g.Authenticate(row.with)
		if id.Name() != row.want || (err == nil) != (row.want != "") || err != nil && !errors.Is(err, ErrDenied) {
			t.Errorf("%s: %q, %v", row.name, id.Name(), err)
		}
	}
	a, _ := g.Authenticate(Credentials{User: "plain", Password: "word"})
	if b, _ := g.Identity("plain"); a != b {
		t.Error("a user has two identities")
	}
	if _, ok := g.Identity("nobody"); ok {
		t.Error("nobody has an identity")
	}
}

func TestNotRequired(t *testing.T) {
	g := guardOf(t, Rules{Users: []User{{Name: "plain", Password: "word"}}})
	if id, err := g.Authenticate(Credentials{User: "plain", Password: "x"}); id != nil || err != nil || g.Required() {
		t.Error(id, err)
	}
	if id, ok := g.Identity("any"); id != nil || !ok {
		t.Error(id, ok)
	}
}

// counted replaces the check of secrets by one that counts, and that waits for gate if that is not nil.
func counted(g *Guard, gate chan struct{}) *atomic.Int64 {
	n := new(atomic.Int64)
	g.logins.verify = func(configured, given string) bool {
		n.Add(1)
		if gate != nil {
			<-gate
		}
		return config.CheckSecret(configured, given)
	}
	return n
}

// Ten thousand clients of the same user cost one hash, and one more when the rules have been replaced.
func TestOneHashForManyClients(t *testing.T) {
	r := Rules{Required: true, Users: []User{{Name: "u", Password: hashOf(t, "sesame")}}}
	g := guardOf(t, r)
	n := counted(g, nil)
	crowd := func(password string) (in int64) {
		var came atomic.Int64
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				for range 10 {
					if _, err := g.Authenticate(Credentials{User: "u", Password: password}); err == nil {
						came.Add(1)
					}
				}
			})
		}
		all.Wait()
		return came.Load()
	}
	if in := crowd("sesame"); in != 10_000 || n.Load() != 1 {
		t.Errorf("%d came in, after %d hashes", in, n.Load())
	}
	if err := g.Replace(r); err != nil {
		t.Fatal(err)
	}
	if in := crowd("sesame"); in != 10_000 || n.Load() != 2 {
		t.Errorf("%d came in, after %d hashes", in, n.Load())
	}
	r.Users[0].Password = hashOf(t, "ticket")
	if err := g.Replace(r); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Authenticate(Credentials{User: "u", Password: "sesame"}); err == nil {
		t.Error("the old password is still good")
	}
}

// A check that was under way when the rules were replaced is not remembered.
func TestForgetWhileChecking(t *testing.T) {
	r := Rules{Required: true, Users: []User{{Name: "u", Password: hashOf(t, "sesame")}}}
	g := guardOf(t, r)
	gate := make(chan struct{})
	n := counted(g, gate)
	done := make(chan error)
	go func() { // ends when gate lets it; done is its end
		_, err := g.Authenticate(Credentials{User: "u", Password: "sesame"})
		done <- err
	}()
	eventually(t, "the check", func() bool { return n.Load() == 1 })
	if err := g.Replace(r); err != nil {
		t.Fatal(err)
	}
	close(gate)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := g.Authenticate(Credentials{User: "u", Password: "sesame"}); err != nil || n.Load() != 2 {
		t.Error(err, n.Load())
	}
}

// An unknown user costs as many hashes as a wrong password, however often he comes, and whatever he says.
func TestUnknownUserCostsTheSame(t *testing.T) {
	g := guardOf(t, Rules{Required: true, Users: []User{{Name: "u", Password: hashOf(t, "sesame")}, {Name: "cert"}}})
	n := counted(g, nil)
	for i, c := range []Credentials{
		{User: "u", Password: "wrong"}, {User: "u", Password: "wrong"}, {User: "x", Password: "wrong"}, {User: "x", Password: "wrong"},
		{User: "x", Password: "sesame"}, {User: "x", Password: "sesame"}, {User: "cert", Password: "sesame"}, {User: "", Password: "sesame"},
		{User: "x"}, {User: "u"},
	} {
		if _, err := g.Authenticate(c); !errors.Is(err, ErrDenied) || n.Load() != int64(i+1) {
			t.Errorf("%+v: %v, %d hashes so far", c, err, n.Load())
		}
	}
}

// There is a bound on the hashes that are made, and on those who wait for one.
func TestTooManyAtOnce(t *testing.T) {
	log := new(record)
	g, err := New(Rules{Required: true, Users: []User{{Name: "u", Password: hashOf(t, "sesame")}}}, log.logger(slog.LevelInfo))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	gate := make(chan struct{})
	n := counted(g, gate)
	var all sync.WaitGroup
	for i := range maxWaiting {
		all.Go(func() {
			if _, err := g.Authenticate(Credentials{User: "u", Password: fmt.Sprint("wrong", i)}); !errors.Is(err, ErrDenied) {
				t.Error(err)
			}
		})
	}
	eventually(t, "the crowd", func() bool {
		g.logins.mu.Lock()
		defer g.logins.mu.Unlock()
		return len(g.logins.flying) == maxWaiting && n.Load() == int64(cap(g.logins.slots))
	})
	if _, err := g.Authenticate(Credentials{User: "u", Password: "sesame"}); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	if _, err := g.Authenticate(Credentials{User: "x", Password: "sesame"}); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	close(gate)
	all.Wait()
	if _, err := g.Authenticate(Credentials{User: "u", Password: "sesame"}); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "too many authentications") {
		t.Error("the log does not say that it was busy")
	}
}

func TestKnownIsBounded(t *testing.T) {
	l := newLogins()
	l.verify = func(string, string) bool { return true }
	for i := range maxKnown + 10 {
		if ok, err := l.check(quickHashes["sesame"], "u", fmt.Sprint(i)); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if len(l.known) != maxKnown {
		t.Errorf("%d are remembered", len(l.known))
	}
}

// The trail tells who was let in and who was not, and no secret; in a flood it counts.
func TestTrail(t *testing.T) {
	for _, row := range []struct {
		audit         Audit
		level         slog.Level
		granted, deny bool
	}{
		{AuditDenials, slog.LevelInfo, false, true}, {AuditDenials, slog.LevelDebug, true, true},
		{AuditGrants, slog.LevelInfo, true, true}, {AuditNothing, slog.LevelDebug, false, false},
	} {
		log := new(record)
		r := someRules(t, "allow alice publish rtworks /a")
		r.Audit = row.audit
		r.Users[0].Password = hashOf(t, "sesame")
		g, err := New(r, log.logger(row.level))
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		now := time.Unix(1000, 0)
		g.trail.now = func() time.Time { return now }
		mark := len(log.String())
		told := func() string { s := log.String()[mark:]; mark += len(s); return s }
		expect := func(what string, tell bool, parts ...string) {
			t.Helper()
			got := told()
			if tell != (got != "") || strings.Contains(got, "sesame") {
				t.Errorf("%+v: %s: told %q", row, what, got)
			}
			for _, part := range parts {
				if tell && !strings.Contains(got, part) {
					t.Errorf("%+v: %s: told %q", row, what, got)
				}
			}
		}
		alice, _ := g.Authenticate(Credentials{User: "alice", Password: "sesame"})
		expect("enter", row.granted, "access granted", "user=alice", "verb=enter", "by=password")
		_, _ = g.Authenticate(Credentials{User: "bob", Password: "sesame"})
		expect("not enter", row.deny, "access denied", "user=bob")
		alice.May(Publish, "rtworks", "/a")
		expect("publish", row.granted, "verb=publish", "project=rtworks", "subject=/a")
		alice.May(Publish, "rtworks", "/b")
		expect("not publish", row.deny, "access denied", "subject=/b")
		alice.MayAdmin(-30)
		expect("order", row.deny, "message_type=-30")
		now = now.Add(time.Second)
		for range trailRate + 50 {
			alice.May(Publish, "rtworks", "/b")
		}
		if n := strings.Count(told(), "\n"); row.deny && n != trailRate {
			t.Errorf("%d records of a flood", n)
		}
		now = now.Add(time.Second)
		alice.May(Publish, "rtworks", "/b")
		expect("after a flood", row.deny, "not_told=50")
	}
}

package server_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"roundhouse/server/config"
)

// startHashed starts a relay that has of the tokens of s1 bcrypt hashes only; that of s2 is another one.
func startHashed(t *testing.T) *securedRelay {
	t.Helper()
	hash := func(token string) string {
		h, err := bcrypt.GenerateFromPassword([]byte(token), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		return "bcrypt:" + string(h)
	}
	return startSecured(t, func(cfg *config.Config) {
		cfg.Relay.Backends[0].Token, cfg.Relay.Backends[0].SecondToken = hash("secret"), hash("the next")
		cfg.Relay.Backends[1].Token, cfg.Relay.Backends[1].SecondToken = "plain", hash("secret of s2")
	})
}

// TestHashedTokens calls a relay that has hashes of the tokens.
func TestHashedTokens(t *testing.T) {
	s := startHashed(t)
	client := s.httpClient(t, "")
	secured := "https://" + s.tlsAddr + "/srv/iarelayserver"
	sign := func(id, token string) []string {
		return enablerCall("f", id, "r1", "Ias-Rs-Auth", signed(token, "f", id, "r1", time.Now(), newNonce()))
	}
	show := func(id, token string) []string { return enablerCall("f", id, "r1", "Ias-Rs-Token", token) }
	check := func(what string, fields []string, want string) {
		t.Helper()
		resp := calling(t, client, "POST", secured, fields...)
		if got := fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Ias-Rs-Error")); got != want {
			t.Errorf("%s: %s, want %s (%s)", what, got, want, resp.Header.Get("Ias-Rs-Error-Text"))
		}
	}
	check("signed before it was shown", sign("s1", "secret"), "401 2011")
	check("rubbish for a signature", enablerCall("f", "s1", "r1", "Ias-Rs-Auth", "x"), "401 2001")
	check("nothing", enablerCall("f", "s1", "r1"), "401 2001")
	check("shown, wrong", show("s1", "guess"), "401 2001")
	check("shown, the hash itself", show("s1", s.cfg.Relay.Backends[0].Token), "401 2001")
	check("shown", show("s1", "secret"), "200 ")
	check("signed", sign("s1", "secret"), "200 ")
	check("the other one, signed before it was shown", sign("s1", "the next"), "401 2011")
	check("the other one, shown", show("s1", "the next"), "200 ")
	check("the other one, signed", sign("s1", "the next"), "200 ")
	check("signed, wrong, when all are known", sign("s1", "guess"), "401 2001")
	check("shown, wrong, when all are known", show("s1", "guess"), "401 2001")
	check("another server's", show("s2", "secret"), "401 2001")
	check("one that is not hashed, signed", sign("s2", "plain"), "200 ")
	check("longer than bcrypt looks at", show("s2", strings.Repeat("x", 73)), "401 2001")
	for range 9 {
		resp := calling(t, client, "POST", secured, show("s2", "guess")...)
		if resp.StatusCode == http.StatusTooManyRequests {
			break
		}
	}
	check("after ten guesses", show("s2", "secret of s2"), "429 2009")
	if s.log.has("secret of s2") || s.log.has("$2a$") {
		t.Error("a token or its hash is in the log")
	}
}

// TestHashedTokenOfEnabler has an enabler whose token the relay has as a hash: over HTTPS it comes in, over HTTP it never sends the token.
func TestHashedTokenOfEnabler(t *testing.T) {
	s := startHashed(t)
	backend := startBackend(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here") })
	between := sniff(t, s.addr)
	e := runEnablerWith(t, s.relayUnderTest, "s1", backend, "secret", func(cfg *config.Enabler) {
		cfg.Relays[0].Host, cfg.Relays[0].Port = split(t, between.Addr().String())
	})
	eventually(t, "advice about HTTPS", func() bool { return e.log.has("only a bcrypt hash of the token") })
	e.stop(t)
	if head := between.head("peers"); !strings.Contains(head, "Ias-Rs-Auth: ") || strings.Contains(head, "secret") {
		t.Errorf("over HTTP: %s", head)
	}

	e = startEnablerWith(t, s.relayUnderTest, "s1", backend, func(cfg *config.Enabler) {
		cfg.Relays[0].Host, cfg.Relays[0].Port = split(t, s.tlsAddr)
		cfg.Relays[0].HTTPS, cfg.Relays[0].TLS.TrustedCertificates = true, filepath.Join(s.dir, "ca.pem")
	})
	if status, body := s.get("/"); status != http.StatusOK || body != "here" {
		t.Errorf("%d %s", status, body)
	}
	if e.log.has("secret") || s.log.has("token=") {
		t.Error("the token is in a log")
	}

	next := *s.cfg // what the enabler has shown holds after a reload as well
	next.Relay.Description = "another one"
	if _, err := s.server.Reload(&next); err != nil {
		t.Fatal(err)
	}
	if status, body := s.get("/"); status != http.StatusOK || body != "here" || s.log.has("would not be let in any more") {
		t.Errorf("after a reload: %d %s", status, body)
	}
	gone := next
	gone.Relay.Backends = append([]config.Backend(nil), next.Relay.Backends...)
	gone.Relay.Backends[0].Token, gone.Relay.Backends[0].SecondToken = gone.Relay.Backends[0].SecondToken, ""
	if _, err := s.server.Reload(&gone); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the enabler is sent away with its token", func() bool { return s.log.has("would not be let in any more") })
}

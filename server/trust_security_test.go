package server_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roundhouse/server/certs/certstest"
	"roundhouse/server/config"
)

// securedRelay is a relay that listens with TLS as well.
type securedRelay struct {
	*relayUnderTest
	tlsAddr string
	ca      *certstest.Authority
	dir     string
}

// startSecured starts a relay with a certificate; who connects may show one of the same authority.
func startSecured(t testing.TB, change func(*config.Config)) *securedRelay {
	t.Helper()
	s := &securedRelay{ca: certstest.New(t, "authority"), dir: t.TempDir()}
	s.issue(t, "first")
	ca := certstest.Write(t, s.dir, "ca.pem", s.ca.PEM())
	s.relayUnderTest = startRelay(t, func(cfg *config.Config) {
		cfg.Relay.TLS = config.RelayTLS{Listen: []string{"127.0.0.1:0"}, Cert: filepath.Join(s.dir, "cert.pem"), Key: filepath.Join(s.dir, "key.pem"), ClientCA: ca}
		if change != nil {
			change(cfg)
		}
	})
	s.tlsAddr = s.server.RelayAddrs()[1].String()
	return s
}

func (s *securedRelay) issue(t testing.TB, name string) {
	t.Helper()
	cert, key := s.ca.Issue(t, pkix.Name{CommonName: name})
	certstest.Write(t, s.dir, "key.pem", key)
	certstest.Write(t, s.dir, "cert.pem", cert)
}

// client asks over fresh connections, and shows a certificate of that subject unless it is empty.
func (s *securedRelay) httpClient(t testing.TB, subject string) *http.Client {
	t.Helper()
	cfg := &tls.Config{RootCAs: s.ca.Pool()}
	if subject != "" {
		cert, key := s.ca.Issue(t, pkix.Name{CommonName: subject})
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// calling asks for url with fields, and returns the answer without its body.
func calling(t testing.TB, c *http.Client, method, url string, fields ...string) *http.Response {
	t.Helper()
	q, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		q.Header.Set(fields[i], fields[i+1])
	}
	resp, err := c.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body) // what matters is in the head
	resp.Body.Close()
	return resp
}

// securityFarms has a farm for every state of client_security and backend_security, with a server s1.
func securityFarms(trusted bool) func(*config.Config) {
	return func(cfg *config.Config) {
		cfg.Relay.Farms, cfg.Relay.Backends = nil, nil
		for _, state := range []string{"", "on", "off", "redirect"} {
			f := config.DefaultFarm()
			f.ID, f.ClientSecurity = "farm-"+state, state
			if state != "redirect" {
				f.BackendSecurity = state
			}
			b := config.DefaultBackend()
			b.Farm, b.ID, b.Token = f.ID, "s1", "secret"
			cfg.Relay.Farms, cfg.Relay.Backends = append(cfg.Relay.Farms, f), append(cfg.Relay.Backends, b)
		}
		if trusted {
			cfg.Relay.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		}
	}
}

// TestAcceptance04 holds clients and enablers to the scheme of their farm: over HTTP, over HTTPS, and through proxies that are trusted or not.
func TestAcceptance04(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		s := startSecured(t, securityFarms(trusted))
		c := s.httpClient(t, "")
		for _, scheme := range []string{"http", "https"} {
			for _, said := range []string{"", "http", "https", "http, https"} {
				https := scheme == "https"
				if trusted && said != "" {
					https = strings.HasSuffix(said, "https")
				}
				base := map[string]string{"http": "http://" + s.addr, "https": "https://" + s.tlsAddr}[scheme]
				fields := []string{"X-Forwarded-Proto", said}
				if said == "" {
					fields = nil
				}
				for _, state := range []string{"", "on", "off", "redirect"} {
					what := fmt.Sprintf("trusted %v, over %s, said %q, security %q", trusted, scheme, said, state)
					checkClientSecurity(t, what, calling(t, c, "GET", base+"/cli/iarelayserver/farm-"+state+"/p?q", fields...), state, https, s.tlsAddr)
					resp := calling(t, c, "POST", base+"/srv/iarelayserver", append([]string{"Ias-Rs-Op", "peers", "Ias-Rs-Proto", "1",
						"Ias-Rs-Farm", "farm-" + state, "Ias-Rs-Server", "s1", "Ias-Rs-Token", "secret"}, fields...)...)
					wrong := state == "on" && !https || state == "off" && https
					if want := map[bool]string{true: "403 2004", false: "200 "}[wrong]; fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Ias-Rs-Error")) != want {
						t.Errorf("%s: an enabler gets %d %s, want %s", what, resp.StatusCode, resp.Header.Get("Ias-Rs-Error"), want)
					}
				}
			}
		}
	}
}

func checkClientSecurity(t *testing.T, what string, resp *http.Response, state string, https bool, tlsAddr string) {
	t.Helper()
	want, location := "503 1101", "" // it is let in: nobody serves the farm
	switch {
	case state == "on" && !https:
		want = "403 1004"
	case state == "off" && https:
		want = "403 1005"
	case state == "redirect" && !https:
		want, location = "308 1004", "https://"+tlsAddr+"/cli/iarelayserver/farm-redirect/p?q"
	}
	if got := fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Ias-Rs-Error")); got != want || resp.Header.Get("Location") != location {
		t.Errorf("%s: a client gets %s, %q; want %s, %q", what, got, resp.Header.Get("Location"), want, location)
	}
}

// enablerCall are the fields of a call for the list of relay servers.
func enablerCall(farm, id, run string, more ...string) []string {
	return append([]string{"Ias-Rs-Op", "peers", "Ias-Rs-Proto", "2", "Ias-Rs-Farm", farm, "Ias-Rs-Server", id, "Ias-Rs-Oe-Id", run}, more...)
}

// signed is the value of Ias-Rs-Auth for that call.
func signed(token, farm, id, run string, at time.Time, nonce [16]byte) string {
	ts, n, key := strconv.FormatInt(at.Unix(), 10), hex.EncodeToString(nonce[:]), sha256.Sum256([]byte(token))
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(strings.Join([]string{"Ias-Rs-Proto: 2", "POST", "peers", farm, id, run, "", "", ts, n}, "\n")))
	return ts + "," + n + "," + hex.EncodeToString(mac.Sum(nil))
}

func newNonce() (n [16]byte) {
	_, _ = rand.Read(n[:]) // never fails
	return n
}

// TestAcceptance03 has the same id in two farms, and enablers that are refused for every reason.
func TestAcceptance03(t *testing.T) {
	hashed := sha256.Sum256([]byte("token of g"))
	s := startSecured(t, func(cfg *config.Config) {
		f, g, off := config.DefaultFarm(), config.DefaultFarm(), config.DefaultFarm()
		f.ID, g.ID, off.ID, off.Enable = "f", "g", "off", false
		cfg.Relay.Farms = []config.Farm{f, g, off}
		cfg.Relay.Backends = nil
		cfg.Relay.Trust.PlainTokens = false
		add := func(farm, id, token string, change func(*config.Backend)) {
			b := config.DefaultBackend()
			b.Farm, b.ID, b.Token = farm, id, token
			if change != nil {
				change(&b)
			}
			cfg.Relay.Backends = append(cfg.Relay.Backends, b)
		}
		add("f", "s", "token of f", func(b *config.Backend) { b.SecondToken = "next token of f" })
		add("g", "s", "sha256:"+hex.EncodeToString(hashed[:]), nil)
		add("off", "s", "secret", nil)
		add("f", "off", "secret", func(b *config.Backend) { b.Enable = false })
		add("f", "mac", "secret", func(b *config.Backend) { b.MAC = []string{"01-23-45-67-89-ab", "02-00-00-00-00-0f"} })
		add("f", "cert", "secret", func(b *config.Backend) { b.CertificateSubject = "CN = enabler-*" })
		add("f", "open", "", nil)
	})
	plain, secured := "http://"+s.addr+"/srv/iarelayserver", "https://"+s.tlsAddr+"/srv/iarelayserver"
	now, replayed := time.Now(), newNonce()
	sign := func(token, farm, id string) []string {
		return enablerCall(farm, id, "r1", "Ias-Rs-Auth", signed(token, farm, id, "r1", now, newNonce()))
	}
	rows := []struct {
		name, url, subject string
		fields             []string
		want               string
	}{
		{"token of its farm, signed", plain, "", sign("token of f", "f", "s"), "200 "},
		{"second token, signed", plain, "", sign("next token of f", "f", "s"), "200 "},
		{"token that is kept as a digest, signed", plain, "", sign("token of g", "g", "s"), "200 "},
		{"token over TLS", secured, "", enablerCall("g", "s", "r1", "Ias-Rs-Token", "token of g"), "200 "},
		{"right token in clear", plain, "", enablerCall("f", "s", "r1", "Ias-Rs-Token", "token of f"), "401 2001"},
		{"token of the other farm", plain, "", sign("token of g", "f", "s"), "401 2001"},
		{"token of the other farm over TLS", secured, "", enablerCall("f", "s", "r1", "Ias-Rs-Token", "token of g"), "401 2001"},
		{"digest for a token", secured, "", enablerCall("g", "s", "r1", "Ias-Rs-Token", "sha256:"+hex.EncodeToString(hashed[:])), "401 2001"},
		{"nothing", secured, "", enablerCall("f", "s", "r1"), "401 2001"},
		{"rubbish for a signature", plain, "", enablerCall("f", "s", "r1", "Ias-Rs-Auth", "1,2,3"), "401 2001"},
		{"signature for another run", plain, "", enablerCall("f", "s", "r2", "Ias-Rs-Auth", signed("token of f", "f", "s", "r1", now, newNonce())), "401 2001"},
		{"signature beside a right token", secured, "", enablerCall("f", "s", "r1", "Ias-Rs-Token", "token of f", "Ias-Rs-Auth", "x"), "401 2001"},
		{"signature of yesterday", plain, "", enablerCall("f", "s", "r1", "Ias-Rs-Auth", signed("token of f", "f", "s", "r1", now.Add(-24*time.Hour), newNonce())), "401 2001"},
		{"signature of tomorrow", plain, "", enablerCall("f", "s", "r1", "Ias-Rs-Auth", signed("token of f", "f", "s", "r1", now.Add(24*time.Hour), newNonce())), "401 2001"},
		{"signature", plain, "", enablerCall("f", "s", "r1", "Ias-Rs-Auth", signed("token of f", "f", "s", "r1", now, replayed)), "200 "},
		{"signature again", plain, "", enablerCall("f", "s", "r1", "Ias-Rs-Auth", signed("token of f", "f", "s", "r1", now, replayed)), "401 2001"},
		{"unknown farm", plain, "", sign("secret", "F", "s"), "404 2002"},
		{"unknown server", plain, "", sign("token of f", "f", "S"), "404 2002"},
		{"farm that is disabled", plain, "", sign("secret", "off", "s"), "403 2003"},
		{"server that is disabled", plain, "", sign("secret", "f", "off"), "403 2003"},
		{"server that is disabled, wrong token", plain, "", sign("guess", "f", "off"), "401 2001"},
		{"no adapter", plain, "", sign("secret", "f", "mac"), "401 2001"},
		{"other adapters", plain, "", append(sign("secret", "f", "mac"), "Ias-Rs-Mac", "01-23-45-67-89-ac,02-00-00-00-00-0e"), "401 2001"},
		{"one adapter of several", plain, "", append(sign("secret", "f", "mac"), "Ias-Rs-Mac", "01-23-45-67-89-ac, 02-00-00-00-00-0F"), "200 "},
		{"no certificate", secured, "", sign("secret", "f", "cert"), "401 2001"},
		{"certificate of another", secured, "client-1", sign("secret", "f", "cert"), "401 2001"},
		{"certificate", secured, "enabler-1", sign("secret", "f", "cert"), "200 "},
		{"no token is demanded", plain, "", enablerCall("f", "open", "r1"), "200 "},
		{"other protocol", plain, "", append(enablerCall("f", "open", "r1"), "Ias-Rs-Proto", "3"), "426 2006"},
	}
	for _, row := range rows {
		resp := calling(t, s.httpClient(t, row.subject), "POST", row.url, row.fields...)
		if got := fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Ias-Rs-Error")); got != row.want {
			t.Errorf("%s: %s, want %s (%s)", row.name, got, row.want, resp.Header.Get("Ias-Rs-Error-Text"))
		}
		if row.want != "200 " && resp.Header.Get("Date") == "" {
			t.Errorf("%s: no Date", row.name)
		}
	}
	if want := "mac=01-23-45-67-89-ac!02-00-00-00-00-0e"; !s.log.has(want) {
		t.Errorf("the relay's log has no %s", want)
	}
	e := runEnablerWith(t, s.relayUnderTest, "mac", "127.0.0.1:9", "secret", func(e *config.Enabler) { e.MACs = []string{"aa-bb-cc-dd-ee-ff"} })
	eventually(t, "the enabler says why, and which adapters it has", func() bool {
		return e.log.has("RSE_OE_UNAUTHORIZED") && e.log.has("mac=aa-bb-cc-dd-ee-ff")
	})
}

// TestAcceptance17 brings a second run of an enabler: it gets the place of one that is gone or silent, and of no other. Ten wrong tokens
// silence an address for a server.
func TestAcceptance17(t *testing.T) {
	r := startRelay(t, nil)
	url, c := "http://"+r.addr+"/srv/iarelayserver", &http.Client{Timeout: patience}
	second := func(id, want string) {
		t.Helper()
		resp := calling(t, c, "POST", url, enablerCall("f", id, "another", "Ias-Rs-Token", "secret")...)
		if got := fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Ias-Rs-Error")); got != want {
			t.Errorf("%s: the second run gets %s, want %s", id, got, want)
		}
	}
	startEnabler(t, r, "s1", startBackend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") }))
	second("s1", "409 2005")
	if status, body := r.get("/"); status != 200 || body != "fine" {
		t.Errorf("the first run serves %d, %q", status, body)
	}

	silent := joinRawLane(t, r, "f", "s2")
	began := time.Now()
	second("s2", "200 ")
	if took := time.Since(began); took < time.Second || took > time.Second+slack {
		t.Errorf("it took %v to see that nobody is there", took)
	}
	silent.isClosed()

	dead := joinRawLane(t, r, "f", "s3")
	dead.up.Close()
	dead.down.Close()
	eventually(t, "the relay sees that the lane is gone", func() bool { return r.log.has(`msg="lane down" farm=f server=s3`) })
	began = time.Now()
	second("s3", "200 ")
	if took := time.Since(began); took > slack {
		t.Errorf("it took %v to let in a run whose predecessor is gone", took)
	}

	for i := range 12 {
		resp := calling(t, c, "POST", url, enablerCall("f", "s3", "guesser", "Ias-Rs-Token", "guess")...)
		if want := map[bool]int{true: 401, false: 429}[i < 10]; resp.StatusCode != want {
			t.Errorf("wrong token %d: %d, want %d", i+1, resp.StatusCode, want)
		} else if after, _ := strconv.Atoi(resp.Header.Get("Retry-After")); want == 429 && (after < 50 || after > 60) {
			t.Errorf("Retry-After is %q", resp.Header.Get("Retry-After"))
		}
	}
	second("s3", "200 ") // it has been here, and cannot be locked out
	if resp := calling(t, c, "POST", url, enablerCall("f", "s3", "unknown", "Ias-Rs-Token", "secret")...); resp.StatusCode != 429 {
		t.Errorf("an enabler that nobody knows gets %d", resp.StatusCode)
	}
	resp := calling(t, c, "POST", url, enablerCall("f", "s2", "another", "Ias-Rs-Token", "secret")...)
	if resp.StatusCode != 200 {
		t.Errorf("an enabler of another server gets %d", resp.StatusCode)
	}
}

// TestAutoConfig serves a farm that is not configured.
func TestAutoConfig(t *testing.T) {
	r := startRelay(t, func(cfg *config.Config) { cfg.Relay.Trust.AutoConfig = "new-*=the secret" })
	backend := startBackend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") })
	run := func(farm, token string) *enabler {
		return runEnablerWith(t, r, "s9", backend, token, func(e *config.Enabler) { e.Farm = farm })
	}
	for _, farm := range []string{"new-1", "new-2"} {
		run(farm, "the secret")
		eventually(t, farm+" is served", func() bool { return ask("GET", "http://"+r.addr+"/cli/iarelayserver/"+farm+"/", "").status == 200 })
	}
	run("f", "secret")
	eventually(t, "a server that auto_config has no farm for is refused", func() bool { return r.log.has("farm=f server=s9") })
	wrong := run("new-3", "guess")
	eventually(t, "the wrong secret is refused", func() bool { return wrong.log.has("RSE_OE_UNAUTHORIZED") })
	if got := ask("GET", "http://"+r.addr+"/cli/iarelayserver/new-3/", "").status; got != 404 {
		t.Errorf("a farm of nobody: %d", got)
	}
}

// TestPromise25 changes the certificate again and again while clients come: no handshake fails.
func TestPromise25(t *testing.T) {
	rotations := 5
	if isFull() {
		rotations = 100
	}
	s := startSecured(t, nil)
	startEnabler(t, s.relayUnderTest, "s1", startBackend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") }))
	var stop atomic.Bool
	var sent, answered atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		c := s.httpClient(t, "client") // of which each request has a handshake
		clients.Go(func() {            // ends with stop
			for !stop.Load() {
				sent.Add(1)
				resp, err := c.Get("https://" + s.tlsAddr + "/cli/iarelayserver/f/")
				if err != nil {
					t.Error(err)
					continue
				}
				if resp.StatusCode == 200 {
					answered.Add(1)
				} else {
					t.Error(resp.Status)
				}
				resp.Body.Close()
			}
		})
	}
	for i := range rotations {
		name := fmt.Sprint("rotation ", i)
		s.issue(t, name)
		if _, err := s.server.Reload(s.cfg); err != nil {
			t.Fatal(err)
		}
		nc, err := tls.Dial("tcp", s.tlsAddr, &tls.Config{RootCAs: s.ca.Pool()})
		if err != nil {
			t.Fatal(err)
		}
		if got := nc.ConnectionState().PeerCertificates[0].Subject.CommonName; got != name {
			t.Errorf("after %s the certificate is %s", name, got)
		}
		nc.Close()
		now := sent.Load()
		eventually(t, "clients come", func() bool { return sent.Load() >= now+20 || t.Failed() })
	}
	stop.Store(true)
	clients.Wait()
	t.Logf("%d rotations: %d sent with a handshake each, %d answered, %d lost", rotations, sent.Load(), answered.Load(), sent.Load()-answered.Load())
}

// TestX509Identity tells the back end who the client is, by his certificate; a forwarder may say it of others.
func TestX509Identity(t *testing.T) {
	s := startSecured(t, func(cfg *config.Config) {
		cfg.Loops = 1
		f := &cfg.Relay.Farms[0]
		f.ForwardX509Identity, f.ForwarderCertificateSubject, f.ForwarderCertificateIssuer = true, "CN=forwarder-*", "CN=authority"
		for _, form := range []string{"client-cert", "x-client-cert"} {
			other, b := *f, cfg.Relay.Backends[0]
			other.ID, b.Farm, other.X509Fields = form, form, form
			cfg.Relay.Farms, cfg.Relay.Backends = append(cfg.Relay.Farms, other), append(cfg.Relay.Backends, b)
			f = &cfg.Relay.Farms[0]
		}
	})
	backend := startRawBackend(t, mirror)
	startEnabler(t, s.relayUnderTest, "s1", backend)
	for _, farm := range []string{"client-cert", "x-client-cert"} {
		runEnablerWith(t, s.relayUnderTest, "s1", backend, "secret", func(e *config.Enabler) { e.Farm = farm })
		eventually(t, "lane up", func() bool { return s.log.has(`msg="lane up" farm=` + farm) })
	}
	get := func(farm, subject string, fields ...string) string {
		t.Helper()
		q, err := http.NewRequest("GET", "https://"+s.tlsAddr+"/cli/iarelayserver/"+farm+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(fields); i += 2 {
			q.Header[fields[i]] = []string{fields[i+1]}
		}
		resp, err := s.httpClient(t, subject).Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	forged := []string{"SSL_CLIENT_CERT", "forged", "SSL-Client-Cert", "forged", "Client-Cert", "forged", "Ssl_Cipher", "forged", "Client-Cert-Chain", "forged"}
	for _, row := range []struct {
		subject    string
		lines      int
		has, hasNo string
	}{
		{"", 0, "X-Forwarded-Proto: https", "SSL_"},
		{"joe", 3, "|SSL_CIPHER_USEKEYSIZE: ", "forged"},
		{"forwarder-1", 2, "|SSL_CLIENT_CERT: forged|", "SSL-Client-Cert"},
	} {
		body := get("f", row.subject, forged...)
		if n := strings.Count(strings.ToUpper(body), "|SSL_C"); n != row.lines || !strings.Contains(body, row.has) || strings.Contains(body, row.hasNo) {
			t.Errorf("%q: %s", row.subject, body)
		}
	}
	for _, row := range []struct{ farm, subject, want string }{
		{"client-cert", "joe", `(?s)\|Client-Cert: :MII[A-Za-z0-9+/=]+:\|`},
		{"client-cert", "forwarder-1", `\|Client-Cert: forged\|`},
		{"x-client-cert", "joe", `\|X-Client-Cert: MII[A-Za-z0-9+/=]+\|`},
	} {
		body := get(row.farm, row.subject, forged...)
		if !regexp.MustCompile(row.want).MatchString(body) || strings.Contains(body, "forged") != (row.subject != "joe") {
			t.Errorf("%+v: %s", row, body)
		}
	}
}

package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roundhouse/server/config"
)

const dialInToken = "correct-horse"

// startDialIn starts a server that starts no engine itself, and returns where engines dial in.
func startDialIn(t *testing.T, change func(*config.Config)) (s *engineUnderTest, at string) {
	t.Helper()
	s = startEngines(t, func(cfg *config.Config) {
		cfg.Engine.Types, cfg.Engine.Defaults.EngineType = nil, ""
		cfg.Engine.DialIn.Listen, cfg.Engine.DialIn.Token = []string{"127.0.0.1:0"}, dialInToken
		cfg.Engine.Client.LazyLogin = true
		if change != nil {
			change(cfg)
		}
	})
	addrs := s.server.EngineAddrs()
	return s, addrs[len(addrs)-1].String()
}

// dialIn starts an engine of the real program that dials in.
func dialIn(t *testing.T, engine, at, token string, more ...string) *child {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	rewrite(t, file, token+"\n")
	return start(t, binary(t, "roundhouse"), append([]string{"engine", engine, "--dial", at, "--token-file", file}, more...)...)
}

// dialledIn waits until so many engines have dialled in.
func (s *engineUnderTest) dialledIn(n int) {
	s.t.Helper()
	s.eventuallyRows("engines that have dialled in", func(rows []engineRow) bool {
		return len(slices.DeleteFunc(rows, func(r engineRow) bool { return !strings.Contains(r.name, "@127.0.0.1:") })) == n
	})
}

// TestEngineDialIn serves with an engine that the server has not started.
func TestEngineDialIn(t *testing.T) {
	s, at := startDialIn(t, nil)
	c := connect(t, s.addr, block)
	waits := make(chan error, 1)
	go func() { // ends with its answer, which is waited for
		got, err := execute(c, "early")
		if err == nil && got != "early" {
			t.Errorf("%q", got)
		}
		waits <- err
	}()
	wrong := dialIn(t, "echo", at, "wrong")
	if code := wrong.exit(); code == 0 {
		t.Error("an engine with the wrong token ends well")
	}
	s.logged("an engine that dialled in has the wrong token")
	if rows := s.rows(); len(rows) != 0 {
		t.Errorf("%+v", rows)
	}
	e := dialIn(t, "echo", at, dialInToken)
	if err := <-waits; err != nil {
		t.Error(err)
	}
	answers(t, c, "a", "a")
	other := block
	other.User = "other"
	answers(t, connect(t, s.addr, other), "b", "b") // the engine logs in again
	answers(t, c, "c", "c")
	refused := block
	refused.User = "refused"
	fails(t, connect(t, s.addr, refused), "Login failed: user refused is refused", "d")
	answers(t, c, "e", "e")
	s.dialledIn(1)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if code := e.exit(); code != 0 {
		t.Errorf("the server drained, and the engine's exit code is %d", code)
	}
}

// TestEngineDialInApplications has engines for different applications.
func TestEngineDialInApplications(t *testing.T) {
	s, at := startDialIn(t, func(cfg *config.Config) { cfg.Engine.Defaults.QueueTimeout = 3 * time.Second })
	dialIn(t, "upper", at, dialInToken, "--apps", "first,second")
	dialIn(t, "echo", at, dialInToken, "--apps", "THIRD")
	s.dialledIn(2)
	for _, row := range []struct{ application, want string }{{"FIRST", "X"}, {"Third", "x"}, {"second", "X"}, {"third", "x"}} {
		cr := block
		cr.Application = row.application
		answers(t, connect(t, s.addr, cr), row.want, "x")
	}
	cr := block
	cr.Application = "FOURTH"
	fails(t, connect(t, s.addr, cr), "Timed out waiting for an engine", "x")
}

// TestEngineDialInMany has more clients than engines, of two logins, on both loops; then too many engines.
func TestEngineDialInMany(t *testing.T) {
	s, at := startDialIn(t, func(cfg *config.Config) {
		cfg.Engine.Pool.MaxExternal, cfg.Engine.Pool.StealAfter = 3, 50*time.Millisecond
	})
	for range 3 {
		dialIn(t, "mix", at, dialInToken)
	}
	s.dialledIn(3)
	var all sync.WaitGroup
	for i := range 12 {
		cr := block
		cr.User = []string{"ann", "bob"}[i%2]
		c := connect(t, s.addr, cr)
		all.Go(func() { // ends after its requests
			for range 30 {
				if got, err := execute(c, "slow", "1ms"); err != nil || got != "slept 1ms" {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	all.Wait()
	if code := dialIn(t, "mix", at, dialInToken).exit(); code == 0 {
		t.Error("a fourth engine was let in")
	}
	s.logged("an engine that dialled in was refused")
}

// TestEngineDialInLost loses the connection of an engine: a request that was begun fails, one that was not waits for another engine.
func TestEngineDialInLost(t *testing.T) {
	s, at := startDialIn(t, nil)
	probes := s.probes()
	e := dialIn(t, "mix", at, dialInToken)
	c, waiting := s.login("0"), s.login("0")
	c.send("3^hang^")
	s.eventuallyRows("it runs", func(rows []engineRow) bool { return enginesIn(rows, "active") == 1 })
	waiting.send("3^echo^a^")
	s.flush(probes)
	e.kill()
	c.want("11^" + lost + "^")
	s.dialledIn(0)
	dialIn(t, "mix", at, dialInToken)
	waiting.want("00^a^")
	c.send("3^crash^") // it was not begun: it waits for one more engine, and ends that too
	s.dialledIn(0)
	waiting.send("3^echo^b^")
	s.flush(probes)
	dialIn(t, "mix", at, dialInToken)
	c.want("11^" + lost + "^")
	dialIn(t, "mix", at, dialInToken)
	waiting.want("00^b^")
}

// TestEngineDialInNotKilled stops an engine by force that ignores everything: the server ends its connection and no more.
func TestEngineDialInNotKilled(t *testing.T) {
	s, at := startDialIn(t, func(cfg *config.Config) {
		cfg.Engine.Pool.MaxRunTime = time.Second
		cfg.Engine.Process.BreakTimeout, cfg.Engine.Process.KillTimeout = 50*time.Millisecond, 50*time.Millisecond
	})
	e := dialIn(t, "mix", at, dialInToken)
	c := connect(t, s.addr, block)
	fails(t, c, "Maximum run time exceeded", "hang", "term")
	s.dialledIn(0)
	if e.cmd.ProcessState != nil || !running(e.cmd.Process.Pid) {
		t.Error("the process was ended")
	}
	dialIn(t, "mix", at, dialInToken)
	answers(t, c, "well", "echo", "well")
}

// TestEngineDialInLeaves has the server part with an engine under load: it leaves in good order, and no request fails.
func TestEngineDialInLeaves(t *testing.T) {
	s, at := startDialIn(t, nil)
	first := dialIn(t, "mix", at, dialInToken, "--name", "first")
	dialIn(t, "mix", at, dialInToken, "--name", "second")
	s.dialledIn(2)
	var served atomic.Int64
	var all sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		c := connect(t, s.addr, block)
		all.Go(func() { // ends with stop
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got, err := execute(c, "slow", "2ms"); err != nil || got != "slept 2ms" {
					t.Errorf("%q, %v", got, err)
				}
				served.Add(1)
			}
		})
	}
	eventually(t, "it is under load", func() bool { return served.Load() > 50 })
	control := s.dial()
	eventually(t, "the engine is found idle and leaves", func() bool {
		for _, r := range s.rows() {
			if strings.HasPrefix(r.name, "first@") {
				control.talk("-2^"+controlPassword+"^"+r.name+"^", "0^Idle Engines shut down^")
				return false
			}
		}
		return true
	})
	if code := first.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	from := served.Load()
	eventually(t, "the other one goes on", func() bool { return served.Load() > from+50 })
	close(stop)
	all.Wait()
}

// TestEngineDialInNoise connects to the listener for engines without being one.
func TestEngineDialInNoise(t *testing.T) {
	s, at := startDialIn(t, func(cfg *config.Config) { cfg.Engine.Process.StartTimeout = 200 * time.Millisecond })
	for _, noise := range []string{"", "GET / HTTP/1.1\r\n\r\n", framed("3^1^^output"), framed("HELLO^0^1^"), framed("HELLO^0^9^x^1^1^" + dialInToken + "^^"), framed("BYE^0^")} {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte(noise)); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(patience)) // fails as the read would
		if n, err := c.Read(make([]byte, 100)); n > 0 || isTimeout(err) {
			t.Errorf("%q is answered with %d bytes, %v", noise, n, err)
		}
	}
	s.dialledIn(0)
}

// TestEngineDialInTLS has an engine dial in over TLS.
func TestEngineDialInTLS(t *testing.T) {
	cert, key := selfSigned(t)
	s, at := startDialIn(t, func(cfg *config.Config) { cfg.Engine.DialIn.TLSCert, cfg.Engine.DialIn.TLSKey = cert, key })
	if code := dialIn(t, "echo", at, dialInToken, "--tls").exit(); code == 0 {
		t.Error("an engine trusts a certificate that nobody vouches for")
	}
	dialIn(t, "echo", at, dialInToken).exit()
	s.dialledIn(0)
	file := filepath.Join(t.TempDir(), "token")
	rewrite(t, file, dialInToken)
	cmd := exec.Command(binary(t, "roundhouse"), "engine", "mix", "--dial", at, "--token-file", file, "--tls")
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+cert)
	startCommand(t, cmd)
	for _, user := range []string{"ann", "bob", "ann"} {
		cr := block
		cr.User = user
		c := connect(t, s.addr, cr)
		answers(t, c, user, "echo", user)
		if got := output(t, c, "flood", "3000000"); len(got) != 3_000_000 {
			t.Errorf("%d bytes", len(got))
		}
	}
	if rows := s.rows(); len(rows) != 1 {
		t.Errorf("%+v", rows)
	}
}

// selfSigned makes a certificate for loopback.
func selfSigned(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	rewrite(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	rewrite(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	return certFile, keyFile
}

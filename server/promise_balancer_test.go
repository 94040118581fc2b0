package server_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A balancer is a program before relay servers.
type balancer struct {
	name string
	// farm has what the farm needs to be served well behind it.
	farm string
	// start starts it before relay servers, whose admin listeners are at checks, and returns its address.
	start func(t testing.TB, servers, checks []string) string
}

// balancers are those of promise 26. HAProxy asks for the state of the farm; nginx, which cannot, lets a relay server that has just come back
// hold requests until its lanes are there.
var balancers = []balancer{
	{"haproxy", "", balanceByHAProxy},
	{"nginx", "queue_timeout = \"10s\"\n", balanceByNginx},
}

func balanceByHAProxy(t testing.TB, servers, checks []string) string {
	t.Helper()
	var list strings.Builder
	for i, s := range servers {
		_, port := split(t, checks[i])
		fmt.Fprintf(&list, "  server r%d %s check inter 100ms fall 1 rise 1 port %d\n", i, s, port)
	}
	addr := freeAddr(t)
	path := balancerFile(t, "haproxy.cfg", fmt.Sprintf(`defaults
  mode http
  timeout connect 5s
  timeout check 5s
  timeout client 60s
  timeout server 60s
  option redispatch 1
  retries 3
frontend f
  bind %s
  default_backend relays
backend relays
  option httpchk GET /readyz?farm=f
%s`, addr, list.String()))
	runProgram(t, addr, "haproxy", "-db", "-f", path)
	return addr
}

func balanceByNginx(t testing.TB, servers, _ []string) string {
	t.Helper()
	var list strings.Builder
	for _, s := range servers {
		fmt.Fprintf(&list, "server %s max_fails=1 fail_timeout=1s;", s)
	}
	addr := freeAddr(t)
	path := balancerFile(t, "nginx.conf", "")
	dir := filepath.Dir(path)
	conf := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr warn;
events { worker_connections 1024; }
http {
	access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/a; fastcgi_temp_path %[1]s/b; uwsgi_temp_path %[1]s/c; scgi_temp_path %[1]s/d;
	keepalive_requests 1000000;
	upstream relays { %[2]s keepalive 32; keepalive_timeout 500ms; }
	server {
		listen %[3]s;
		location / { proxy_pass http://relays; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_connect_timeout 5s; }
	}
}
`, dir, list.String(), addr)
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	runProgram(t, addr, "nginx", "-p", dir, "-c", path, "-e", "stderr")
	return addr
}

func balancerFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPromise26Drain has two relay servers behind a load balancer drained by SIGTERM and started again, one after the other, under load: their
// health checks fail before their listeners close, and nothing is lost.
func TestPromise26Drain(t *testing.T) {
	clients, rounds := 16, 1
	if isFull() {
		clients, rounds = 64, 10
	}
	for _, b := range balancers {
		t.Run(b.name, func(t *testing.T) {
			t.Setenv("ROUNDHOUSE_DRAIN_DELAY", drainDelay.String()) // five health checks
			// Longer than the balancer keeps idle connections: it is the one that closes them. nginx sends no POST again that it has written on a
			// connection that closes just then.
			t.Setenv("ROUNDHOUSE_DRAIN_GRACE", "2s")
			f := startRelayFarm(t, 2, strings.Replace(plainFarm, "id = \"f\"\n", "id = \"f\"\n"+b.farm, 1))
			backend := startBackend(t, echoSum)
			for _, id := range []string{"s1", "s2"} {
				startEnablerChild(t, f.relays[0].addr, id, backend)
			}
			var servers, checks []string
			for i, r := range f.relays {
				r.up(4)
				// The admin listener has to come back where it was.
				f.files[i] = withAdmin(t, f.files[i], r.admin)
				servers, checks = append(servers, r.addr), append(checks, r.admin)
			}
			l := &sumLoad{url: "http://" + b.start(t, servers, checks) + "/cli/iarelayserver/f/"}
			eventually(t, b.name+" serves", func() bool { return ask("GET", l.url, "").status == 200 })
			var readyz []time.Duration
			l.during(clients, func() {
				for range rounds {
					for i := range f.relays {
						served(t, f.relays[i])
						readyz = append(readyz, drainUnderLoad(t, f, i, checks[i]))
						served(t, f.relays[i])
					}
				}
			})
			t.Logf("%s: %d drains: %d sent, %d answered, %d lost; /readyz failed at the latest %v after the signal", b.name, len(readyz),
				l.sent.Load(), l.answered.Load(), l.failed.Load(), maxOf(readyz).Round(time.Millisecond))
			if l.failed.Load() > 0 {
				t.Error(l.why)
			}
		})
	}
}

// withAdmin returns a copy of a configuration file with an address for the admin listener, of which any port was asked.
func withAdmin(t *testing.T, path, addr string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return balancerFile(t, "roundhouse.toml", strings.Replace(string(text), "[admin]\nlisten = \"127.0.0.1:0\"", "[admin]\nlisten = \""+addr+"\"", 1))
}

func maxOf(all []time.Duration) (most time.Duration) {
	for _, d := range all {
		most = max(most, d)
	}
	return most
}

// served waits until a relay server has answered more requests than now.
func served(t *testing.T, r *relayChild) {
	t.Helper()
	count := func() string {
		for line := range strings.Lines(ask("GET", "http://"+r.admin+"/metrics", "").body) {
			if n, ok := strings.CutPrefix(line, "rs_request_seconds_count"); ok {
				return n
			}
		}
		return ""
	}
	first := count()
	eventually(t, "it serves behind the balancer", func() bool { n := count(); return n != "" && n != first })
}

const drainDelay = 500 * time.Millisecond

// drainUnderLoad ends a relay server by SIGTERM, and starts it again. It returns how long after the signal /readyz said no.
func drainUnderLoad(t *testing.T, f *relayFarm, i int, check string) time.Duration {
	t.Helper()
	r := f.relays[i]
	began := time.Now()
	r.signal(syscall.SIGTERM)
	eventually(t, "not ready", func() bool { return ask("GET", "http://"+check+"/readyz", "").status == 503 })
	took := time.Since(began)
	c, err := net.Dial("tcp", r.addr)
	switch {
	case err == nil:
		c.Close()
	case time.Since(began) < drainDelay: // later, it may
		t.Errorf("the listener had closed when /readyz said no: %v", err)
	}
	if code := r.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	f.start(i)
	f.relays[i].up(4)
	return took
}

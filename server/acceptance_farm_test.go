package server_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// relayFarm is a farm of relay servers in processes of their own, each with the same configuration but for where it listens.
type relayFarm struct {
	t      testing.TB
	relays []*relayChild
	files  []string
}

// startRelayFarm starts n relay servers with the farms that text configures.
func startRelayFarm(t testing.TB, n int, text string) *relayFarm {
	t.Helper()
	f := &relayFarm{t: t, relays: make([]*relayChild, n)}
	var servers strings.Builder
	var addrs []string
	for range n {
		addr := freeAddr(t)
		host, port := split(t, addr)
		addrs = append(addrs, addr)
		fmt.Fprintf(&servers, "[[relay.server]]\nhost = %q\nhttp_port = %d\nhttps_port = 0\n", host, port)
	}
	for i, addr := range addrs {
		head := fmt.Sprintf("loops = 2\n[log]\nformat = \"json\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[relay]\nlisten = [%q]\n", addr)
		path := filepath.Join(t.TempDir(), "roundhouse.toml")
		if err := os.WriteFile(path, []byte(head+servers.String()+text), 0o600); err != nil {
			t.Fatal(err)
		}
		f.files = append(f.files, path)
		f.start(i)
	}
	return f
}

// start starts relay server i, again if it was there.
func (f *relayFarm) start(i int) {
	f.t.Helper()
	c := start(f.t, binary(f.t, "roundhouse"), "serve", "-c", f.files[i])
	f.relays[i] = &relayChild{c, c.listens("relay"), c.listens("admin")}
}

// url is the client URL of a farm at relay server i.
func (f *relayFarm) url(i int, farm, path string) string {
	return "http://" + f.relays[i].addr + "/cli/iarelayserver/" + farm + path
}

// named answers with the name of a back end and the connection that a request came by.
func named(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) { fmt.Fprint(w, name, " ", q.RemoteAddr) }
}

const plainFarm = "[[relay.farm]]\nid = \"f\"\n[[relay.backend]]\nfarm = \"f\"\nid = \"s1\"\ntoken = \"secret\"\n" +
	"[[relay.backend]]\nfarm = \"f\"\nid = \"s2\"\ntoken = \"secret\"\n"

// TestAcceptance05: an enabler that is told of three relay servers by one of them makes pairs to each. One is killed: requests through the
// others do not fail. It comes back: so do its pairs, within -d and a second.
func TestAcceptance05(t *testing.T) {
	f := startRelayFarm(t, 3, plainFarm)
	startEnablerChild(t, f.relays[0].addr, "s1", startBackend(t, named("one")))
	for _, r := range f.relays {
		r.up(2)
	}
	f.relays[2].kill()
	for range 50 {
		for i := range 2 {
			if o := ask("GET", f.url(i, "f", "/"), ""); o.status != 200 {
				t.Fatalf("relay server %d: %v", i, o)
			}
		}
	}
	f.start(2)
	began := time.Now()
	f.relays[2].up(2)
	took := time.Since(began)
	t.Logf("the pairs were back after %v", took)
	if took > time.Second+slack {
		t.Error("later than -d, and what a start takes")
	}
	if o := ask("GET", f.url(2, "f", "/"), ""); o.status != 200 {
		t.Error(o)
	}
}

// TestAcceptance06 restarts the relay server of a client that is bound to a connection: its session is lost, which without
// renew_overlapped_cookie is told, once, and with it is mended without a word.
func TestAcceptance06(t *testing.T) {
	text := ""
	for _, renew := range []string{"no", "yes"} {
		text += fmt.Sprintf("[[relay.farm]]\nid = %q\nrenew_overlapped_cookie = %v\n[[relay.backend]]\nfarm = %[1]q\nid = \"s1\"\ntoken = \"secret\"\n",
			renew, renew == "yes")
	}
	f := startRelayFarm(t, 1, text)
	first := map[string]sessionAnswer{}
	for _, farm := range []string{"no", "yes"} {
		startEnablerOf(t, f.relays[0].addr, farm, "s1", startBackend(t, named(farm)))
	}
	f.relays[0].up(4)
	for _, farm := range []string{"no", "yes"} {
		first[farm] = askSession(t, f.url(0, farm, "/"), "", "")
		if again := askSession(t, f.url(0, farm, "/"), "cookie", first[farm].cookie); again.body != first[farm].body {
			t.Fatalf("before: %q, then %q", first[farm].body, again.body)
		}
	}
	f.relays[0].kill()
	f.start(0)
	f.relays[0].up(4)
	lost := askSession(t, f.url(0, "no", "/"), "cookie", first["no"].cookie)
	if lost.status != 400 || !strings.Contains(lost.body, "RSE_AFFINITY_LOST") {
		t.Errorf("without renewal: %+v", lost)
	}
	if next := askSession(t, f.url(0, "no", "/"), "", ""); next.status != 200 { // the answer has taken its cookie away
		t.Errorf("without the id: %+v", next)
	}
	renewed := askSession(t, f.url(0, "yes", "/"), "cookie", first["yes"].cookie)
	if renewed.status != 200 || renewed.cookie == "" || renewed.cookie == first["yes"].cookie {
		t.Errorf("with renewal: %+v", renewed)
	}
	if again := askSession(t, f.url(0, "yes", "/"), "cookie", renewed.cookie); again.body != renewed.body || again.cookie != "" {
		t.Errorf("after renewal: %q, then %+v", renewed.body, again)
	}
}

// TestAcceptance07: what one relay server has given out, the others honour.
func TestAcceptance07(t *testing.T) {
	f := startRelayFarm(t, 3, plainFarm)
	for i, id := range []string{"s1", "s2"} {
		startEnablerChild(t, f.relays[i].addr, id, startBackend(t, named(id)))
	}
	for _, r := range f.relays {
		r.up(4)
	}
	for range 10 {
		first := askSession(t, f.url(0, "f", "/"), "", "")
		for i := range 9 {
			if next := askSession(t, f.url(i%3, "f", "/"), "cookie", first.cookie); next.body != first.body {
				t.Fatalf("relay server 0: %q, relay server %d: %q", first.body, i%3, next.body)
			}
		}
	}
}

// TestAcceptance08: cookie, field, both, none.
func TestAcceptance08(t *testing.T) {
	var text strings.Builder
	farms := []struct{ id, cookie, field string }{{"c", "true", "false"}, {"h", "false", "true"}, {"b", "true", "true"}, {"n", "false", "false"}}
	for _, f := range farms {
		fmt.Fprintf(&text, "[[relay.farm]]\nid = %q\nactive_cookie = %s\nactive_header = %s\n", f.id, f.cookie, f.field)
		for _, s := range []string{"s1", "s2"} {
			fmt.Fprintf(&text, "[[relay.backend]]\nfarm = %q\nid = %q\ntoken = \"secret\"\n", f.id, s)
		}
	}
	f := startRelayFarm(t, 1, text.String())
	for _, id := range []string{"s1", "s2"} {
		backend := startBackend(t, named(id))
		for _, farm := range farms {
			startEnablerOf(t, f.relays[0].addr, farm.id, id, backend)
		}
	}
	f.relays[0].up(16)
	for _, farm := range farms {
		url := f.url(0, farm.id, "/")
		first := askSession(t, url, "", "")
		if (first.cookie != "") != (farm.cookie == "true") || (first.header != "") != (farm.field == "true") {
			t.Errorf("farm %s: %+v", farm.id, first)
		}
		ways := map[string]string{}
		if first.cookie != "" {
			ways["cookie"] = first.cookie // as a browser does, which knows nothing of the field
		}
		if first.header != "" {
			ways["header"] = first.header
		}
		for way, id := range ways {
			for range 5 {
				if next := askSession(t, url, way, id); next.body != first.body {
					t.Errorf("farm %s by %s: %q, then %q", farm.id, way, first.body, next.body)
				}
			}
		}
		if farm.id == "n" {
			seen := map[string]bool{}
			for range 10 {
				seen[askSession(t, url, "", "").body[:2]] = true
			}
			if len(seen) != 2 {
				t.Errorf("without sessions only %v answered", seen)
			}
		}
	}
}

// TestAcceptance18 sends SIGTERM to a relay server, behind HAProxy, and then to an enabler, under load: no request fails.
func TestAcceptance18(t *testing.T) {
	f := startRelayFarm(t, 2, plainFarm)
	backend := startBackend(t, echoSum)
	startEnablerChild(t, f.relays[0].addr, "s1", backend)
	second := startEnablerChild(t, f.relays[0].addr, "s2", backend)
	for _, r := range f.relays {
		r.up(4)
	}
	l := &sumLoad{url: "http://" + haproxyFor(t, []string{f.relays[0].addr, f.relays[1].addr}, []string{f.relays[0].admin, f.relays[1].admin}) + "/cli/iarelayserver/f/"}
	eventually(t, "HAProxy serves", func() bool { return ask("GET", l.url, "").status == 200 })
	var stop atomic.Bool
	done := make(chan struct{})
	go func() { // ends with stop
		defer close(done)
		for !stop.Load() {
			l.run(500, 16)
		}
	}()
	more := func() { l.more(t, 1000) }
	more()
	second.signal(syscall.SIGTERM)
	if code := second.exit(); code != 0 {
		t.Errorf("the enabler: exit code %d", code)
	}
	more()
	f.relays[1].signal(syscall.SIGTERM)
	if code := f.relays[1].exit(); code != 0 {
		t.Errorf("the relay server: exit code %d", code)
	}
	more()
	stop.Store(true)
	<-done
	t.Logf("%d sent, %d answered, %d lost", l.sent.Load(), l.answered.Load(), l.failed.Load())
	if l.failed.Load() > 0 {
		t.Error(l.why)
	}
}

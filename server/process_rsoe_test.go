package server_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEnablerReadsAFile starts rsoe with its options in a file, with two relay servers, of which one comes later.
func TestEnablerReadsAFile(t *testing.T) {
	backend := startCounted(t, "alive", "").addr
	first := startRelayChild(t, "127.0.0.1:0", "")
	later := freeAddr(t)
	file := filepath.Join(t.TempDir(), "oe.config")
	text := fmt.Sprintf("# an enabler\n-f f\n-id s1\n-t secret -d 1 -v 1 -log json\n-cr %q\n-cr %q\n-cs %q\n",
		connString(t, first.addr), connString(t, later), connString(t, backend))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	e := start(t, binary(t, "rsoe"), "@"+file)
	first.up(2)
	eventually(t, "it misses the other one", func() bool { return len(e.records("no list of relay servers; trying again")) >= 2 })
	second := startRelayChild(t, later, "")
	servesAgain(t, second, time.Second+slack)
	if o := ask("GET", first.url("/"), ""); o.status != 200 {
		t.Error(o)
	}
	e.signal(syscall.SIGTERM)
	if code := e.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestEnablerServesAllPeers gives rsoe one relay server, or both, of two that name each other: it opens lanes to each, once.
func TestEnablerServesAllPeers(t *testing.T) {
	backend := startCounted(t, "alive", "").addr
	addrs := []string{freeAddr(t), freeAddr(t)}
	peers := ""
	for _, a := range addrs {
		host, port := split(t, a)
		peers += fmt.Sprintf("[[relay.server]]\nhost = %q\nhttp_port = %d\nhttps_port = 0\n", host, port)
	}
	for _, crs := range [][]string{addrs[:1], addrs} {
		var relays []*relayChild
		for _, a := range addrs {
			relays = append(relays, startRelayChild(t, a, peers))
		}
		args := []string{"-f", "f", "-id", "s1", "-t", "secret", "-d", "1", "-v", "1", "-log", "json", "-cs", connString(t, backend)}
		for _, a := range crs {
			args = append(args, "-cr", connString(t, a))
		}
		e := start(t, binary(t, "rsoe"), args...)
		for _, r := range relays {
			r.up(2)
			servesAgain(t, r, patience)
		}
		e.up(4)
		if n := len(e.records("relay server")); n != 2 {
			t.Errorf("%d -cr led to %d relay servers", len(crs), n)
		}
		relays[0].kill() // the other one serves on
		for range 20 {
			if o := ask("GET", relays[1].url("/"), ""); o.status != 200 {
				t.Errorf("through the relay server that is left: %v", o)
			}
		}
		again := startRelayChild(t, addrs[0], peers)
		servesAgain(t, again, time.Second+slack)
		e.up(6)
		e.kill()
		relays[1].kill()
		again.kill()
	}
}

// TestRelayWithMoreLoops replaces a relay server by one with more loops: each of them gets its lane soon.
func TestRelayWithMoreLoops(t *testing.T) {
	backend := startCounted(t, "alive", "").addr
	r := startRelayChild(t, freeAddr(t), "")
	startEnablerChild(t, r.addr, "s1", backend)
	r.up(2)
	r.kill()
	c := start(t, binary(t, "roundhouse"), "serve", "-c", relayFile(t, r.addr, ""), "--set", "loops=4")
	began := time.Now()
	c.listens("relay")
	c.up(4)
	if took := time.Since(began); took > 2*time.Second+slack {
		t.Errorf("the lanes of a relay server with more loops were up after %v", took)
	}
}

// TestEnablerRefuses checks the exit codes of rsoe, and what it logs at which verbosity.
func TestEnablerRefuses(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("-f f -id s1 -cr nonsense=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]int{"-f f": 2, "-f f -id s1 -cr host=a -v 9": 2, "-f f -id s1 -cr host=a stray": 2, "@" + bad: 78, "@" + bad + ".none": 2} {
		if code := start(t, binary(t, "rsoe"), strings.Fields(args)...).exit(); code != want {
			t.Errorf("rsoe %s: exit code %d, want %d", args, code, want)
		}
	}
	r := startRelayChild(t, "127.0.0.1:0", "")
	backend := startCounted(t, "alive", "").addr
	quiet := startEnablerChild(t, r.addr, "s1", backend, "-v", "0")
	r.up(2)
	quiet.signal(syscall.SIGTERM)
	if code := quiet.exit(); code != 0 || len(quiet.records("lane up")) > 0 {
		t.Errorf("at verbosity 0, exit code %d:\n%s", code, quiet.log.text())
	}
	wrong := startEnablerChild(t, r.addr, "s1", backend, "-v", "0", "-t", "wrong")
	eventually(t, "an error is logged at verbosity 0", func() bool { return wrong.log.has("401 Unauthorized") })
	if strings.Contains(wrong.log.text()+r.log.text(), "wrong\"") {
		t.Error("a token is in a log")
	}
}

// TestDemonstration starts roundhouse with nothing configured. Its ports are fixed: where they are taken, it is checked only
// that it says so.
func TestDemonstration(t *testing.T) {
	if code := start(t, binary(t, "roundhouse"), "check").exit(); code != 0 {
		t.Errorf("check: exit code %d", code)
	}
	if code := start(t, binary(t, "roundhouse"), "check", "-c", "/nowhere").exit(); code != 78 {
		t.Errorf("check of no file: exit code %d", code)
	}
	c := start(t, binary(t, "roundhouse"), "serve", "--set", "log.format=json")
	eventually(t, "it serves or says why not", func() bool { return c.log.has("lane up") || c.log.has("address already in use") })
	if c.log.has("address already in use") {
		if code := c.exit(); code != 1 {
			t.Errorf("exit code %d", code)
		}
		return
	}
	url := "http://" + c.listens("relay") + "/cli/iarelayserver/demo/"
	eventually(t, "the page", func() bool {
		resp, err := http.Get(url)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == 200 && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
	})
	if o := ask("POST", url+"echo", "hello"); o.status != 200 || !strings.HasSuffix(o.body, "\nhello") {
		t.Error(o, o.body)
	}
	if o := ask("GET", url+"bytes/1000000", ""); len(o.body) != 1_000_000 {
		t.Error(o)
	}
	if !c.log.has("curl " + url) {
		t.Error("it does not say what to try")
	}
	c.signal(os.Interrupt)
	if code := c.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

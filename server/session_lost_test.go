package server_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"roundhouse/routing/farm"
	"roundhouse/server/config"
)

// TestSessionLostWithBody kills the enabler that a session is bound to, and sends a body while the session waits for it to come back: the
// request goes to another server, whole.
func TestSessionLostWithBody(t *testing.T) {
	r := startRelay(t, func(cfg *config.Config) {
		sessionFarm(cfg)
		cfg.Relay.Farms[0].RenewOverlappedCookie = true
	})
	enablers := map[string]*enabler{}
	for _, id := range []string{"s1", "s2"} {
		enablers[id] = startEnabler(t, r, id, startBackend(t, func(w http.ResponseWriter, q *http.Request) {
			body, _ := io.ReadAll(q.Body) // a body that is cut has another sum
			fmt.Fprintf(w, "%s %x", id, sha256.Sum256(body))
		}))
	}
	first := askSession(t, r.url("/"), "", "")
	gone, _, _ := strings.Cut(first.body, " ")
	enablers[gone].stop(t)
	eventually(t, "the relay knows that it has gone", func() bool {
		return strings.Count(r.log.text(), `msg="lane down" farm=f server=`+gone) >= r.cfg.Loops
	})
	there := map[string]string{"s1": "s2", "s2": "s1"}[gone]
	outcomes := make(chan string)
	sizes := []int{100, 16 << 10, 16<<10 + 1, 1 << 20}
	for _, size := range sizes {
		for _, chunked := range []bool{false, true} {
			body := strings.Repeat("x", size)
			go func() { // ends with its request, whose outcome is received
				var in io.Reader = strings.NewReader(body)
				if chunked {
					in = io.MultiReader(in)
				}
				q, _ := http.NewRequest("POST", r.url("/"), in)
				q.Header.Set("Ias-Rs-Sessionid", first.header)
				outcome := fmt.Sprintf("%d bytes, chunked %t: ", size, chunked)
				resp, err := (&http.Client{Timeout: patience}).Do(q)
				if err != nil {
					outcomes <- outcome + err.Error()
					return
				}
				defer resp.Body.Close()
				text, _ := io.ReadAll(resp.Body) // compared
				if want := fmt.Sprintf("%s %x", there, sha256.Sum256([]byte(body))); string(text) != want {
					outcomes <- fmt.Sprintf("%s%d %q, want %q", outcome, resp.StatusCode, text, want)
					return
				}
				outcomes <- ""
			}()
		}
	}
	for range 2 * len(sizes) {
		if o := <-outcomes; o != "" {
			t.Error(o)
		}
	}
}

// TestBackIsNotEjected ejects a server whose back end is gone for longer than the test takes: that ends when its enabler says that the back
// end is there again.
func TestBackIsNotEjected(t *testing.T) {
	r := startRelay(t, func(cfg *config.Config) {
		f := &cfg.Relay.Farms[0]
		f.EjectAfter, f.EjectTime = 1, time.Hour
	})
	first, second := freeAddr(t), startBackend(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "s2") })
	serve := func() (stop func()) {
		ln, err := net.Listen("tcp", first)
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "s1") })}
		go s.Serve(ln) // ends with stop
		return func() { s.Close() }
	}
	answers := func(id string) func() bool {
		return func() bool { _, body := r.get("/"); return body == id }
	}
	stop := serve()
	startEnablerWith(t, r, "s1", first, func(e *config.Enabler) { e.Retry = time.Second })
	startEnabler(t, r, "s2", second)
	eventually(t, "s1 answers", answers("s1"))
	downs := func() int { return strings.Count(r.log.text(), "up=false") }
	ejected := func() bool { return r.log.has("back-end server ejected") }
	for before := 0; !ejected(); before = downs() {
		stop()
		eventually(t, "s1 is ejected, or down", func() bool { r.get("/"); return ejected() || downs() > before })
		if !ejected() { // the enabler has noticed before any request did
			stop = serve()
			eventually(t, "s1 answers", answers("s1"))
		}
	}
	eventually(t, "s1 is down", func() bool { return downs() > 0 })
	t.Cleanup(serve())
	eventually(t, "s1 answers again", answers("s1"))
}

// TestSessionAge has ids of every age: a young one holds, an old one is given out anew, and one of more than a day counts as none, as one of
// another key does, and one for a server of another farm.
func TestSessionAge(t *testing.T) {
	const key = "a key that the test has as well: it makes its own ids"
	r := startRelay(t, func(cfg *config.Config) {
		sessionFarm(cfg)
		cfg.Relay.Farms[0].SocketLevelAffinity = false
		cfg.Relay.Trust.AffinityKey = key
	})
	for _, id := range []string{"s1", "s2"} {
		startEnabler(t, r, id, startBackend(t, named(id)))
	}
	now := uint32(time.Now().Unix() / 60)
	for _, row := range []struct {
		name        string
		key, farm   string
		age         uint32 // in minutes
		bound, anew bool
	}{
		{"young", key, "f", 1, true, false},
		{"ahead", key, "f", ^uint32(4), true, false}, // of another relay server's clock
		{"old", key, "f", 61, true, true},
		{"nearly a day", key, "f", 24*60 - 2, true, true},
		{"more than a day", key, "f", 24*60 + 2, false, true},
		{"another key", key + "!", "f", 1, false, true},
		{"another farm", key, "g", 1, false, true},
	} {
		signer := farm.NewSigner(farm.AffinityKey(row.key, nil))
		id := string(signer.Append(nil, farm.Session{Server: farm.ServerKey(row.farm, "s2"), Issued: now - row.age}))
		served := map[string]int{}
		for range 8 {
			a := askSession(t, r.url("/"), "cookie", id)
			served[strings.Fields(a.body)[0]]++
			if a.status != 200 || (a.header != "") != row.anew {
				t.Errorf("%s: status %d, new id %q", row.name, a.status, a.header)
			}
		}
		if (len(served) == 1 && served["s2"] > 0) != row.bound {
			t.Errorf("%s: served by %v", row.name, served)
		}
	}
}

// TestSessionFallback takes the server of a session away: with affinity_fallback alone, another one takes the session, under a new id.
func TestSessionFallback(t *testing.T) {
	r := startRelay(t, func(cfg *config.Config) {
		sessionFarm(cfg)
		cfg.Relay.Farms[0].AffinityFallback = true
	})
	e := startEnabler(t, r, "s1", startBackend(t, named("s1")))
	first := askSession(t, r.url("/"), "", "")
	startEnabler(t, r, "s2", startBackend(t, named("s2")))
	for range 4 {
		if a := askSession(t, r.url("/"), "header", first.header); a.body != first.body || a.header != "" {
			t.Errorf("before: %+v, want %q", a, first.body)
		}
	}
	e.stop(t)
	moved := askSession(t, r.url("/"), "header", first.header)
	if moved.status != 200 || !strings.HasPrefix(moved.body, "s2 ") || moved.header == "" || moved.header == first.header {
		t.Fatalf("after: %+v", moved)
	}
	if a := askSession(t, r.url("/"), "cookie", moved.cookie); a.body != moved.body || a.cookie != "" {
		t.Errorf("then: %+v, want %q", a, moved.body)
	}
}

package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"roundhouse/server"
	"roundhouse/server/config"
)

// limitedFarm starts a relay server whose farm has limits, and a wellspring behind it.
func limitedFarm(t *testing.T, change func(*config.Config, *config.FarmLimits)) (*relayUnderTest, *wellspring) {
	r := startRelay(t, func(cfg *config.Config) { change(cfg, &cfg.Relay.Farms[0].Limits) })
	w := startWellspring(t)
	startEnabler(t, r, "s1", w.addr)
	return r, w
}

// met is how often a limit of the farm was met.
func (r *relayUnderTest) met(reason string) int64 {
	return server.LimitedForTest(r.server, "f")[reason]
}

// TestFarmRate asks faster than the farm may be asked: as many as allowed are answered, the others told to come back.
func TestFarmRate(t *testing.T) {
	const rps, n = 20, 100
	r, _ := limitedFarm(t, func(_ *config.Config, l *config.FarmLimits) { l.MaxRPS = rps })
	began := time.Now()
	statuses := map[int]int{}
	for range n {
		resp, err := http.Get(r.url("/fast"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body) // for the connection's sake
		resp.Body.Close()
		statuses[resp.StatusCode]++
		if resp.StatusCode == 429 && (resp.Header.Get("Retry-After") != "1" || resp.Header.Get("Ias-Rs-Error") != "1305") {
			t.Fatalf("fields %v", resp.Header)
		}
	}
	most := rps + int(time.Since(began).Seconds()*rps) + 1
	t.Logf("%d sent, %d answered, %d refused in %v", n, statuses[200], statuses[429], time.Since(began).Round(time.Millisecond))
	if statuses[200] < rps || statuses[200] > most || statuses[200]+statuses[429] != n || r.met("rate") != int64(statuses[429]) {
		t.Errorf("statuses %v, at most %d may be 200; %d were counted", statuses, most, r.met("rate"))
	}
	if metrics := ask("GET", "http://"+r.admin+"/metrics", "").body; !strings.Contains(metrics, fmt.Sprintf(`rs_limited_total{farm="f",reason="rate"} %d`, statuses[429])) {
		t.Error("the metric is missing")
	}
	eventually(t, "it answers again", func() bool { return ask("GET", r.url("/fast"), "").status == 200 })
}

// TestFarmInFlight fills the farm, then the whole relay, with upgraded connections: one more request is refused until one ends.
func TestFarmInFlight(t *testing.T) {
	for reason, change := range map[string]func(*config.Config, *config.FarmLimits){
		"inflight": func(_ *config.Config, l *config.FarmLimits) { l.MaxInflight = 3 },
		"requests": func(cfg *config.Config, _ *config.FarmLimits) { cfg.Limits.MaxRequests, cfg.Loops = 3, 1 },
	} {
		r := startRelay(t, func(cfg *config.Config) { change(cfg, &cfg.Relay.Farms[0].Limits) })
		startEnabler(t, r, "s1", startUpgrader(t))
		var open []io.Closer
		for range 3 {
			c := r.request("GET /cli/iarelayserver/f/ HTTP/1.1\r\nHost: a\r\n" + upgradeFields + "\r\n")
			if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 101 {
				t.Fatal(resp, err)
			}
			open = append(open, c)
		}
		resp, err := http.Get(r.url("/plain"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if h := resp.Header; resp.StatusCode != 503 || h.Get("Retry-After") != "1" || h.Get("Ias-Rs-Error") != "1304" || r.met(reason) != 1 {
			t.Errorf("%s: %d, %v; %d counted", reason, resp.StatusCode, h, r.met(reason))
		}
		open[0].Close()
		eventually(t, "there is room again", func() bool { return ask("GET", r.url("/plain"), "").status == 200 })
		if o := ask("GET", r.url("/plain"), ""); o.status != 200 { // the room was given back
			t.Error(reason, o)
		}
	}
}

// startUpgrader starts a back end that upgrades who asks for it, and then says nothing until the client has gone.
func startUpgrader(t *testing.T) string {
	return startBackend(t, func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Upgrade") == "" {
			return
		}
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = c.Read(make([]byte, 1)) // until the client has gone
	})
}

// TestFarmBytes moves bodies through a farm that may have so many bytes a second: they come slower, and nothing is held meanwhile.
func TestFarmBytes(t *testing.T) {
	const rate, size, clients = 4 << 20, 2 << 20, 3
	const least = time.Second // for 6 MiB less the burst of a quarter of a second
	for _, direction := range []string{"in", "out"} {
		r, w := limitedFarm(t, func(_ *config.Config, l *config.FarmLimits) { l.MaxBytesSec = rate })
		close(w.gate)
		began := time.Now()
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				var resp *http.Response
				var err error
				if direction == "in" {
					resp, err = http.Post(r.url("/up"), "", &pattern{left: size})
				} else {
					resp, err = http.Get(r.url("/" + strconv.Itoa(size)))
				}
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				n, err := io.Copy(io.Discard, resp.Body)
				if resp.StatusCode != 200 || err != nil || direction == "out" && n != size {
					t.Errorf("%s: %d, %d bytes, %v", direction, resp.StatusCode, n, err)
				}
			})
		}
		eventually(t, "the limit is met", func() bool { return r.met("bytes_"+direction) > 0 })
		held := r.server.TotalsForTest().Held
		wg.Wait()
		took := time.Since(began)
		t.Logf("%s: %d MiB in %v with %d MiB/s; %d bytes held meanwhile", direction, clients*size>>20, took.Round(time.Millisecond), rate>>20, held)
		if took < least || took > least+slack || held > 1<<20 {
			t.Errorf("it took %v, %d bytes were held", took, held)
		}
	}
}

// TestFarmTurns asks for answers that are too short for credit to slow them down: when they have used up more than a second of the farm's
// bytes, and a quarter of one that may come at once, the next request waits, unread, until they are paid.
func TestFarmTurns(t *testing.T) {
	const rate, size, n = 256 << 10, 200_000, 4
	const cost = time.Second * size / rate
	r, _ := limitedFarm(t, func(_ *config.Config, l *config.FarmLimits) { l.MaxBytesSec = rate })
	began := time.Now()
	for range n {
		if o := ask("GET", r.url("/"+strconv.Itoa(size)), ""); o.status != 200 || len(o.body) != size || o.err != nil {
			t.Error(o)
		}
	}
	took := time.Since(began)
	t.Logf("%d answers of %d bytes, with %d a second, in %v; %d waits", n, size, rate, took.Round(time.Millisecond), r.met("bytes_out"))
	if least := (n-1)*cost - 5*time.Second/4; took < least || r.met("bytes_out") == 0 {
		t.Errorf("it took %v, want at least %v", took, least)
	}
}

// TestFarmTurnDrains has requests wait for their turn, for many seconds, when the server is told to stop: they are answered at once.
func TestFarmTurnDrains(t *testing.T) {
	const size = 100_000
	r := startRelay(t, func(cfg *config.Config) {
		cfg.Relay.Farms[0].Limits.MaxBytesSec, cfg.DrainGrace = size/10, patience
	})
	w := startWellspring(t)
	startEnabler(t, r, "s1", w.addr)
	if o := ask("GET", r.url("/"+strconv.Itoa(size)), ""); o.status != 200 || len(o.body) != size { // ten seconds
		t.Fatal(o)
	}
	paid := time.Now().Add(8 * time.Second) // no sooner
	var all []<-chan outcome
	for range 5 {
		all = append(all, begin("GET", r.url("/fast"), ""))
	}
	eventually(t, "all wait", func() bool {
		return strings.Count(strings.Join(server.PhasesForTest(r.server), " "), "turn") == len(all)
	})
	r.cancel()
	for _, c := range all {
		if o := <-c; o.status != 200 || o.body != "fast" {
			t.Error(o)
		}
	}
	if err := r.stop(); err != nil || time.Now().After(paid) {
		t.Errorf("%v, %v after their turn had come", err, time.Since(paid))
	}
}

// TestFarmBody sends bodies that are as long as the farm allows, and longer.
func TestFarmBody(t *testing.T) {
	r, w := limitedFarm(t, func(_ *config.Config, l *config.FarmLimits) { l.MaxRequestBody = 1000 })
	close(w.gate)
	for _, row := range []struct{ size, status int }{{1000, 200}, {1001, 413}} {
		for _, chunked := range []bool{false, true} {
			var body io.Reader = strings.NewReader(strings.Repeat("x", row.size))
			if chunked {
				body = io.MultiReader(body) // net/http does not know its length
			}
			resp, err := http.Post(r.url("/up"), "", body)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != row.status {
				t.Errorf("%d bytes, chunked %v: %d, want %d", row.size, chunked, resp.StatusCode, row.status)
			}
		}
	}
	if n := r.met("body"); n != 2 {
		t.Errorf("%d were counted", n)
	}
}

// TestRecordsNameTheClient has a trusted proxy, and one that is not trusted, say who the client is: in the records stands who it is, of what is
// relayed and of what is refused.
func TestRecordsNameTheClient(t *testing.T) {
	for _, row := range []struct{ trusted, want string }{{"127.0.0.1/32", "198.51.100.1"}, {"127.0.0.2/32", "127.0.0.1"}} {
		file := filepath.Join(t.TempDir(), "access.log")
		r, _ := limitedFarm(t, func(cfg *config.Config, l *config.FarmLimits) {
			cfg.Relay.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(row.trusted)}
			cfg.Relay.AccessLog = file
		})
		for _, path := range []string{r.url("/fast"), "http://" + r.addr + "/cli/iarelayserver/nowhere/x"} {
			q, err := http.NewRequest("GET", path, nil)
			if err != nil {
				t.Fatal(err)
			}
			q.Header.Set("X-Forwarded-For", "192.0.2.1, 198.51.100.1")
			resp, err := http.DefaultClient.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		eventually(t, "two records", func() bool {
			b, err := os.ReadFile(file)
			return err == nil && bytes.Count(b, []byte(" "+row.want+" \"GET ")) == 2
		})
	}
}

// TestFarmAddresses has a trusted proxy bring clients from everywhere.
func TestFarmAddresses(t *testing.T) {
	r, _ := limitedFarm(t, func(cfg *config.Config, l *config.FarmLimits) {
		cfg.Relay.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		l.AllowIP = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("127.0.0.1/32")}
		l.DenyIP = []netip.Prefix{netip.MustParsePrefix("192.0.2.66/32")}
	})
	refused := int64(0)
	for forwarded, status := range map[string]int{
		"": 200, "192.0.2.1": 200, "192.0.2.66": 403, "198.51.100.1": 403, "192.0.2.1, 198.51.100.1": 403, "198.51.100.1, 192.0.2.1": 200,
		"192.0.2.66, 127.0.0.9": 403, "192.0.2.1, 127.0.0.9": 200, "nobody": 403,
	} {
		q, err := http.NewRequest("GET", r.url("/fast"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if forwarded != "" {
			q.Header.Set("X-Forwarded-For", forwarded)
		}
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status || status == 403 && resp.Header.Get("Ias-Rs-Error") != "1007" {
			t.Errorf("%q: %d, %v; want %d", forwarded, resp.StatusCode, resp.Header, status)
		}
		if status == 403 {
			refused++
		}
	}
	if n := r.met("address"); n != refused {
		t.Errorf("%d were counted, want %d", n, refused)
	}
}

// TestFarmErrorPages has pages of the farm's own stand for what the relay says of the farm, before and after a lane was chosen.
func TestFarmErrorPages(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"503.html": "<h1>closed: {{name}}</h1>", "5xx.html": "<h1>broken: {{code}}</h1>", "5xx.json": `{"own":{{code}}}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := startRelay(t, func(cfg *config.Config) { cfg.Relay.Farms[0].ErrorPages = dir })
	if status, body := r.get("/"); status != 503 || body != "<h1>closed: RSE_NO_BACKEND</h1>" {
		t.Error(status, body)
	}
	startEnabler(t, r, "s1", listenRaw(t, func(c net.Conn) { _, _ = readRequestHead(bufio.NewReader(c)) })) // it hangs up then
	if status, body := r.get("/"); status != 502 || body != "<h1>broken: 1104</h1>" {
		t.Error(status, body)
	}
	if o := ask("GET", "http://"+r.addr+"/elsewhere", ""); o.status != 404 || !strings.HasPrefix(o.body, "RSE_BAD_URL") {
		t.Error(o)
	}
}

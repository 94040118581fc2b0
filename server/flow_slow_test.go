package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roundhouse/server/config"
	"roundhouse/server/loop"
	"roundhouse/server/outbound"
)

// startWatchedEnabler serves backend as server s1 with one loop, and lets the test see its counters.
func startWatchedEnabler(t testing.TB, r *relayUnderTest, backend string) *outbound.Enabler {
	t.Helper()
	host, port := split(t, r.addr)
	bhost, bport := split(t, backend)
	cfg := &config.Enabler{
		Farm: "f", ID: "s1", Token: "secret", Retry: time.Second, Backend: config.BackendAddr{Host: bhost, Port: bport},
		Relays: []config.RelayAddr{{Host: host, Port: port, URLSuffix: "/srv/iarelayserver"}},
	}
	log := &lines{}
	g, err := loop.New(loop.Options{Loops: 1, Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	e, err := outbound.New(cfg, g, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { e.Serve(ctx); close(done) }() // ends with ctx; the clean-up waits
	t.Cleanup(func() {
		cancel()
		<-done
		stop, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := g.Stop(stop); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "lanes up", func() bool { return r.server.TotalsForTest().Lanes >= int64(r.cfg.Loops) })
	return e
}

// pattern is a body: random bytes, which repeat after a prime number of them.
type pattern struct{ at, left int64 }

var patternBytes = sync.OnceValue(func() []byte {
	b := make([]byte, 1_048_573)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
})

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	all := patternBytes()
	n := copy(b[:min(int64(len(b)), p.left)], all[p.at%int64(len(all)):])
	p.at += int64(n)
	p.left -= int64(n)
	return n, nil
}

// patternSum is the SHA-256 of a pattern.
func patternSum(size int64) []byte {
	sum := sha256.New()
	_, _ = io.Copy(sum, &pattern{left: size}) // neither fails
	return sum.Sum(nil)
}

// wellspring is a back end: GET /N is answered with a pattern of N bytes, chunked with ?chunked; POST with the hash of the body,
// once gate is closed; all else with "fast".
type wellspring struct {
	addr    string
	written atomic.Int64 // of bodies, all together
	read    atomic.Int64
	open    atomic.Int64 // requests
	gate    chan struct{}
}

func startWellspring(t testing.TB) *wellspring {
	t.Helper()
	s := &wellspring{gate: make(chan struct{})}
	b := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	// A thousand that nobody reads must not use up what the kernel gives to all sockets of a machine.
	b.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetWriteBuffer(64 << 10) // else it is larger
		return ctx
	}
	b.Start()
	t.Cleanup(b.Close)
	s.addr = b.Listener.Addr().String()
	return s
}

func (s *wellspring) serve(w http.ResponseWriter, q *http.Request) {
	s.open.Add(1)
	defer s.open.Add(-1)
	size, err := strconv.ParseInt(q.URL.Path[1:], 10, 64)
	switch {
	case q.Method == "POST":
		select {
		case <-s.gate:
		case <-q.Context().Done():
		}
		sum := sha256.New()
		_, _ = io.Copy(io.MultiWriter(sum, countTo{&s.read}), q.Body) // a short body has another hash
		fmt.Fprintf(w, "%x", sum.Sum(nil))
	case err == nil:
		if q.URL.RawQuery != "chunked" {
			w.Header().Set("Content-Length", q.URL.Path[1:])
		}
		_, _ = io.Copy(io.MultiWriter(w, countTo{&s.written}), &pattern{left: size}) // the client has gone
	default:
		fmt.Fprint(w, "fast")
	}
}

// countTo counts what is written.
type countTo struct{ n *atomic.Int64 }

func (c countTo) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// stopsGrowing waits until a figure has not changed for a while, and returns it.
func stopsGrowing(t testing.TB, what string, figure func() int64) int64 {
	t.Helper()
	last, since := int64(-1), time.Now()
	eventually(t, what+" stops", func() bool {
		if now := figure(); now != last {
			last, since = now, time.Now()
		}
		return last > 0 && time.Since(since) > 200*time.Millisecond
	})
	return last
}

// request asks and reads nothing.
func (r *relayUnderTest) request(text string) net.Conn {
	r.t.Helper()
	c := r.dial()
	write(r.t, c, text)
	return c
}

func getText(path string) string {
	return "GET /cli/iarelayserver/f" + path + " HTTP/1.1\r\nHost: a\r\n\r\n"
}

// neighbours asks n times for something short and fails when one is not answered at once.
func neighbours(t testing.TB, r *relayUnderTest, n int) {
	t.Helper()
	began, slowest := time.Now(), time.Duration(0)
	for range n {
		one := time.Now()
		if o := ask("GET", r.url("/fast"), ""); o.status != 200 || o.body != "fast" {
			t.Fatalf("a neighbour: %v", o)
		}
		slowest = max(slowest, time.Since(one))
	}
	t.Logf("%d sent, %d answered, 0 lost in %v, the slowest in %v", n, n, time.Since(began).Round(time.Millisecond), slowest.Round(time.Millisecond))
	if slowest > slack {
		t.Error("a neighbour was delayed")
	}
}

// checkBody reads an answer to its end and compares it with the pattern.
func checkBody(t testing.TB, c net.Conn, want []byte) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	n, err := io.Copy(sum, resp.Body)
	if err != nil || !bytes.Equal(sum.Sum(nil), want) {
		t.Errorf("status %d, %d bytes, %v: not the right ones", resp.StatusCode, n, err)
	}
}

// socketBuffers is what the sockets between a back end and a client may hold besides: three send buffers, and as many to
// receive, as far as they grow by themselves on loopback.
const socketBuffers = 24 << 20

// TestAcceptance10SlowClient has a client that reads nothing: its neighbours on the lane are not delayed, little is held for it, and the
// back end waits. When it reads, it gets everything.
func TestAcceptance10SlowClient(t *testing.T) {
	const size = 64 << 20
	want := patternSum(size)
	for _, query := range []string{"", "?chunked"} {
		r := startRelay(t, twoFarms)
		s := startWellspring(t)
		e := startWatchedEnabler(t, r, s.addr)
		c := r.request(getText(fmt.Sprintf("/%d%s", size, query)))
		written := stopsGrowing(t, "the back end", s.written.Load)
		held := r.server.TotalsForTest().Held
		t.Logf("%d bytes of %d written, %d held", written, size, held)
		if limit := config.DefaultFarm().MaxClientBuffer; written > socketBuffers+limit || held > limit {
			t.Errorf("%d bytes were written for a client that reads nothing, %d are held", written, held)
		}
		neighbours(t, r, 50)
		checkBody(t, c, want)
		eventually(t, "nothing is left", func() bool {
			n := r.server.TotalsForTest()
			return n.InFlight == 0 && n.Held == 0 && e.Stats().Streams == 0
		})
	}
}

// TestSlowBackend has a back end that reads nothing of an upload: the client waits, its neighbours do not.
func TestSlowBackend(t *testing.T) {
	const size = 64 << 20
	for _, framing := range []string{"Content-Length: " + strconv.Itoa(size), "Transfer-Encoding: chunked"} {
		r := startRelay(t, twoFarms)
		s := startWellspring(t)
		e := startWatchedEnabler(t, r, s.addr)
		c := r.request("POST /cli/iarelayserver/f/upload HTTP/1.1\r\nHost: a\r\n" + framing + "\r\n\r\n")
		var sent atomic.Int64
		done := make(chan error, 1)
		go func() { // ends with the body, or the connection
			out := io.Writer(c)
			if framing[0] == 'T' {
				out = chunks{c}
			}
			_, err := io.Copy(io.MultiWriter(out, countTo{&sent}), &pattern{left: size})
			if framing[0] == 'T' && err == nil {
				_, err = io.WriteString(c, "0\r\n\r\n")
			}
			done <- err
		}()
		n := stopsGrowing(t, "the client", sent.Load)
		t.Logf("%d bytes of %d sent", n, size)
		if n > socketBuffers {
			t.Errorf("%d bytes were taken for a back end that reads nothing", n)
		}
		neighbours(t, r, 50)
		close(s.gate)
		if err := <-done; err != nil {
			t.Error(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if want := fmt.Sprintf("%x", patternSum(size)); string(got) != want || err != nil {
			t.Errorf("the hash is %s, want %s; %v", got, want, err)
		}
		eventually(t, "nothing is left", func() bool { return r.server.TotalsForTest().InFlight == 0 && e.Stats().Streams == 0 })
	}
}

// chunks writes chunks.
type chunks struct{ w io.Writer }

func (c chunks) Write(p []byte) (int, error) {
	if _, err := fmt.Fprintf(c.w, "%x\r\n%s\r\n", len(p), p); err != nil {
		return 0, err
	}
	return len(p), nil
}

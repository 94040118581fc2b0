package server_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// counted is a back end that says its name and counts what it has got.
type counted struct {
	name string
	addr string
	n    atomic.Int64
	http *http.Server
}

func startCounted(t testing.TB, name, addr string) *counted {
	t.Helper()
	if addr == "" {
		addr = freeAddr(t)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	b := &counted{name: name, addr: ln.Addr().String()}
	b.http = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b.n.Add(1)
		fmt.Fprint(w, name)
	})}
	go func() { _ = b.http.Serve(ln) }() // ends with close
	t.Cleanup(b.close)
	return b
}

func (b *counted) close() { _ = b.http.Close() }

// share asks n times and counts who answered; every answer has to be a good one.
func share(t *testing.T, r *relayUnderTest, n int) map[string]int {
	t.Helper()
	got := map[string]int{}
	for range n {
		o := ask("GET", r.url("/"), "")
		if o.status != 200 || o.err != nil {
			t.Fatalf("lost: %v", o)
		}
		got[o.body]++
	}
	return got
}

// TestServersTakeTurns follows a farm of three through the loss of an enabler and of a back end, and back.
func TestServersTakeTurns(t *testing.T) {
	t.Parallel() // it waits most of its time
	r := startRelay(t, twoFarms)
	var backends []*counted
	var enablers []*enabler
	for _, id := range []string{"s1", "s2", "s3"} {
		b := startCounted(t, id, "")
		backends = append(backends, b)
		enablers = append(enablers, startEnabler(t, r, id, b.addr))
	}
	if got := share(t, r, 30); got["s1"] != 10 || got["s2"] != 10 || got["s3"] != 10 {
		t.Errorf("turns are not even: %v", got)
	}
	enablers[0].stop(t)
	eventually(t, "the relay knows that s1 has gone", func() bool { return r.log.has(`msg="lane down" farm=f server=s1`) })
	if got := share(t, r, 20); got["s2"] != 10 || got["s3"] != 10 {
		t.Errorf("without the enabler of s1: %v", got)
	}
	backends[1].close() // refuses from now on: what is sent there is asked of s3
	if got := share(t, r, 20); got["s3"] != 20 {
		t.Errorf("without the back end of s2: %v", got)
	}
	eventually(t, "the relay knows that s2 is down", func() bool { return r.log.has("server=s2 up=false") })
	if o := ask("POST", r.url("/"), "body"); o.body != "s3" {
		t.Errorf("a request that cannot be sent twice: %v", o)
	}
	backends[2].close()
	eventually(t, "503", func() bool { return ask("GET", r.url("/"), "").status == 503 })
	resp, err := http.Get(r.url("/"))
	if err != nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("when all are gone: %v %v", resp, err)
	}
	began := time.Now()
	startCounted(t, "s2", backends[1].addr)
	eventually(t, "s2 serves again", func() bool { return ask("GET", r.url("/"), "").body == "s2" })
	if took := time.Since(began); took > time.Second+slack { // -d is a second
		t.Errorf("s2 came back after %v", took)
	}
}

// TestDownIsForgotten has an enabler say that its back end is down and die, while another one of the same server says nothing
// else than that it is up.
func TestDownIsForgotten(t *testing.T) {
	r := startRelay(t, twoFarms)
	b := startCounted(t, "s1", "")
	b.close()
	first := startEnabler(t, r, "s1", b.addr)
	eventually(t, "the back end is down", func() bool { return r.log.has("server=s1 up=false") })
	startCounted(t, "s1", b.addr)
	first.cancel() // it says nothing any more
	startEnabler(t, r, "s1", b.addr)
	eventually(t, "the second one serves", func() bool { return ask("GET", r.url("/"), "").status == 200 })
	first.stop(t)
	if o := ask("GET", r.url("/"), ""); o.status != 200 {
		t.Error(o)
	}
}

// TestStaleConnection has the back end close a kept connection just when it is used again. What can be sent twice is.
func TestStaleConnection(t *testing.T) {
	r := startRelay(t, twoFarms)
	backend := listenRaw(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		for n := 0; ; n++ {
			if _, err := readRequestHead(in); err != nil {
				return
			}
			if n == 1 {
				return // it answers the first request of a connection only
			}
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	startEnabler(t, r, "s1", backend)
	for _, row := range []struct {
		method, body string
		want         int
	}{{"GET", "", 200}, {"HEAD", "", 200}, {"DELETE", "", 200}, {"POST", "", 502}, {"POST", "body", 502}, {"PUT", "body", 200}} {
		if o := ask("GET", r.url("/first"), ""); o.status != 200 { // a retried one, or over a new connection: it leaves that
			t.Fatal(row.method, o)
		}
		o := ask(row.method, r.url("/"), row.body)
		if o.status != row.want || o.err != nil {
			t.Errorf("%s %q over a stale connection: %v", row.method, row.body, o)
		}
	}
	if n := r.server.TotalsForTest().Retries; n != 1 {
		t.Errorf("the relay sent %d requests again: the enabler should have, but for the one with a body, which it does not keep", n)
	}
}

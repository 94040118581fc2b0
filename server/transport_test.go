package server_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"roundhouse/server/config"
	"roundhouse/server/loop"
	"roundhouse/server/outbound"
)

// via makes an enabler reach the relay at addr, where a proxy is.
func via(t testing.TB, addr, transport string) func(*config.Enabler) {
	return func(c *config.Enabler) {
		c.Relays[0].Host, c.Relays[0].Port = split(t, addr)
		c.Transport = transport
		c.Retry = 200 * time.Millisecond
	}
}

// startEcho starts a back end that sends back what it gets.
func startEcho(t testing.TB) string {
	return startBackend(t, func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body) // the client sees what is missing
		_, _ = w.Write(b)
	})
}

// exercise sends requests of all sizes at the same time, to be answered with what they hold.
func exercise(t testing.TB, r *relayUnderTest, clients, requests int) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for n := range requests {
				want := bytes.Repeat([]byte{byte('a' + i)}, (i*7919+n*104729)%150_000)
				resp, err := http.Post(r.url("/"), "text/plain", bytes.NewReader(want))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 || err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes sent: status %d, %d bytes, %v", len(want), resp.StatusCode, len(got), err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// travels wants every lane to be in one form, and requests to pass.
func (e *enabler) travels(t testing.TB, r *relayUnderTest, transport string) {
	t.Helper()
	eventually(t, "lanes over "+transport, func() bool {
		return strings.Count(e.log.text(), "msg=\"lane up\"") >= r.cfg.Loops
	})
	for line := range strings.Lines(e.log.text()) {
		if strings.Contains(line, "msg=\"lane up\"") && !strings.Contains(line, "transport="+transport+"\n") {
			t.Errorf("not over %s: %s", transport, line)
		}
	}
	exercise(t, r, 8, 10)
	if e.log.has("lane down") && !e.log.has("because=") {
		t.Error("a lane broke:", e.log.text())
	}
}

// nginxFor starts nginx before a relay. location says how it passes requests on.
func nginxFor(t testing.TB, relay, location string) (addr string) {
	t.Helper()
	dir, addr := t.TempDir(), freeAddr(t)
	conf := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr warn;
events {}
http {
	access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/a; fastcgi_temp_path %[1]s/b; uwsgi_temp_path %[1]s/c; scgi_temp_path %[1]s/d;
	server {
		listen %[2]s;
		location / { proxy_pass http://%[3]s; proxy_http_version 1.1; proxy_set_header Host $http_host; client_max_body_size 0;
			%[4]s }
	}
}`, dir, addr, relay, location)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	runProgram(t, addr, "nginx", "-p", dir, "-c", path, "-e", "stderr")
	return addr
}

const passUpgrade = `proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";`

// TestTransportNginxGathers has nginx gather request bodies, which a lane's never end: the enabler goes over to WebSocket
// before it would have given the other form up.
func TestTransportNginxGathers(t *testing.T) {
	t.Parallel() // it waits most of its time
	r := startRelay(t, nil)
	addr := nginxFor(t, r.addr, "proxy_request_buffering on; "+passUpgrade)
	e := runEnablerWith(t, r, "s1", startEcho(t), "secret", via(t, addr, ""))
	e.travels(t, r, "websocket")
	if !e.log.has("another one was first") {
		t.Error("it does not say why:", e.log.text())
	}
}

// TestAcceptance15NoUpgrade has nginx pass bodies on as they come, but no upgrade: lanes go over HTTP, and cannot over WebSocket.
func TestAcceptance15NoUpgrade(t *testing.T) {
	r := startRelay(t, nil)
	addr := nginxFor(t, r.addr, `proxy_request_buffering off; proxy_set_header Connection "";`)
	runEnablerWith(t, r, "s1", startEcho(t), "secret", via(t, addr, "auto")).travels(t, r, "http")
	e := runEnablerWith(t, r, "s2", startEcho(t), "secret", via(t, addr, "ws"))
	eventually(t, "WebSocket is refused", func() bool { return strings.Count(e.log.text(), "400 Bad Request") > 2 })
	if e.log.has("lane up") {
		t.Error("a lane is up:", e.log.text())
	}
}

// TestTransportHAProxy passes everything on.
func TestTransportHAProxy(t *testing.T) {
	r := startRelay(t, nil)
	addr := haproxyBefore(t, r.addr)
	runEnablerWith(t, r, "s1", startEcho(t), "secret", via(t, addr, "auto")).travels(t, r, "http")
	runEnablerWith(t, r, "s2", startEcho(t), "secret", via(t, addr, "ws")).travels(t, r, "websocket")
}

// proxy passes connections on to a relay. pass passes one direction, towards the relay or back, until its end.
func proxy(t testing.TB, relay string, pass func(dst, src net.Conn, in *bufio.Reader, towards bool)) (addr string) {
	t.Helper()
	return listenRaw(t, func(c net.Conn) {
		b, err := net.Dial("tcp", relay)
		if err != nil {
			return
		}
		defer b.Close()
		var wg sync.WaitGroup
		one := func(dst, src net.Conn, towards bool) {
			pass(dst, src, bufio.NewReader(src), towards)
			_ = dst.(*net.TCPConn).CloseWrite() // it is gone already
		}
		wg.Go(func() { one(b, c, true) })
		wg.Go(func() { one(c, b, false) })
		wg.Wait()
	})
}

// passHead passes a head on, and returns it.
func passHead(dst io.Writer, in *bufio.Reader) (head string, err error) {
	for !strings.HasSuffix(head, "\r\n\r\n") {
		line, err := in.ReadString('\n')
		if head += line; err != nil {
			return head, err
		}
	}
	if dst != nil {
		_, err = io.WriteString(dst, head)
	}
	return head, err
}

// blocks passes on heads as they come, and what follows them in full blocks only; the rest at the end.
func blocks(size int) func(dst, src net.Conn, in *bufio.Reader, towards bool) {
	return func(dst, _ net.Conn, in *bufio.Reader, _ bool) {
		if _, err := passHead(dst, in); err != nil {
			return
		}
		block := make([]byte, size)
		for {
			n, err := io.ReadFull(in, block)
			if _, werr := dst.Write(block[:n]); err != nil || werr != nil {
				return
			}
		}
	}
}

// TestAcceptance15Padding puts a proxy in between that passes on full blocks of 4 KiB only: with padding lanes work over HTTP, without
// it none is taken for one that works.
func TestAcceptance15Padding(t *testing.T) {
	t.Parallel() // it waits most of its time
	padded := startRelay(t, func(c *config.Config) { c.Relay.Lane.PadSize = 4 << 10 })
	e := runEnablerWith(t, padded, "s1", startEcho(t), "secret", via(t, proxy(t, padded.addr, blocks(4<<10)), "auto"))
	e.travels(t, padded, "http")

	bare := startRelay(t, nil)
	e = runEnablerWith(t, bare, "s1", startEcho(t), "secret", via(t, proxy(t, bare.addr, blocks(4<<10)), "http"))
	eventually(t, "the lane is given up", func() bool {
		return e.log.has("no packet came back from the relay") || e.log.has("the relay did not say hello")
	})
	if e.log.has("lane up") {
		t.Error("a lane is up:", e.log.text())
	}
}

// noChunks refuses requests with a chunked body, as old proxies do.
func noChunks(dst, src net.Conn, in *bufio.Reader, towards bool) {
	if towards {
		head, err := passHead(nil, in)
		if err != nil {
			return
		}
		if strings.Contains(head, "Transfer-Encoding: chunked") {
			_, _ = io.WriteString(src, "HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			return
		}
		if _, err := io.WriteString(dst, head); err != nil {
			return
		}
	}
	_, _ = io.Copy(dst, in) // ends with one of the two
}

// TestTransportLength puts a proxy in between that wants a length: lanes go on from one body to the next under load, and nothing
// is lost.
func TestTransportLength(t *testing.T) {
	r := startRelay(t, nil)
	log := &lines{}
	cfg := &config.Enabler{Farm: "f", ID: "s1", Token: "secret", Relays: []config.RelayAddr{{URLSuffix: "/srv/iarelayserver"}}}
	cfg.Backend.Host, cfg.Backend.Port = split(t, startEcho(t))
	via(t, proxy(t, r.addr, noChunks), "auto")(cfg)
	g, err := loop.New(loop.Options{Loops: 2, Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	e, err := outbound.New(cfg, g, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	e.SetBodyLengthForTest(256 << 10)
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
	under := &enabler{log: log}
	under.travels(t, r, `"http with length"`)
	if n := strings.Count(log.text(), "lane goes on in another body"); n < 10 {
		t.Errorf("%d bodies", n)
	}
}

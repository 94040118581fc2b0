package server_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestPromise10Appended sends every refused row with a whole request behind it, in one piece: that must not be served, whatever the row
// was taken for.
func TestPromise10Appended(t *testing.T) {
	var smuggled atomic.Int64
	r := startScript(t, nil, func(c *rawConn) {
		for {
			head, body, err := c.message()
			if strings.Contains(head, "/smuggled") {
				smuggled.Add(1)
			}
			if err != nil {
				return
			}
			c.reply(head + body)
		}
	})
	for _, row := range refusedRows {
		c := r.client()
		c.send(row.in + "GET $F/smuggled HTTP/1.1|Host: h||")
		_, _ = io.ReadAll(c.r) // a reset: it has sent more than was read
		c.Close()
		if smuggled.Swap(0) != 0 {
			t.Errorf("%s: what came behind it was served", row.name)
		}
	}
	canaries(r, len(refusedRows))
	t.Logf("%d sent, 0 smuggled; %d canaries sent, %[1]d answered", len(refusedRows), len(refusedRows))
}

// TestPromise10Proxied sends every refused row at every split of its bytes through nginx, and through HAProxy, both of which send what they
// take for requests over few connections: every canary gets its own answer. It runs at full length only.
func TestPromise10Proxied(t *testing.T) {
	if !isFull() {
		t.Skip("only with " + fullEnv)
	}
	for _, proxy := range []func(testing.TB, string) string{nginxBefore, haproxyBefore} {
		r := startScript(t, nil, mirror)
		via := *r
		via.addr = proxy(t, r.addr)
		sent := 0
		for _, row := range refusedRows {
			in := wire(row.in)
			for _, c := range sendSplit(&via, in) {
				_, _ = io.WriteString(c, wire("GET $F/smuggled HTTP/1.1|Host: h||")) // fails when it was refused at once
				_ = c.CloseWrite()                                                   // as above
				_, _ = io.ReadAll(c.r)                                               // whatever the proxy makes of it
				c.Close()
				sent++
			}
			canaries(&via, len(in))
		}
		t.Logf("%d sent by way of %s, as many canaries sent and answered", sent, via.addr)
	}
}

// nginxBefore starts nginx in front of a relay server and returns its address.
func nginxBefore(t testing.TB, relay string) string {
	dir, addr := t.TempDir(), freeAddr(t)
	conf := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr crit;
events {}
http {
	access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/a; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	upstream relay { server %[3]s; keepalive 2; }
	server {
		listen %[2]s; ignore_invalid_headers off; underscores_in_headers on;
		location / { proxy_pass http://relay; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_request_buffering off; }
	}
}`, dir, addr, relay)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	runProgram(t, addr, "nginx", "-p", dir, "-c", path, "-e", "stderr")
	return addr
}

// haproxyBefore is nginxBefore for HAProxy.
func haproxyBefore(t testing.TB, relay string) string {
	addr := freeAddr(t)
	conf := fmt.Sprintf(`global
	maxconn 2000
defaults
	mode http
	timeout connect 5s
	timeout client 20s
	timeout server 20s
	timeout http-request 20s
	option accept-invalid-http-request
	http-reuse always
frontend f
	bind %s
	default_backend relay
backend relay
	server r %s
`, addr, relay)
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	runProgram(t, addr, "haproxy", "-db", "-f", path)
	return addr
}

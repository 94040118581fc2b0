package server_test

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roundhouse/codec/proxyheader"
	"roundhouse/server/config"
)

// forgedLines are lines by which a client claims to be somebody else, or to have come another way.
var forgedLines = []string{
	"X-Forwarded-For: 6.6.6.6", "x-forwarded-for: 6.6.6.6", "X_Forwarded_For: 6.6.6.6", "X-Forwarded_For: 6.6.6.6", "X_FORWARDED-FOR: 6.6.6.6",
	"X-Forwarded-For: 6.6.6.6|X-Forwarded-For: 6.6.6.7", "X-Forwarded-For: 6.6.6.6|X_Forwarded_For: 6.6.6.6", "X-Forwarded-For:|X-Forwarded-For: 6.6.6.6",
	"X-Forwarded-For: 6.6.6.6, 127.0.0.1", "X-Forwarded-For: unknown, 6.6.6.6", "X-Forwarded-For:\t6.6.6.6", "X-Forwarded-For: \"6.6.6.6\"",
	"Connection: X-Forwarded-For|X-Forwarded-For: 6.6.6.6", "Connection: close, X_Forwarded_For|X_Forwarded_For: 6.6.6.6",
	"X-Forwarded-Host: 6.6.6.6", "X_Forwarded_Host: 6.6.6.6", "x-Forwarded_host: 6.6.6.6",
	"X-Forwarded-Proto: 6.6.6.6", "X_Forwarded_Proto: 6.6.6.6", "X-Forwarded-Proto: http|x_forwarded_proto: 6.6.6.6",
	"Forwarded: for=6.6.6.6", "forwarded: for=\"[::6.6.6.6]\";proto=https", "FORWARDED: for=6.6.6.6, for=6.6.6.7", "Forwarded: for=6.6.6.6|Forwarded: by=6.6.6.6",
	"X-Forwarded-Port: 6.6.6.6", "X_Forwarded_Port: 6.6.6.6", "X-Forwarded-Ssl: 6.6.6.6", "X-Forwarded-Server: 6.6.6.6", "X-Forwarded-Scheme: 6.6.6.6", "X-Forwarded: 6.6.6.6",
	"X-Real-IP: 6.6.6.6", "X_Real_IP: 6.6.6.6", "x-real_ip: 6.6.6.6", "X-Client-IP: 6.6.6.6", "X_Client_Ip: 6.6.6.6", "True-Client-IP: 6.6.6.6",
	"X-Cluster-Client-Ip: 6.6.6.6", "Forwarded-For: 6.6.6.6", "Front-End-Https: 6.6.6.6", "Client-IP: 6.6.6.6", "Client_Ip: 6.6.6.6", "X-Remote-IP: 6.6.6.6", "X_Remote_Addr: 6.6.6.6", "X-Originating-IP: 6.6.6.6",
	"Proxy-Client-IP: 6.6.6.6", "WL-Proxy-Client-IP: 6.6.6.6", "X-Original-Forwarded-For: 6.6.6.6", "X-Envoy-External-Address: 6.6.6.6", "X-Url-Scheme: 6.6.6.6", "X-Scheme: 6.6.6.6",
	"Client-Cert: :6.6.6.6:", "Client_Cert: :6.6.6.6:", "Client-Cert-Chain: :6.6.6.6:", "X-Client-Cert: 6.6.6.6", "X-Forwarded-Client-Cert: By=6.6.6.6", "x_forwarded_client_cert: By=6.6.6.6",
	"SSL_CLIENT_CERT: 6.6.6.6", "SSL-CLIENT-CERT: 6.6.6.6", "ssl_client_cert_chain_0: 6.6.6.6", "SSL_CLIENT_S_DN: CN=6.6.6.6", "SSL_CLIENT_VERIFY: 6.6.6.6", "SSL_CIPHER: 6.6.6.6", "Ssl-Cipher-Usekeysize: 6.6.6.6",
	"Ias-Rs-Farm: 6.6.6.6", "Ias_Rs_Token: 6.6.6.6", "ias-rs-oe-id: 6.6.6.6", "Ias-Rs-Hop: 6.6.6.6", "Ias_Rs_Sessionid: 6.6.6.6", "Via: 1.1 6.6.6.6",
}

// forgedStarts are begun in ways that are refused as a whole.
var forgedStarts = []string{
	"PROXY TCP4 6.6.6.6 6.6.6.6 1 2||GET $F/ok HTTP/1.1|Host: h||", "PROXY TCP4 6.6.6.6 6.6.6.6 1 2|GET $F/ok HTTP/1.1|Host: h||",
	string(proxyheader.AppendV2(nil, proxyheader.Header{Source: netip.MustParseAddrPort("6.6.6.6:1"), Destination: netip.MustParseAddrPort("6.6.6.6:2")})) + "GET $F/ok HTTP/1.1|Host: h||",
	"GET $F/ok HTTP/1.1|Host: h|X-Forwarded-For : 6.6.6.6||", "GET $F/ok HTTP/1.1|Host: h|A: b| X-Forwarded-For: 6.6.6.6||",
	"GET $F/ok HTTP/1.1|Host: h|A: b\nX-Forwarded-For: 6.6.6.6||", "GET $F/ok HTTP/1.1|Host: h|A: b\rX-Forwarded-For: 6.6.6.6||",
	"GET $F/ok HTTP/1.1|Host: h|X-Forwarded-For\x00: 6.6.6.6||",
}

// haproxy runs HAProxy before the relay, with some lines of its own in the front end and at the end of the line of the relay.
func haproxy(t *testing.T, relay, front, server string) (addr string) {
	t.Helper()
	addr = freeAddr(t)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := fmt.Sprintf("global\n maxconn 200\ndefaults\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n"+
		"frontend f\n bind %s\n%s default_backend b\nbackend b\n%s server r %s %s\n", addr, front, strings.SplitAfter(front, "\n")[0], relay, server)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	runProgram(t, addr, "haproxy", "-db", "-f", file)
	return addr
}

// asks sends a request over a fresh connection from 127.0.0.2, and returns what the back end has seen.
func asks(t *testing.T, addr, request string) (status int, body string) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: patience}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c := &rawClient{TCPConn: nc.(*net.TCPConn), t: t, r: bufio.NewReader(nc)}
	c.send(request)
	resp, body := c.answer("GET")
	return resp.StatusCode, body
}

// TestPromise12 forges who a client is in every way that is known: directly, and through a load balancer that is trusted, removes the fields
// that are believed of it, and knows no other. None reaches the back end.
func TestPromise12(t *testing.T) {
	if n := len(forgedLines) + len(forgedStarts); n < 40 {
		t.Fatalf("%d ways", n)
	}
	sent, passed := 0, 0
	judge := func(way, addr, forgery, want string) {
		t.Helper()
		sent++
		status, body := asks(t, addr, "GET /cli/iarelayserver/f/ok HTTP/1.1|Host: h|"+forgery+"||")
		if status != 200 || strings.Contains(body, "6.6.6") || !strings.Contains(body, "|"+want+"|") {
			passed++
			t.Errorf("%s, %q: %d %s", way, forgery, status, body)
		}
	}
	direct := startScript(t, nil, mirror)
	behind := startScript(t, func(cfg *config.Config) {
		cfg.Relay.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	}, mirror)
	if !t.Run("haproxy", func(t *testing.T) {
		addr := haproxy(t, behind.addr, " mode http\n http-request del-header X-Forwarded- -m beg\n http-request del-header Forwarded\n http-request del-header Via\n"+
			" http-request del-header Client-Cert -m beg\n http-request del-header X-Client-Cert\n option forwardfor\n http-request set-header X-Forwarded-Proto http\n", "")
		for _, f := range forgedLines {
			judge("through HAProxy", addr, f, "X-Forwarded-For: 127.0.0.2, 127.0.0.1")
		}
	}) {
		return
	}
	for _, f := range forgedLines {
		judge("direct", direct.addr, f, "X-Forwarded-For: 127.0.0.2")
	}
	for _, f := range forgedStarts {
		sent++
		if status, body := asks(t, direct.addr, strings.ReplaceAll(f, "$F", "/cli/iarelayserver/f")); status != 400 || strings.Contains(body, "GET") {
			passed++
			t.Errorf("%q: %d %s", f, status, body)
		}
	}
	t.Logf("%d ways to forge: %d sent, %d answered, %d have come to the back end", len(forgedLines)+len(forgedStarts), sent, sent-passed, passed)
}

// TestPromise26PROXY has load balancers name the client in a PROXY header: the back end sees its address.
func TestPromise26PROXY(t *testing.T) {
	r := startScript(t, func(cfg *config.Config) { // the enabler comes from 127.0.0.1, and begins with none
		cfg.Relay.Trust.ProxyProtocol = []netip.Prefix{netip.MustParsePrefix("127.0.0.3/32")}
	}, mirror)
	sent, lost := 0, 0
	check := func(t *testing.T, addr string) {
		t.Helper()
		for range 3 {
			sent++
			status, body := asks(t, addr, "GET /cli/iarelayserver/f/ok HTTP/1.1|Host: h|X-Forwarded-For: 6.6.6.6||")
			if status != 200 || !strings.Contains(body, "|X-Forwarded-For: 127.0.0.2|") || !strings.Contains(body, "Forwarded: for=127.0.0.2;") {
				lost++
				t.Errorf("%d %s", status, body)
			}
		}
	}
	for _, version := range []string{"send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id", "send-proxy-v2 check check-send-proxy inter 100ms"} {
		for _, mode := range []string{" mode tcp\n", " mode http\n"} {
			t.Run("HAProxy"+mode[:len(mode)-1]+" "+version, func(t *testing.T) {
				check(t, haproxy(t, r.addr, mode, "source 127.0.0.3 "+version))
			})
		}
	}
	t.Run("nginx", func(t *testing.T) {
		const module = "/usr/lib/nginx/modules/ngx_stream_module.so"
		if _, err := os.Stat(module); err != nil {
			t.Skip("nginx has no stream module")
		}
		addr, dir := freeAddr(t), t.TempDir()
		file := filepath.Join(dir, "nginx.conf")
		text := "load_module " + module + ";\ndaemon off;\npid " + dir + "/pid;\nerror_log stderr;\nevents {}\nstream { server { listen " + addr +
			"; proxy_pass " + r.addr + "; proxy_bind 127.0.0.3; proxy_protocol on; } }\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		runProgram(t, addr, "nginx", "-c", file, "-p", dir)
		check(t, addr)
	})
	t.Logf("%d sent, %d answered, %d lost", sent, sent-lost, lost)
}

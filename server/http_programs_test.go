package server_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runProgram starts a program that listens on addr, and ends it with the test. The test is skipped when it is not installed.
func runProgram(t testing.TB, addr, program string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	var out bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // it was told to end
		if t.Failed() {
			t.Logf("%s: %s", program, out.String())
		}
	})
	eventually(t, program+" listens", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// TestHTTPNginx serves a farm by nginx.
func TestHTTPNginx(t *testing.T) {
	dir, addr := t.TempDir(), freeAddr(t)
	page, _ := io.ReadAll(noise(3 << 20))
	conf := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr warn;
events {}
http {
	access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/a; fastcgi_temp_path %[1]s/b; uwsgi_temp_path %[1]s/c; scgi_temp_path %[1]s/d;
	server {
		listen %[2]s; root %[1]s/www; client_max_body_size 8m;
		location /small { client_max_body_size 10; return 200 "never"; }
		location /put { dav_methods PUT DELETE; create_full_put_path on; }
		location /echo { return 200 "$request_method $host $http_x_forwarded_for $http_forwarded"; }
		location /gone { return 444; }
	}
}`, dir, addr)
	for name, text := range map[string][]byte{"nginx.conf": []byte(conf), "www/page": page} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	runProgram(t, addr, "nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr")
	r := startRelay(t, nil)
	startEnabler(t, r, "s1", addr)
	send := func(method, path string, body io.Reader, fields ...string) (*http.Response, []byte) {
		t.Helper()
		q, _ := http.NewRequest(method, r.url(path), body)
		for i := 0; i < len(fields); i += 2 {
			q.Header.Set(fields[i], fields[i+1])
		}
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(method, path, err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(method, path, err)
		}
		return resp, b
	}
	resp, b := send("GET", "/page", nil)
	if resp.StatusCode != 200 || !bytes.Equal(b, page) || !strings.HasPrefix(resp.Header.Get("Server"), "nginx") {
		t.Errorf("%v, %d bytes", resp, len(b))
	}
	if again, b := send("GET", "/page", nil, "If-None-Match", resp.Header.Get("ETag")); again.StatusCode != 304 || len(b) > 0 {
		t.Errorf("%v", again)
	}
	if part, b := send("GET", "/page", nil, "Range", "bytes=5-9"); part.StatusCode != 206 || !bytes.Equal(b, page[5:10]) {
		t.Errorf("%v", part)
	}
	if head, _ := send("HEAD", "/page", nil); head.ContentLength != int64(len(page)) {
		t.Errorf("%v", head)
	}
	if _, b := send("GET", "/echo", nil, "X-Forwarded-For", "evil"); !strings.HasPrefix(string(b), "GET 127.0.0.1 127.0.0.1 for=127.0.0.1;") {
		t.Errorf("%s", b)
	}
	for _, body := range []io.Reader{bytes.NewReader(page), io.MultiReader(bytes.NewReader(page))} { // with a length, and chunked
		if put, b := send("PUT", "/put/x", body); put.StatusCode/100 != 2 {
			t.Errorf("%v %s", put, b)
		}
		if _, b := send("GET", "/put/x", nil); sha256.Sum256(b) != sha256.Sum256(page) {
			t.Errorf("%d bytes came back", len(b))
		}
	}
	if gone, _ := send("GET", "/gone", nil); gone.StatusCode != 502 || gone.Header.Get("Ias-Rs-Error") != "1104" {
		t.Errorf("%v", gone)
	}
	c := r.client()
	c.send("POST $F/small HTTP/1.1|Host: h|Content-Length: 11|Expect: 100-continue||")
	if resp, _ := c.expect(413); !resp.Close {
		t.Errorf("%v", resp)
	}
	c.ends()
}

const nodeServer = `
const http = require('http'), [host, port] = process.argv[1].split(':')
const s = http.createServer((q, w) => {
	if (q.url === '/hints') { w.writeEarlyHints({link: '</a>; rel=preload'}) }
	let n = 0
	w.setHeader('Trailer', 'X-Bytes')
	q.on('data', b => { n += b.length; w.write(b) || (q.pause(), w.once('drain', () => q.resume())) })
	q.on('end', () => { w.addTrailers({'X-Bytes': String(n) + ' ' + (q.trailers['x-there'] || '')}); w.end() })
})
s.on('upgrade', (q, socket, head) => {
	const key = require('crypto').createHash('sha1').update(q.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
	socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ' + key + '\r\n\r\n')
	socket.pipe(socket)
})
s.listen(port, host)
`

// TestHTTPNode serves a farm by node: an echo with trailers that answers while it reads, early hints, an upgrade.
func TestHTTPNode(t *testing.T) {
	addr := freeAddr(t)
	runProgram(t, addr, "node", "-e", nodeServer, addr)
	r := startRelay(t, nil)
	startEnabler(t, r, "s1", addr)
	for _, size := range []int64{0, 1, 100_000, 5 << 20} {
		want, _ := io.ReadAll(noise(size))
		q, _ := http.NewRequest("POST", r.url("/"), io.MultiReader(bytes.NewReader(want)))
		q.Trailer = http.Header{"X-There": {"yes"}}
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, want) || resp.Trailer.Get("X-Bytes") != fmt.Sprintf("%d yes", size) {
			t.Errorf("%d: %d bytes, %v, %v", size, len(got), err, resp.Trailer)
		}
	}
	c := r.client()
	c.send("GET $F/hints HTTP/1.1|Host: h||")
	if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 103 Early Hints|") {
		t.Errorf("%q", h)
	}
	c.expect(200)
	c.send("GET $F/ HTTP/1.1|Host: h|Connection: Upgrade|Upgrade: websocket|" + webSocketKey + "|")
	if h := c.head(); !strings.Contains(h, "|Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=|") {
		t.Errorf("%q", h)
	}
	c.send("opaque")
	b := make([]byte, len("opaque"))
	if _, err := io.ReadFull(c.r, b); err != nil || string(b) != "opaque" {
		t.Errorf("%q %v", b, err)
	}
}

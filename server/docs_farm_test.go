package server_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// farmExample returns a file of docs/farm, with the texts in changes replaced. One that is not there is a mistake.
func farmExample(t testing.TB, name string, changes ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../docs/farm", name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("%s has no %q", name, changes[i])
		}
		text = strings.ReplaceAll(text, changes[i], changes[i+1])
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDocsFarm runs the files that the documentation offers for copying, with other names and ports.
func TestDocsFarm(t *testing.T) {
	dir := t.TempDir()
	cert, key := selfSigned(t)
	var plain, secure, admin []string
	for range 3 {
		plain, secure, admin = append(plain, freeAddr(t)), append(secure, freeAddr(t)), append(admin, freeAddr(t))
	}
	for i := range 3 {
		changes := []string{
			`":8080"`, fmt.Sprintf("%q", plain[i]), `":8443"`, fmt.Sprintf("%q", secure[i]), `":8081"`, fmt.Sprintf("%q", admin[i]),
			`"192.0.2.10", "192.0.2.11"`, `"127.0.0.1"`, "/etc/roundhouse/fullchain.pem", cert, "/etc/roundhouse/privkey.pem", key,
			"/var/log/roundhouse/access.log", filepath.Join(dir, fmt.Sprint("access", i)), `drain_delay = "3s"`, `drain_delay = "100ms"`, `drain_grace = "5s"`, `drain_grace = "100ms"`,
		}
		for n := range 3 {
			_, port := split(t, secure[n])
			changes = append(changes, fmt.Sprintf("host = \"relay%d.example.com\"\nhttp_port = \"off\"\nhttps_port = 8443", n+1),
				fmt.Sprintf("host = \"127.0.0.1\"\nhttp_port = \"off\"\nhttps_port = %d", port))
		}
		start(t, binary(t, "roundhouse"), "serve", "-c", farmExample(t, "relay.toml", changes...), "--set", "log.format=json").listens("relay")
	}
	_, backend := split(t, startBackend(t, func(w http.ResponseWriter, q *http.Request) {
		fmt.Fprint(w, q.URL.Path, " ", q.Header.Get("X-Forwarded-Proto"))
		if q.URL.Path == "/fields" {
			fmt.Fprint(w, " ", q.Header)
		}
	}))
	options := []string{"port=3000;status_url=/health", fmt.Sprintf("port=%d;status_url=/health", backend)}
	for n := range 3 {
		_, port := split(t, secure[n])
		options = append(options, fmt.Sprintf("host=relay%d.example.com;port=8443;https=1", n+1),
			fmt.Sprintf("host=127.0.0.1;port=%d;https=1;trusted_certificates=%s", port, cert))
	}
	start(t, binary(t, "rsoe"), "@"+farmExample(t, "rsoe.options", options...), "-d", "1")
	for _, a := range plain {
		eventually(t, "each relay server serves", func() bool { return ask("GET", "http://"+a+"/cli/iarelayserver/shop/x", "").status == 200 })
	}

	front := freeAddr(t)
	changes := []string{"bind :80\n", "bind " + front + "\n"}
	var list []string
	for i := range 3 {
		_, port := split(t, admin[i])
		changes = append(changes, fmt.Sprintf("server relay%d relay%[1]d.example.com:8080", i+1), fmt.Sprintf("server relay%d %s port %d", i+1, plain[i], port))
		list = append(list, fmt.Sprintf("relay%d.example.com:8080", i+1), plain[i])
	}
	runProgram(t, front, "haproxy", "-db", "-f", farmExample(t, "haproxy.cfg", changes...))
	nginx := freeAddr(t)
	runProgram(t, nginx, "nginx", "-e", "stderr", "-p", dir, "-c", farmExample(t, "nginx.conf", append(list, "listen 80;", "listen "+nginx+";",
		"events {", "daemon off; master_process off; pid "+dir+"/pid;\nevents {", "http {", fmt.Sprintf(
			"http {\nclient_body_temp_path %[1]s/1; proxy_temp_path %[1]s/2; fastcgi_temp_path %[1]s/3; uwsgi_temp_path %[1]s/4; scgi_temp_path %[1]s/5;", dir))...))
	for name, at := range map[string]string{"HAProxy": front, "nginx": nginx} {
		for range 20 {
			if o := ask("GET", "http://"+at+"/cli/iarelayserver/shop/a/b", ""); o.status != 200 || o.body != "/a/b http" {
				t.Fatalf("%s: %v %s", name, o, o.body)
			}
		}
		q, _ := http.NewRequest("GET", "http://"+at+"/by/host", nil)
		q.Host = "shop.example.com"
		resp, err := http.DefaultTransport.RoundTrip(q)
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: by its host name: %v, %v", name, resp, err)
			continue
		}
		resp.Body.Close()
		checkForgeries(t, name, at)
	}
}

// checkForgeries has a client say of itself, through a load balancer, what relays believe of that.
func checkForgeries(t *testing.T, name, at string) {
	t.Helper()
	q, err := http.NewRequest("GET", "http://"+at+"/cli/iarelayserver/shop/fields", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Ssl", "Forwarded", "Via",
		"Client-Cert", "Client-Cert-Chain", "X-Client-Cert", "X-Forwarded-Client-Cert", "X-Real-Ip", "X_Forwarded_For"} {
		q.Header[field] = []string{"forged"}
	}
	resp, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || strings.Contains(string(body), "forged") || !strings.Contains(string(body), "X-Forwarded-For:[127.0.0.1, 127.0.0.1]") {
		t.Errorf("%s: %s, %v: %s", name, resp.Status, err, body)
	}
}

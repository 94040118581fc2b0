package harness

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// nginxHead is common to both instances. Every path is in the instance's own directory; a temporary file of a large body goes
// there too.
const nginxHead = `daemon off;
%[1]s
worker_processes %[2]d;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log stderr warn;
events { worker_connections 8192; }
http {
	access_log off;
	default_type application/octet-stream;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	keepalive_requests 1000000;
	keepalive_timeout 300s;
	client_max_body_size 0;
	sendfile on;
	tcp_nopush on;
`

const nginxOrigin = `	open_file_cache max=100 inactive=300s;
	open_file_cache_valid 300s;
	server {
		listen %[1]s backlog=4096;
		root %[2]s;
	}
}
`

const nginxProxy = `	upstream origin {
		server %[2]s;
		keepalive 256;
		keepalive_requests 1000000;
	}
	server {
		listen %[1]s backlog=4096 %[3]s;
		location / {
			proxy_pass http://origin;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
		}
	}
}
`

// nginxTLS ends the listen directive of nginx as a proxy that speaks TLS, and stands in its server. The cipher suite is the one that Go's TLS
// takes.
const nginxTLS = `ssl;
		ssl_certificate %[1]s;
		ssl_certificate_key %[2]s;
		ssl_protocols TLSv1.3;
		ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
		ssl_session_cache off;
		ssl_session_tickets off`

// StartOrigin starts nginx with the bodies as static files. No contender's figures include it.
func StartOrigin(ctx context.Context, l *Lab, workers int, bodies []Body) (*Contender, int, error) {
	root := filepath.Join(l.Dir, "www")
	if err := os.Mkdir(root, 0o755); err != nil {
		return nil, 0, fmt.Errorf("harness: %w", err)
	}
	for _, b := range bodies {
		if err := writeBody(filepath.Join(root, b.Name), b.Size); err != nil {
			return nil, 0, err
		}
	}
	port, err := FreePort()
	if err != nil {
		return nil, 0, err
	}
	if _, err := startNginx(l, "origin", workers, fmt.Sprintf(nginxOrigin, Address(port), root)); err != nil {
		return nil, 0, err
	}
	c := &Contender{Name: "direct", URL: "http://" + Address(port) + "/"}
	return c, port, c.waitReady(ctx, bodies[0])
}

func writeBody(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("harness: %w", err)
	}
	defer f.Close() // for the early return; the second Close of the other path does nothing
	if _, err := io.Copy(f, NewBodyReader(size)); err != nil {
		return fmt.Errorf("harness: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("harness: %w", err)
	}
	return nil
}

func startNginxProxy(_ context.Context, l *Lab, originPort int) (*Contender, error) {
	return proxyByNginx(l, "nginx", "http", "", originPort)
}

// TLSNginx returns the starter of nginx as a proxy that speaks TLS.
func TLSNginx() Starter {
	const name = "nginx-tls"
	return Starter{Name: name, Needs: []string{"nginx"}, Start: func(_ context.Context, l *Lab, originPort int) (*Contender, error) {
		c, err := l.Certificate()
		if err != nil {
			return nil, err
		}
		return proxyByNginx(l, name, "https", fmt.Sprintf(nginxTLS, c.Cert, c.Key), originPort)
	}}
}

func proxyByNginx(l *Lab, name, scheme, listen string, originPort int) (*Contender, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	p, err := startNginx(l, name, 2, fmt.Sprintf(nginxProxy, Address(port), Address(originPort), listen))
	if err != nil {
		return nil, err
	}
	return &Contender{Name: name, URL: scheme + "://" + Address(port) + "/", Procs: []*Process{p}}, nil
}

func startNginx(l *Lab, name string, workers int, servers string) (*Process, error) {
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // its default user may not enter the lab's directory
	}
	conf, err := l.WriteFile(name+"/nginx.conf", fmt.Sprintf(nginxHead, user, workers)+servers)
	if err != nil {
		return nil, err
	}
	return l.Start(name, "nginx", "-p", filepath.Dir(conf), "-e", "stderr", "-c", conf)
}

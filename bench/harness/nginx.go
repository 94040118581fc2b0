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
		listen %[1]s backlog=4096;
		location / {
			proxy_pass http://origin;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
		}
	}
}
`

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
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	p, err := startNginx(l, "nginx", 2, fmt.Sprintf(nginxProxy, Address(port), Address(originPort)))
	if err != nil {
		return nil, err
	}
	return &Contender{Name: "nginx", URL: "http://" + Address(port) + "/", Procs: []*Process{p}}, nil
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

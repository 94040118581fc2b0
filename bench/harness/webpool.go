package harness

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// backlog is how many connections may wait for a worker: each request that finds none free waits in its socket's backlog.
const backlog = 4096

// nginxPool passes requests on. Bodies of 64 KiB and replies to them stay in memory. No connection to a worker is kept: one that is
// kept has its worker to itself, idle or not, and with more clients than workers most of them would never be served.
const nginxPool = `	client_body_buffer_size 128k;
	server {
		listen %[1]s backlog=4096;
		location / {
			%[2]s_pass unix:%[3]s;
			include %[4]s;
			%[2]s_buffer_size 16k;
			%[2]s_buffers 16 16k;
			%[2]s_busy_buffers_size 128k;
			%[2]s_read_timeout 60s;
		}
	}
}
`

const phpConf = `[global]
error_log = %[1]s
daemonize = no
[bench]
%[2]slisten = %[3]s
listen.backlog = %[4]d
pm = static
pm.max_children = %[5]d
php_admin_flag[expose_php] = off
`

const phpEcho = `<?php
$body = file_get_contents('php://input');
header('Content-Type: application/octet-stream');
header('Content-Length: ' . strlen($body));
echo $body;
`

const uwsgiEcho = `def application(environ, start_response):
    size = environ["CONTENT_LENGTH"]
    body = environ["wsgi.input"].read(int(size))
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", size)])
    return [body]
`

// The parameters that nginx hands on, those that the workers need.
const (
	fastcgiParams = `fastcgi_param SCRIPT_FILENAME %s;
fastcgi_param REQUEST_METHOD $request_method;
fastcgi_param CONTENT_LENGTH $content_length;
fastcgi_param CONTENT_TYPE $content_type;
fastcgi_param REQUEST_URI $request_uri;
fastcgi_param SERVER_PROTOCOL $server_protocol;
`
	uwsgiParams = `uwsgi_param REQUEST_METHOD $request_method;
uwsgi_param CONTENT_LENGTH $content_length;
uwsgi_param REQUEST_URI $request_uri;
uwsgi_param PATH_INFO $document_uri;
uwsgi_param SERVER_PROTOCOL $server_protocol;
uwsgi_param SERVER_NAME $server_name;
uwsgi_param SERVER_PORT $server_port;
`
)

// startPHP runs php-fpm behind nginx, the usual home of a PHP program.
func (o *PoolOptions) startPHP(ctx context.Context, l *Lab) (*Pool, error) {
	const name = "nginx-php-fpm"
	program, err := findPHP()
	if err != nil {
		return nil, err
	}
	script, err := l.WriteFile("echo.php", phpEcho)
	if err != nil {
		return nil, err
	}
	user := ""
	argv := []string{program, "--nodaemonize"}
	if os.Geteuid() == 0 { // its default user may not enter the lab's directory
		user = "user = root\n"
		argv = append(argv, "--allow-to-run-as-root")
	}
	socket := filepath.Join(l.Dir, "php.sock")
	conf, err := l.WriteFile("php-fpm.conf", fmt.Sprintf(phpConf, filepath.Join(l.Dir, "php-fpm.err"), user, socket, backlog, o.Engines))
	if err != nil {
		return nil, err
	}
	workers, err := l.Start("php-fpm", append(argv, "--fpm-config", conf)...)
	if err != nil {
		return nil, err
	}
	if err := waitSocket(ctx, workers, socket); err != nil {
		return nil, err
	}
	params := fmt.Sprintf(fastcgiParams, script)
	return startNginxPool(ctx, l, name, "fastcgi", socket, params, workers)
}

// startUWSGI runs uWSGI with its Python plugin behind nginx.
func (o *PoolOptions) startUWSGI(ctx context.Context, l *Lab) (*Pool, error) {
	const name = "nginx-uwsgi-python"
	program, err := findUWSGI()
	if err != nil {
		return nil, err
	}
	script, err := l.WriteFile("echo.py", uwsgiEcho)
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(l.Dir, "uwsgi.sock")
	workers, err := l.Start("uwsgi", program, "--plugins", "python3", "--socket", socket, "--listen", fmt.Sprint(backlog),
		"--master", "--die-on-term", "--need-app", "--single-interpreter", "--thunder-lock", "--disable-logging",
		"--processes", fmt.Sprint(o.Engines), "--wsgi-file", script)
	if err != nil {
		return nil, err
	}
	if err := waitSocket(ctx, workers, socket); err != nil {
		return nil, err
	}
	return startNginxPool(ctx, l, name, "uwsgi", socket, uwsgiParams, workers)
}

// startNginxPool starts nginx with 2 workers in front of the socket.
func startNginxPool(ctx context.Context, l *Lab, name, protocol, socket, params string, workers *Process) (*Pool, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	include, err := l.WriteFile(name+".params", params)
	if err != nil {
		return nil, err
	}
	front, err := startNginx(l, name, 2, fmt.Sprintf(nginxPool, Address(port), protocol, socket, include))
	if err != nil {
		return nil, err
	}
	c := Contender{Name: name, Procs: []*Process{front, workers}}
	return &Pool{Contender: c, Protocol: ProtocolHTTP, Port: port, front: front}, WaitListening(ctx, front, port)
}

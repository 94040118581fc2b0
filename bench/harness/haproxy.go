package harness

import (
	"context"
	"fmt"
)

const haproxyConf = `global
	nbthread 2
	maxconn 8000
defaults
	mode http
	http-reuse always
	timeout connect 5s
	timeout client 300s
	timeout server 300s
frontend in
	bind %[1]s
	default_backend origin
backend origin
	server origin %[2]s
`

func startHAProxy(_ context.Context, l *Lab, originPort int) (*Contender, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	conf, err := l.WriteFile("haproxy.cfg", fmt.Sprintf(haproxyConf, Address(port), Address(originPort)))
	if err != nil {
		return nil, err
	}
	p, err := l.Start("haproxy", "haproxy", "-db", "-f", conf)
	if err != nil {
		return nil, err
	}
	return &Contender{Name: "haproxy", URL: "http://" + Address(port) + "/", Procs: []*Process{p}}, nil
}

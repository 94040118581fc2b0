package harness

import (
	"context"
	"fmt"
)

// The configuration of frp since 0.52. Everything not named is its default, as its users run it.
const (
	frpsConf = `bindAddr = "127.0.0.1"
bindPort = %[1]d
proxyBindAddr = "127.0.0.1"
%[2]s
log.level = "error"
transport.tcpMux = %[3]t
`
	frpcConf = `serverAddr = "127.0.0.1"
serverPort = %[1]d
log.level = "error"
transport.tcpMux = %[2]t
[[proxies]]
name = "bench"
localIP = "127.0.0.1"
localPort = %[3]d
%[4]s
`
)

// frp returns a starter of frps and frpc. With http frps reads the requests, otherwise it copies bytes; with mux all
// connections share one.
func frp(name string, http, mux bool) Starter {
	return Starter{Name: name, Needs: []string{"frps", "frpc"}, Start: func(ctx context.Context, l *Lab, originPort int) (*Contender, error) {
		control, err := FreePort()
		if err != nil {
			return nil, err
		}
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		serverExtra, proxy := "", fmt.Sprintf("type = \"tcp\"\nremotePort = %d", port)
		if http {
			serverExtra = fmt.Sprintf("vhostHTTPPort = %d", port)
			proxy = "type = \"http\"\ncustomDomains = [\"127.0.0.1\"]"
		}
		serverConf, err := l.WriteFile(name+"-frps.toml", fmt.Sprintf(frpsConf, control, serverExtra, mux))
		if err != nil {
			return nil, err
		}
		clientConf, err := l.WriteFile(name+"-frpc.toml", fmt.Sprintf(frpcConf, control, mux, originPort, proxy))
		if err != nil {
			return nil, err
		}
		return tunnel{name, control, port, []string{"frps", "-c", serverConf}, []string{"frpc", "-c", clientConf}}.start(ctx, l)
	}}
}

func startChisel(ctx context.Context, l *Lab, originPort int) (*Contender, error) {
	control, err := FreePort()
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	return tunnel{"chisel", control, port,
		[]string{"chisel", "server", "--reverse", "--host", "127.0.0.1", "--port", fmt.Sprint(control)},
		[]string{"chisel", "client", "http://" + Address(control), "R:" + Address(port) + ":" + Address(originPort)}}.start(ctx, l)
}

// tunnel is a public half, which listens on both ports, and a private half, which connects to the control port.
type tunnel struct {
	name           string
	control, port  int
	server, client []string // command lines
}

func (t tunnel) start(ctx context.Context, l *Lab) (*Contender, error) {
	server, err := l.Start(t.name+"-server", t.server...)
	if err != nil {
		return nil, err
	}
	if err := WaitListening(ctx, server, t.control); err != nil {
		return nil, err
	}
	client, err := l.Start(t.name+"-client", t.client...)
	if err != nil {
		return nil, err
	}
	return &Contender{Name: t.name, URL: "http://" + Address(t.port) + "/", Procs: []*Process{server, client}}, nil
}

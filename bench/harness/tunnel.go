package harness

import (
	"context"
	"fmt"
	"net"
	"time"
)

func dialOnce(port int) error {
	c, err := net.DialTimeout("tcp", Address(port), time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

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
		return startPair(ctx, l, name, control, port, []string{"frps", "-c", serverConf}, []string{"frpc", "-c", clientConf})
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
	return startPair(ctx, l, "chisel", control, port,
		[]string{"chisel", "server", "--reverse", "--host", "127.0.0.1", "--port", fmt.Sprint(control)},
		[]string{"chisel", "client", "http://" + Address(control), "R:" + Address(port) + ":" + Address(originPort)})
}

// startPair starts the public half of a tunnel, waits until it listens on its control port, and starts the private half.
func startPair(ctx context.Context, l *Lab, name string, control, port int, server, client []string) (*Contender, error) {
	s, err := l.Start(name+"-server", server...)
	if err != nil {
		return nil, err
	}
	if err := waitListening(ctx, s, control); err != nil {
		return nil, err
	}
	c, err := l.Start(name+"-client", client...)
	if err != nil {
		return nil, err
	}
	return &Contender{Name: name, URL: "http://" + Address(port) + "/", Procs: []*Process{s, c}}, nil
}

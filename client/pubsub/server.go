package pubsub

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	defaultPort   = "5101"
	defaultServer = "tcp:_node:5101"
	// defaultSocket is the socket of local connections. Source: RTserver, "Logical connection names".
	defaultSocket = "/tmp/rtworks/RTSERVER"
)

// address is a server that can be dialled.
type address struct {
	name    string // fully expanded logical connection name
	network string // tcp or unix
	target  string // for Dial
	host    string // that the certificate is for
	tls     bool
}

// parseServers reads the names of servers. shuffle tells that one of them was _random.
func parseServers(names []string) (all []address, shuffle bool, err error) {
	for _, list := range names {
		for name := range strings.SplitSeq(list, ",") {
			switch name = strings.TrimSpace(name); name {
			case "":
			case "_random":
				shuffle = true
			default:
				a, err := parseServer(name)
				if err != nil {
					return nil, false, err
				}
				all = append(all, a)
			}
		}
	}
	if len(all) == 0 {
		a, err := parseServer(defaultServer)
		return []address{a}, shuffle, err
	}
	return all, shuffle, nil
}

// parseServer reads a logical connection name of a server: a protocol, a node and an address, with colons between them. Other than in
// logical connection names, host:port is taken too, where port is a number.
func parseServer(name string) (address, error) {
	rest := name
	for _, modifier := range []string{"start_never:", "start_always:", "start_on_demand:"} { // no server is ever started
		rest = strings.TrimPrefix(rest, modifier)
	}
	protocol, where, _ := strings.Cut(rest, ":")
	switch protocol {
	case "tcp", "tls":
		return netAddress(name, protocol, where)
	case "local":
		return localAddress(where)
	case "pgm", "proxy", "ws", "wss":
		return address{}, fmt.Errorf("pubsub: server %q: protocol %s is not there: use tcp, tls or local", name, protocol)
	}
	return netAddress(name, "tcp", rest)
}

func netAddress(name, protocol, where string) (address, error) {
	host, port := where, defaultPort
	if strings.HasPrefix(where, "[") && strings.HasSuffix(where, "]") {
		host = where[1 : len(where)-1]
	} else if strings.Contains(where, ":") {
		var err error
		if host, port, err = net.SplitHostPort(where); err != nil {
			return address{}, fmt.Errorf("pubsub: server %q: %w", name, err)
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return address{}, fmt.Errorf("pubsub: server %q: port %q is not a number from 1 to 65535", name, port)
	}
	if host == "" || host == "_node" {
		host = "localhost"
	}
	target := net.JoinHostPort(host, port)
	return address{name: protocol + ":" + target, network: "tcp", target: target, host: host, tls: protocol == "tls"}, nil
}

// usualSocket is the path of the socket of a server that was told none.
func usualSocket() string {
	if dir := os.Getenv("RTSERVER_SOCKET_DIR"); dir != "" {
		return filepath.Join(dir, filepath.Base(defaultSocket))
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" { // where a server goes that may not write to the usual place
		path := filepath.Join(dir, filepath.Base(defaultSocket))
		if _, err := os.Stat(defaultSocket); err != nil {
			if _, err = os.Stat(path); err == nil {
				return path
			}
		}
	}
	return defaultSocket
}

// localAddress reads what follows local: a node, which can only be this one, and the path of a socket.
func localAddress(where string) (address, error) {
	_, path, _ := strings.Cut(where, ":")
	if path == "" {
		path = usualSocket()
	}
	return address{name: "local:_node:" + path, network: "unix", target: path, host: "localhost"}, nil
}

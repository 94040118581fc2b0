package config

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
)

// Listener is one place where the router door listens.
type Listener struct {
	// Name is the logical connection name that it stands for, complete but for the path of local: tcp:_any:5101.
	Name string
	// Network is tcp or unix; Address is host:port, where an empty host is every address, or the path of a socket.
	Network, Address string
	// Fallback is the path to take where the directory of Address cannot be made or written; empty: none.
	Fallback string
	// TLS tells whether clients come over TLS.
	TLS bool
}

const (
	portTCP         = "5101" // where nothing is said
	portTLS         = "5102"
	socketDirectory = "/tmp/rtworks"
	socketName      = "RTSERVER"
)

// Listeners returns what Listen stands for, in its order; a name without a protocol stands for several. getenv looks up
// RTSERVER_SOCKET_DIR and XDG_RUNTIME_DIR: os.Getenv. The error is that of a name which Validate refuses, too.
func (r *Router) Listeners(getenv func(name string) string) ([]Listener, error) {
	var all []Listener
	for _, name := range r.Listen {
		found, want := r.listeners(name, getenv)
		if want != "" {
			return nil, fmt.Errorf("config: router.listen: %q: %s", name, want)
		}
		all = append(all, found...)
	}
	return all, nil
}

// listeners returns the listeners of one name, or what would be right.
func (r *Router) listeners(name string, getenv func(string) string) (all []Listener, want string) {
	n, want := parseListen(name)
	if want != "" {
		return nil, want
	}
	protocols := []string{n.Protocol}
	if n.Protocol == "" {
		protocols = r.DefaultProtocols
	}
	for _, protocol := range protocols {
		n.Protocol = strings.ToLower(protocol)
		if want := n.Unsupported(); want != "" {
			return nil, want
		}
		all = append(all, r.listener(n, getenv))
	}
	return all, ""
}

// listener returns the one listener of n, which has a protocol.
func (r *Router) listener(n LCN, getenv func(string) string) Listener {
	n.Start = "" // the server starts nothing
	if n.Node == "" {
		n.Node = NodeThis
	}
	if n.Protocol == "local" {
		l := Listener{Name: n.String(), Network: "unix", Address: n.Address}
		if n.Address == "" {
			l.Address, l.Fallback = r.socketPath(getenv)
		}
		return l
	}
	l := Listener{Network: "tcp", TLS: n.Protocol == "tls"}
	port := n.Address
	switch {
	case port == NodeAny:
		port = "0"
	case port == "" && l.TLS:
		port = portTLS
	case port == "":
		port = portTCP
	}
	n.Address = port
	host := n.Node
	if host == NodeThis || host == NodeAny {
		host = ""
	}
	l.Name, l.Address = n.String(), net.JoinHostPort(host, port)
	return l
}

func (r *Router) socketPath(getenv func(string) string) (path, fallback string) {
	for _, dir := range []string{r.SocketDir, getenv("RTSERVER_SOCKET_DIR")} {
		if dir != "" {
			return filepath.Join(dir, socketName), ""
		}
	}
	if dir := getenv("XDG_RUNTIME_DIR"); dir != "" {
		fallback = filepath.Join(dir, socketName)
	}
	return filepath.Join(socketDirectory, socketName), fallback
}

// parseListen parses an element of Router.Listen: a logical connection name, or host:port. A host whose name is that of a
// protocol makes it the former.
func parseListen(s string) (n LCN, want string) {
	host, port, _ := net.SplitHostPort(s)
	if host == "" {
		host = NodeAny
	}
	node, right := parseNode(bracketed(host))
	protocol := slices.Contains(lcnProtocols, strings.ToLower(host))
	if isAddress(s) && right && !protocol && !isDigits(host) && node != NodeRandom {
		return LCN{Protocol: "tcp", Node: node, Address: port}, ""
	}
	return parseListenName(s)
}

// parseListenName parses a logical connection name that says where to listen.
func parseListenName(s string) (n LCN, want string) {
	n, want = parseLCN(s)
	switch {
	case want != "":
	case n.Random():
		want = "_random is for lists of servers to connect to"
	case n.ProxyNode != "":
		want = "a proxy is for connecting, not for listening"
	case n.Connect != "" || n.Cost != 0:
		want = "modifiers are for server_names; write the name without them"
	default:
		want = n.Unsupported()
	}
	return n, want
}

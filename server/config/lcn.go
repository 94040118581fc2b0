package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// LCN is a logical connection name: where to connect to or to listen, and how.
//
//	name     = *( modifier ":" ) ( base | proxy | pgm )
//	modifier = start | connect | "cost=" positive number      each at most once, in any order
//	start    = "start_always" | "start_never" | "start_on_demand"
//	connect  = "connect_all" | "connect_one" | "connect_all_stop" | "connect_one_stop"
//	base     = protocol | node | protocol ":" node | protocol ":" node ":" address
//	pgm      = "pgm" [ ":" node [ ":" protocol "." address ] ]
//	proxy    = "proxy:" node ":" address "@" protocol ":" node ":" address
//	protocol = "local" | "tcp" | "tls" | "ws" | "wss"
//	node     = name of a host | IP address, of version 6 in brackets | "_node" | "_any" | "_random"
//
// An address is a port or _any, and for local the path of a socket. Protocols, modifiers and words that start with _ are
// case-insensitive. A single word is a protocol if it is the name of one, else a node. node:port is no abbreviation.
type LCN struct {
	// Start and Connect are modifiers, empty when not given.
	Start, Connect string
	// Cost is 1 or more; 0 when not given, which counts as 1.
	Cost int
	// ProxyNode and ProxyAddress are the HTTP proxy on the way to the rest; empty: none.
	ProxyNode, ProxyAddress string
	// Protocol is empty when not given: then the default protocols hold. Node and Address are empty when not given. A node of IP
	// version 6 has no brackets.
	Protocol, Node, Address string
}

// Words of logical connection names.
const (
	NodeThis   = "_node"   // this host
	NodeAny    = "_any"    // every address of this host; as an address: a free one
	NodeRandom = "_random" // no node: the names of the list are tried in random order
)

var (
	lcnStarts    = []string{"start_always", "start_never", "start_on_demand"}
	lcnConnects  = []string{"connect_all", "connect_one", "connect_all_stop", "connect_one_stop"}
	lcnProtocols = []string{"local", "tcp", "tls", "ws", "wss", "pgm", "proxy"}
	lcnWords     = []string{NodeThis, NodeAny, NodeRandom}
)

const (
	maxLCN  = 1024 // bytes
	maxCost = 1 << 30
)

// ParseLCN parses one logical connection name. The error says what would be right.
func ParseLCN(s string) (LCN, error) {
	n, want := parseLCN(s)
	if want != "" {
		return LCN{}, fmt.Errorf("config: logical connection name %s: %s", quote("", s), want)
	}
	return n, nil
}

// parseLCN returns what would be right instead of an error.
func parseLCN(s string) (n LCN, want string) {
	switch {
	case s == "":
		return LCN{}, "empty; a name as tcp:_node:5101"
	case len(s) > maxLCN || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || isControl(r) || r == ',' }):
		return LCN{}, fmt.Sprintf("at most %d bytes without blanks and commas", maxLCN)
	}
	parts := splitLCN(s)
	for len(parts) > 1 || isModifier(parts[0]) {
		found, want := n.modifier(parts[0])
		if want != "" {
			return LCN{}, want
		} else if !found {
			break
		}
		if parts = parts[1:]; len(parts) == 0 {
			return LCN{}, "modifiers and no name; a name as " + s + ":tcp:hub1:5101"
		}
	}
	if strings.EqualFold(parts[0], "proxy") {
		if want = n.proxy(&parts); want != "" {
			return LCN{}, want
		}
	}
	return n, n.base(parts, s)
}

// splitLCN cuts s at its colons, but not at those in brackets.
func splitLCN(s string) []string {
	var parts []string
	start, depth := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '[':
			depth = 1
		case c == ']':
			depth = 0
		case c == ':' && depth == 0:
			parts, start = append(parts, s[start:i]), i+1
		}
	}
	return append(parts, s[start:])
}

func isModifier(word string) bool {
	word = strings.ToLower(word)
	return slices.Contains(lcnStarts, word) || slices.Contains(lcnConnects, word) || strings.Contains(word, "=")
}

// modifier takes word if it is a modifier.
func (n *LCN) modifier(word string) (found bool, want string) {
	lower := strings.ToLower(word)
	once := func(into *string) (bool, string) {
		if *into != "" {
			return true, fmt.Sprintf("%s after %s: one of them", lower, *into)
		}
		*into = lower
		return true, ""
	}
	switch {
	case slices.Contains(lcnStarts, lower):
		return once(&n.Start)
	case slices.Contains(lcnConnects, lower):
		return once(&n.Connect)
	case !isModifier(lower):
		return false, ""
	}
	name, value, _ := strings.Cut(lower, "=")
	cost, err := strconv.ParseUint(value, 10, 31)
	switch {
	case name != "cost":
		return true, "the only modifier with a value is cost, as cost=5"
	case n.Cost != 0:
		return true, "one cost"
	case err != nil || cost < 1 || cost > maxCost:
		return true, fmt.Sprintf("a cost from 1 to %d, as cost=5", maxCost)
	}
	n.Cost = int(cost)
	return true, ""
}

// proxy takes the parts of a proxy and leaves those of what is behind it.
func (n *LCN) proxy(parts *[]string) (want string) {
	const form = "a proxy as proxy:NODE:PORT@tcp:NODE:PORT"
	p := *parts
	if len(p) != 5 {
		return form
	}
	address, protocol, ok := strings.Cut(p[2], "@")
	if protocol = strings.ToLower(protocol); !ok || protocol != "tcp" && protocol != "tls" {
		return form
	}
	node, right := parseNode(p[1])
	switch {
	case !right || slices.Contains(lcnWords, node):
		return form + ", its first NODE the name or the address of the proxy"
	case !isLCNPort(address):
		return form + ", each PORT from 1 to 65535"
	}
	n.ProxyNode, n.ProxyAddress = node, address
	*parts = []string{protocol, p[3], p[4]}
	return ""
}

// base takes what is left, whole being the name from its first modifier on.
func (n *LCN) base(parts []string, whole string) (want string) {
	protocol := strings.ToLower(parts[0])
	if !slices.Contains(lcnProtocols, protocol) {
		if len(parts) > 1 {
			return noProtocol(parts, whole)
		}
		protocol, parts = "", append([]string{""}, parts...)
	}
	n.Protocol = protocol
	if len(parts) == 1 {
		return ""
	}
	node, right := parseNode(parts[1])
	switch {
	case isDigits(parts[1]):
		return fmt.Sprintf("%s is a port, not a node; write %s:_node:%s", parts[1], orTCP(protocol), parts[1])
	case !right:
		return "the name of a host, an IP address (of version 6 in brackets), _node or _any, as tcp:hub1:5101"
	case node == NodeRandom && protocol != "":
		return "_random stands by itself in a list"
	}
	n.Node = node
	if len(parts) == 2 {
		return ""
	}
	return n.address(parts[2:])
}

// address takes what follows the node.
func (n *LCN) address(parts []string) (want string) {
	address := strings.Join(parts, ":")
	switch n.Protocol {
	case "local":
		n.Address = address
		if address == "" || len(address) > maxSocketPath {
			return fmt.Sprintf("the path of a socket, at most %d bytes", maxSocketPath)
		}
		return ""
	case "pgm":
		protocol, port, ok := strings.Cut(address, ".")
		if !ok || len(parts) > 1 || !slices.Contains([]string{"tcp", "tls"}, strings.ToLower(protocol)) || !isLCNPort(port) {
			return "an address of pgm as tcp.5104"
		}
		n.Address = strings.ToLower(address)
		return ""
	}
	if n.Address = strings.ToLower(address); n.Address != NodeAny && !isLCNPort(address) {
		return "a port from 1 to 65535 behind the node, or _any; for example " + n.Protocol + ":_node:5101"
	}
	return ""
}

const maxSocketPath = 107 // bytes: what Linux has room for

// noProtocol explains a first word that is no protocol; node:port is the usual mistake.
func noProtocol(parts []string, whole string) string {
	rest := strings.Join(parts, ":")
	if len(parts) == 2 && (isDigits(parts[1]) || strings.EqualFold(parts[1], NodeAny)) {
		return fmt.Sprintf("the first word is taken for a protocol, and %q is none: node:port is no abbreviation; write %stcp:%s",
			parts[0], strings.TrimSuffix(whole, rest), rest)
	}
	return fmt.Sprintf("%s is no protocol; there are %s", quote("", parts[0]), strings.Join(lcnProtocols, ", "))
}

func orTCP(protocol string) string {
	if protocol == "" {
		return "tcp"
	}
	return protocol
}

// parseNode returns a node, without the brackets of an IP address.
func parseNode(s string) (node string, ok bool) {
	if inner, open := strings.CutPrefix(s, "["); open {
		inner, closed := strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		return inner, closed && err == nil && ip.Is6() && (ip.Zone() == "" || isIdentifier(ip.Zone()))
	}
	if lower := strings.ToLower(s); slices.Contains(lcnWords, lower) {
		return lower, true
	}
	return s, isHost(s) && !strings.ContainsAny(s, "=,;:%")
}

// isLCNPort tells whether s is a port; 0 is a free one.
func isLCNPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func isDigits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// String returns n as ParseLCN reads it.
func (n LCN) String() string {
	var parts []string
	add := func(part string) {
		if part != "" {
			parts = append(parts, part)
		}
	}
	add(n.Start)
	add(n.Connect)
	if n.Cost > 0 {
		add("cost=" + strconv.Itoa(n.Cost))
	}
	protocol := n.Protocol
	if n.ProxyNode != "" {
		add("proxy")
		add(bracketed(n.ProxyNode))
		protocol = n.ProxyAddress + "@" + protocol
	}
	add(protocol)
	add(bracketed(n.Node))
	add(n.Address)
	return strings.Join(parts, ":")
}

func bracketed(node string) string {
	if strings.ContainsRune(node, ':') {
		return "[" + node + "]"
	}
	return node
}

// Random tells whether n is no name but asks for a random order of the list that it stands in.
func (n LCN) Random() bool { return n.Protocol == "" && n.Node == NodeRandom }

// Unsupported returns why n cannot be used, or "".
func (n LCN) Unsupported() string {
	switch n.Protocol {
	case "pgm":
		return "pgm is not supported: there is no multicast; tcp reaches every client"
	case "ws", "wss":
		return n.Protocol + " is not supported yet; write tcp or tls"
	}
	return ""
}

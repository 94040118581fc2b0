package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseLCN(t *testing.T) {
	for text, want := range map[string]LCN{
		"tcp":                       {Protocol: "tcp"},
		"TCP":                       {Protocol: "tcp"},
		"local":                     {Protocol: "local"},
		"hub1":                      {Node: "hub1"},
		"_NODE":                     {Node: "_node"},
		"_random":                   {Node: "_random"},
		"192.0.2.1":                 {Node: "192.0.2.1"},
		"[2001:db8::1]":             {Node: "2001:db8::1"},
		"tcp:hub1":                  {Protocol: "tcp", Node: "hub1"},
		"tcp:_node:5101":            {Protocol: "tcp", Node: "_node", Address: "5101"},
		"tls:_any:_ANY":             {Protocol: "tls", Node: "_any", Address: "_any"},
		"tcp:[::1]:0":               {Protocol: "tcp", Node: "::1", Address: "0"},
		"tcp:[fe80::1%eth0]:65535":  {Protocol: "tcp", Node: "fe80::1%eth0", Address: "65535"},
		"ws:hub1:80":                {Protocol: "ws", Node: "hub1", Address: "80"},
		"local:_node:/run/a:b=c":    {Protocol: "local", Node: "_node", Address: "/run/a:b=c"},
		"pgm":                       {Protocol: "pgm"},
		"pgm:hub1":                  {Protocol: "pgm", Node: "hub1"},
		"pgm:hub1:tcp.5104":         {Protocol: "pgm", Node: "hub1", Address: "tcp.5104"},
		"connect_all":               {},
		"connect_all:tcp:hub1:5101": {Connect: "connect_all", Protocol: "tcp", Node: "hub1", Address: "5101"},
		"cost=5:connect_one_stop:start_never:tcp:wan2:5101": {Start: "start_never", Connect: "connect_one_stop", Cost: 5, Protocol: "tcp", Node: "wan2", Address: "5101"},
		"START_ALWAYS:hub1":                    {Start: "start_always", Node: "hub1"},
		"cost=1073741824:hub1":                 {Cost: 1 << 30, Node: "hub1"},
		"proxy:px:8080@tcp:hub1:5101":          {ProxyNode: "px", ProxyAddress: "8080", Protocol: "tcp", Node: "hub1", Address: "5101"},
		"cost=2:PROXY:[::1]:80@TLS:[::2]:5102": {Cost: 2, ProxyNode: "::1", ProxyAddress: "80", Protocol: "tls", Node: "::2", Address: "5102"},
	} {
		got, err := ParseLCN(text)
		if (err != nil) != (want == LCN{}) || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
			continue
		}
		if err != nil {
			continue
		}
		if again, err := ParseLCN(got.String()); err != nil || again != got {
			t.Errorf("%s is written as %s: %+v, %v", text, got, again, err)
		}
	}
}

func TestWrongLCN(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "empty; a name as tcp:_node:5101",
		"a b":                         "without blanks and commas",
		"a,b":                         "without blanks and commas",
		strings.Repeat("a", maxLCN+1): "at most 1024 bytes",
		"hub1:5101":                   `the first word is taken for a protocol, and "hub1" is none: node:port is no abbreviation; write tcp:hub1:5101`,
		"cost=5:hub1:5101":            `write cost=5:tcp:hub1:5101`,
		"_node:_any":                  `write tcp:_node:_any`,
		"[::1]:5101":                  `write tcp:[::1]:5101`,
		"hub1:5101:x":                 `"hub1" is no protocol; there are local, tcp, tls, ws, wss, pgm, proxy`,
		"udp:hub1:5101":               `"udp" is no protocol`,
		"tcp:5101":                    "5101 is a port, not a node; write tcp:_node:5101",
		"5101":                        "5101 is a port, not a node; write tcp:_node:5101",
		"tls:_any:":                   "a port from 1 to 65535 behind the node, or _any; for example tls:_node:5101",
		"tcp:a:65536":                 "a port from 1 to 65535",
		"tcp:a:1:2":                   "a port from 1 to 65535",
		"tcp::5101":                   "the name of a host",
		"tcp:::1:5101":                "the name of a host",
		"tcp:[::1:5101":               "the name of a host",
		"tcp:[127.0.0.1]:1":           "the name of a host",
		"tcp:a/b:1":                   "the name of a host",
		"tcp:_random:1":               "_random stands by itself in a list",
		"local:_node:":                "the path of a socket, at most 107 bytes",
		"local:_node:/" + strings.Repeat("a", 107): "the path of a socket, at most 107 bytes",
		"cost=0:a":                  "a cost from 1 to 1073741824, as cost=5",
		"cost=-1:a":                 "a cost from 1",
		"cost=x:a":                  "a cost from 1",
		"cost=1073741825:a":         "a cost from 1",
		"cost=1:cost=1:a":           "one cost",
		"weight=1:a":                "the only modifier with a value is cost",
		"connect_all:connect_one:a": "connect_one after connect_all: one of them",
		"start_never:start_never:a": "start_never after start_never: one of them",
		"connect_all:":              "the name of a host",
		"cost=5":                    "modifiers and no name; a name as cost=5:tcp:hub1:5101",
		"proxy":                     "a proxy as proxy:NODE:PORT@tcp:NODE:PORT",
		"proxy:px:8080":             "a proxy as",
		"proxy:px:8080@local:a:b":   "a proxy as",
		"proxy:px:x@tcp:a:1":        "each PORT from 1 to 65535",
		"proxy:_any:1@tcp:a:1":      "its first NODE the name or the address of the proxy",
		"proxy:px:1@tcp:a:x":        "a port from 1 to 65535",
		"pgm:a:5104":                "an address of pgm as tcp.5104",
		"pgm:a:udp.5104":            "an address of pgm as tcp.5104",
	} {
		if got, err := ParseLCN(text); err == nil {
			t.Errorf("%s: accepted as %+v", text, got)
		} else if !strings.Contains(withoutColumns(err), want) || !strings.HasPrefix(withoutColumns(err), "config: logical connection name ") {
			t.Errorf("%s:\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func TestUnsupportedLCN(t *testing.T) {
	for text, want := range map[string]string{"pgm": "pgm is not supported", "wss:a:1": "wss is not supported yet", "tcp": ""} {
		n, err := ParseLCN(text)
		if got := n.Unsupported(); err != nil || !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

func TestListeners(t *testing.T) {
	all := func(port string) []Listener {
		return []Listener{{Name: "tcp:_any:" + port, Network: "tcp", Address: ":" + port}}
	}
	environ := map[string]string{"XDG_RUNTIME_DIR": "/run/user/1"}
	local := Listener{Name: "local:_node", Network: "unix", Address: "/tmp/rtworks/RTSERVER", Fallback: "/run/user/1/RTSERVER"}
	tcp := Listener{Name: "tcp:_node:5101", Network: "tcp", Address: ":5101"}
	for text, want := range map[string][]Listener{
		"tcp":               {tcp},
		"start_always:tcp":  {tcp},
		"_node":             {local, tcp},
		"tls":               {{Name: "tls:_node:5102", Network: "tcp", Address: ":5102", TLS: true}},
		"local":             {local},
		"local:_node:/a/b":  {{Name: "local:_node:/a/b", Network: "unix", Address: "/a/b"}},
		"tcp:_any:_any":     all("0"),
		"tcp:192.0.2.1":     {{Name: "tcp:192.0.2.1:5101", Network: "tcp", Address: "192.0.2.1:5101"}},
		":7":                all("7"),
		"[::1]:7":           {{Name: "tcp:[::1]:7", Network: "tcp", Address: "[::1]:7"}},
		"localhost:7":       {{Name: "tcp:localhost:7", Network: "tcp", Address: "localhost:7"}},
		"tcp:7":             nil,
		"x":                 {{Name: "local:x", Network: "unix", Address: local.Address, Fallback: local.Fallback}, {Name: "tcp:x:5101", Network: "tcp", Address: "x:5101"}},
		"pgm":               nil,
		"ws:_any:80":        nil,
		"_random":           nil,
		"cost=5:tcp":        nil,
		"connect_all:tcp":   nil,
		"proxy:a:1@tcp:b:1": nil,
		"unix:/a":           nil,
	} {
		r := Router{Listen: []string{text}, DefaultProtocols: []string{"local", "tcp"}}
		got, err := r.Listeners(func(name string) string { return environ[name] })
		if !reflect.DeepEqual(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%s: got %+v, %v\nwant %+v", text, got, err, want)
		}
	}
	r := Router{Listen: []string{"local"}}
	for _, row := range []struct{ option, variable, want string }{
		{"/o", "/v", "/o/RTSERVER"}, {"", "/v", "/v/RTSERVER"}, {"", "", "/tmp/rtworks/RTSERVER"},
	} {
		r.SocketDir = row.option
		got, err := r.Listeners(func(name string) string {
			if name == "RTSERVER_SOCKET_DIR" {
				return row.variable
			}
			return ""
		})
		if err != nil || got[0].Address != row.want || got[0].Fallback != "" {
			t.Errorf("%+v: got %+v, %v", row, got, err)
		}
	}
}

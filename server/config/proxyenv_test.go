package config

import (
	"strings"
	"testing"
)

// TestEnvProxies checks -e: which proxy is on the way to which relay.
func TestEnvProxies(t *testing.T) {
	env := map[string]string{
		"HTTP_PROXY": "http://u:p%40ss@proxy.lan:3128/", "https_proxy": "tls.lan:8080", "HTTPS_PROXY": "ignored.lan:1",
		"NO_PROXY": "localhost, .Inside.lan ,192.0.2.0/24,[2001:db8::1],other.lan:81,2001:db8:2::/48,*.star.lan",
	}
	e, warnings, err := parse(least+"-e", env, nil)
	if err != nil || len(warnings) > 0 || e.EnvProxies == nil {
		t.Fatal(err, texts(warnings), e)
	}
	if p := e.EnvProxies.For(false, "relay.example.com", 80); p == nil || *p != (Proxy{"proxy.lan", 3128, "u", "p@ss"}) {
		t.Errorf("by HTTP: %+v", p)
	}
	if p := e.EnvProxies.For(true, "relay.example.com", 443); p == nil || *p != (Proxy{Host: "tls.lan", Port: 8080}) {
		t.Errorf("by HTTPS: %+v", p)
	}
	for host, direct := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "a.inside.lan": true, "inside.lan": true, "xinside.lan": false, "192.0.2.7": true, "192.0.3.7": false,
		"2001:db8::1": true, "2001:db8::2": false, "2001:db8:2::9": true, "other.lan": false, "::ffff:192.0.2.7": true, "a.star.lan": true,
	} {
		if p := e.EnvProxies.For(false, host, 80); (p == nil) != direct {
			t.Errorf("%s: %+v, want directly %v", host, p, direct)
		}
	}
	if p := e.EnvProxies.For(false, "other.lan", 81); p != nil {
		t.Errorf("a port that NO_PROXY names: %+v", p)
	}
	if e, _, err := parse(least+"-e", map[string]string{"HTTP_PROXY": "p", "NO_PROXY": "*"}, nil); err != nil || e.EnvProxies.For(false, "h", 1) != nil {
		t.Errorf("NO_PROXY=*: %v", err)
	}
	if e, _, err := parse(least, env, nil); err != nil || e.EnvProxies != nil {
		t.Errorf("without -e: %v, %+v", err, e)
	}
	if _, warnings, err := parse(least+"-e", nil, nil); err != nil || len(warnings) != 1 {
		t.Errorf("without variables: %v, %q", err, texts(warnings))
	}
	for value, want := range map[string]string{
		"socks5://hunter2@p:1": `the environment variable HTTP_PROXY: a proxy that is spoken to by "socks5" is not supported`,
		"http://u:hunter2@p:0": `the environment variable HTTP_PROXY: port "0": 1 to 65535`,
		"http://u:hunter2@":    "the environment variable HTTP_PROXY: a proxy as http://user:password@host:port is needed",
		"http://hunter2 /":     "the environment variable HTTP_PROXY: a proxy as http://user:password@host:port is needed",
	} {
		_, _, err := parse(least+"-e", map[string]string{"HTTP_PROXY": value}, nil)
		if err == nil || !strings.Contains(err.Error(), `option "-e": `+want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", value, err)
		}
	}
}

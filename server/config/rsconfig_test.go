package config

import (
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// loadRS loads texts by path, of which rs.config is the first to be read.
func loadRS(strict bool, texts map[string]string) (*Config, []Warning, error) {
	return Load(Sources{RSConfig: "rs.config", Strict: strict, ReadFile: files(texts)})
}

// farmWith returns a farm with its defaults, but for what change does.
func farmWith(id string, change func(*Farm)) Farm {
	f := DefaultFarm()
	f.ID = id
	change(&f)
	return f
}

// backendWith is farmWith for a back-end server.
func backendWith(farm, id string, change func(*Backend)) Backend {
	b := DefaultBackend()
	b.Farm, b.ID = farm, id
	change(&b)
	return b
}

func TestRSConfigSample(t *testing.T) {
	cfg, warnings, err := Load(Sources{RSConfig: "testdata/rs.config", Environ: []string{"ROUNDHOUSE_RELAY_LISTEN=:1"}})
	if err != nil {
		t.Fatal(err)
	}
	r := cfg.Relay
	wantServers := []RelayServer{
		{Enable: true, Host: "rs1.example.com", HTTPPort: 0, HTTPSPort: 443, Description: "first, at the west side"},
		{Enable: false, Host: "192.0.2.7", HTTPPort: 8080, HTTPSPort: 0},
	}
	wantFarms := []Farm{
		farmWith("acme.sync", func(f *Farm) {
			f.MaxClientBuffer, f.BackendSecurity, f.ActiveCookie, f.RenewOverlappedCookie = 512<<10, "on", false, true
		}),
		farmWith("acme.web", func(f *Farm) {
			f.Enable, f.Verbosity, f.Description = false, 3, "<a href='mailto:x@example.com'>x</a> # 2"
		}),
	}
	wantBackends := []Backend{
		backendWith("acme.sync", "ml1", func(b *Backend) {
			b.MAC = []string{"02-00-5e-10-00-01", "02-00-5e-10-00-02"}
			b.Verbosity, b.Token = 5, "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
		}),
		backendWith("acme.web", "ml1", func(b *Backend) { b.Token = "a b=c" }),
		backendWith("acme.web", "ml2", func(b *Backend) { b.MaxJunction = 500 }),
	}
	if !reflect.DeepEqual(r.Servers, wantServers) {
		t.Errorf("servers %+v\nwant %+v", r.Servers, wantServers)
	}
	if !reflect.DeepEqual(r.Farms, wantFarms) {
		t.Errorf("farms %+v\nwant %+v", r.Farms, wantFarms)
	}
	if !reflect.DeepEqual(r.Backends, wantBackends) {
		t.Errorf("backends %+v\nwant %+v", r.Backends, wantBackends)
	}
	if cfg.Log.Verbosity != 2 || r.Description != "ours" || r.AccessLog != "/var/log/access" {
		t.Errorf("options: verbosity %d, description %q, access log %q", cfg.Log.Verbosity, r.Description, r.AccessLog)
	}
	if cfg.Limits.MemoryBytes != 50<<20 || r.Status.Refresh != 10*time.Second || cfg.Log.File != "/var/log/rs.log" {
		t.Errorf("options: memory %d, refresh %v, log %q", cfg.Limits.MemoryBytes, r.Status.Refresh, cfg.Log.File)
	}
	if len(warnings) != 1 || !strings.HasPrefix(warnings[0].Text, `field "backend_security": HTTPS is demanded of enablers`) {
		t.Errorf("warnings %q", texts(warnings))
	}
}

// TestAcceptance02EveryProperty reads a file of version 16's shape with every property: all of it is taken in, and there is no warning but
// about what is chosen to mean nothing.
func TestAcceptance02EveryProperty(t *testing.T) {
	text, err := os.ReadFile("testdata/rs16.config")
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range rsSections {
		for name := range section.properties {
			if !strings.HasPrefix(name, "x_") && !regexp.MustCompile(`(?m)^`+name+` `).Match(text) {
				t.Errorf("[%s] %s is not in the file", section.name, name)
			}
		}
	}
	cfg, warnings, err := Load(Sources{RSConfig: "testdata/rs16.config", Strict: true})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, warnings %q", err, texts(warnings))
	}
	want := Default()
	want.Admin.Listen = cfg.Admin.Listen
	want.Engine.Listen, want.Router.Listen = nil, nil
	want.Log.File, want.Log.MaxSize, want.Log.Verbosity = "/var/log/rs.log", 100<<20, 1
	want.Limits.MemoryBytes, want.Limits.MaxRequests = 50<<20, 2000
	r := &want.Relay
	r.Listen, r.TLS = []string{":8080"}, RelayTLS{Listen: []string{":8443"}, Cert: "/etc/rs/cert.pem", Key: "/etc/rs/key.pem", ClientCA: "/etc/rs/roots.pem"}
	r.AccessLog, r.Description = "log", `Write to <a href="mailto:relay@example.com">us</a>`
	r.Status.Refresh, r.Lane.PadSize, r.Trust.AutoConfig = 10*time.Second, 1024, "guest.*=open sesame"
	r.Servers = []RelayServer{
		{Enable: true, Host: "rs1.example.com", HTTPPort: 80, HTTPSPort: 443, Description: "first"},
		{Enable: true, Host: "rs2.example.com", HTTPPort: 0, HTTPSPort: 8443, Description: "second"},
	}
	r.Farms = []Farm{
		farmWith("acme.sync", func(f *Farm) {
			f.ClientSecurity, f.BackendSecurity, f.Description, f.ActiveCookie = "on", "on", "MobiLink", false
			f.MaxClientBuffer, f.RenewOverlappedCookie = 512<<10, true
		}),
		farmWith("acme.web", func(f *Farm) {
			f.ClientSecurity, f.BackendSecurity, f.Description, f.ActiveHeader = "on", "on", "web", false
			f.Verbosity, f.SocketLevelAffinity, f.Hosts = 2, false, []string{"www.example.com", "shop.example.com"}
			f.Limits = FarmLimits{MaxRPS: 100, AllowIP: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}}
		}),
		farmWith("acme.services", func(f *Farm) {
			f.BackendSecurity, f.ActiveCookie, f.ActiveHeader, f.MaxClientBuffer = "off", false, false, 64<<10
			f.Balance, f.QueueTimeout = "least_conn", 2*time.Second
		}),
		farmWith("acme.gateway", func(f *Farm) {
			f.ClientSecurity, f.BackendSecurity, f.ForwardX509Identity = "on", "on", true
			f.ForwarderCertificateSubject, f.ForwarderCertificateIssuer = `CN = \*.example.com, *`, "CN = ca??.example.com, *"
		}),
	}
	r.Backends = []Backend{
		backendWith("acme.sync", "server1", func(b *Backend) {
			b.MAC, b.Token, b.Description = []string{"02-00-5e-10-00-01", "02-00-5e-10-00-02"}, "sync token 1", "first of two"
			b.MaxJunction, b.MaxJunctionIdle = 500, time.Minute
		}),
		backendWith("acme.sync", "server2", func(b *Backend) {
			b.Token, b.SecondToken = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae", "the next one"
			b.Verbosity = 5
		}),
		backendWith("acme.web", "server1", func(b *Backend) { b.MAC, b.Token = []string{"02-00-5e-10-00-03"}, "web token 1" }),
		backendWith("acme.services", "server1", func(b *Backend) { b.Enable, b.Token, b.Priority = false, "services token 1", 1 }),
		backendWith("acme.gateway", "server1", func(b *Backend) { b.Token, b.CertificateSubject = "gateway token 1", "CN = gateway.example.com, *" }),
	}
	for i, got := range []any{cfg.Relay.Farms, cfg.Relay.Backends, cfg} {
		if want := []any{r.Farms, r.Backends, want}[i]; !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

// TestRSConfigForm reads the same content in other clothes.
func TestRSConfigForm(t *testing.T) {
	plain, err := os.ReadFile("testdata/rs.config")
	if err != nil {
		t.Fatal(err)
	}
	load := func(text string) *Config {
		cfg, _, err := loadRS(false, map[string]string{"rs.config": text})
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	want := load(string(plain))
	for name, text := range map[string]string{
		"CRLF":   strings.ReplaceAll(string(plain), "\n", "\r\n"),
		"BOM":    "\xef\xbb\xbf" + string(plain),
		"blanks": " \t" + strings.ReplaceAll(string(plain), "\n", " \t\n\n\t "),
		"case":   strings.NewReplacer("[backend_", "[BackEnd_", "token", "TOKEN", "enable", "Enable").Replace(string(plain)),
	} {
		if got := load(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v\nwant %+v", name, got, want)
		}
	}
}

// farm is a farm for rows that need one; its two lines go before the row's.
const farm = "[backend_farm]\nid=F\n"

func TestRSConfigMistakes(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for _, row := range []struct{ text, want string }{
		{"[nothing]\nx=1", `3: section "[nothing]": unknown; there are [options]`},
		{"[options]\n[options]", `4: section "[options]": only one is allowed`},
		{"[options", `3: "[options": a section is [name], alone on its line`},
		{"[options] # c", `3: "[options] # c": a section is [name], alone on its line`},
		{"[options]\nverbosity 1", `4: neither a comment, a [section] nor a property`},
		{"[options]\nver-bosity=1", `4: field "ver-bosity": a name is letters, digits and _`},
		{"[options]\nverbosity=6", `4: field "verbosity": value "6": 0 to 5`},
		{"[options]\nverbosity=inherit", `4: field "verbosity": value "inherit": 0 to 5: there is nothing`},
		{"[options]\nverbosity=x", `4: field "verbosity": value "x": 0 to 5`},
		{"[options]\ndescription=" + long, `at most 2048 bytes`},
		{"[options]\ndescription=caf\xc3\xa9", `4: byte 0xc3: only printable 7-bit ASCII and tabs`},
		{"[options]\ndescription=a\x01", `4: byte 0x01: only printable 7-bit ASCII and tabs`},
		{"[options]\nshared_mem=5g", `4: field "shared_mem": value "5g": a size in bytes of at most 4g`},
		{"[options]\nlog_size_limit=x", `4: field "log_size_limit": value "x": a size in bytes`},
		{"[options]\nup_pad_size=-1", `4: field "up_pad_size": value "-1": 0 to 1048576`},
		{"[options]\nstatus_refresh_sec=-1", `4: field "status_refresh_sec": value "-1": a whole number of 0 or more`},
		{"[options]\nstart=" + long, `at most 2048 bytes`},
		{"[options]\nmin_thread=65536", `4: field "min_thread": value "65536": auto, or 0 to 65535`},
		{"[options]\nmax_thread=10\nmin_thread=10", `4: field "max_thread": value "10": more than min_thread, which is 10`},
		{"[options]\nmax_thread=65536", `4: field "max_thread": value "65536": auto, or 0 to 65535`},
		{"[options]\nup_pad_size=2m", `4: field "up_pad_size": value "2097152": 0 to 1048576`},
		{"[options]\nlog_size_limit=9k", `4: field "log_size_limit": value "9216": 0, or 10k or more`},
		{"[options]\nstart=rshost -o", `4: field "start": option "-o": no value`},
		{"[options]\nstart=rshost -v 6", `4: field "start": value "6": 0 to 5`},
		{"[options]\nstart=rshost -os x", `4: field "start": value "x": a size in bytes`},
		{"[options]\nauto_config=on", `4: field "auto_config": value "***": off, token:SECRET`},
		{"[options]\nx_affinity_key=" + long, `4: field "x_affinity_key": value "***": at most 2048 bytes`},
		{"[options]\nx_tls_listen=:1", "4: field \"relay.tls.cert\": missing: the file"},
		{"[options]\nx_tls_listen=:1\nx_tls_cert=c", "relay.tls.key\": missing: the file"},
		{"[options]\nx_require_client_cert=yes", "relay.tls.client_ca\": missing: the file"},
		{"[options]\nx_listen=:1\nx_tls_listen=:1\nx_tls_cert=c\nx_tls_key=k", `5: field "x_tls_listen": value ":1": an address that relay.listen does not have already`},
		{"[options]\nx_proxy_protocol=10.0.0.0/33", `4: field "x_proxy_protocol": value "10.0.0.0/33": networks as`},
		{"[options]\nx_log_records=x", `4: field "x_log_records": value "x": line, rsr, json`},
		{"[options]\nx_handover_wait=-1s", `4: field "x_handover_wait": value "-1s": a duration of 0s or more`},
		{"[options]\nx_listen=x", `4: field "x_listen": value "x": an address as`},
		{"[options]\nx_idle_timeout=0", `4: field "x_idle_timeout": value "0s": a duration of more than 0s`},
		{"[options]\nx_trusted_proxies=10.0.0.0/8 x", `4: field "x_trusted_proxies": value "10.0.0.0/8 x": networks as`},
		{"[relay_server]", `3: field "[relay_server].host": missing: the name or address`},
		{"[relay_server]\nhost=", `3: field "[relay_server].host": missing: the name or address`},
		{"[relay_server]\nhost=a b", `4: field "host": value "a b": a name or an IP address`},
		{"[relay_server]\nhost=a\nhttp_port=65536", `5: field "http_port": value "65536": 0 to 65535`},
		{"[relay_server]\nhost=a\nhttps_port=x", `5: field "https_port": value "x": a port from 1 to 65535, or off`},
		{"[relay_server]\nhost=a\nenable=perhaps", `5: field "enable": value "perhaps": yes, no, on, off, true, false, 1 or 0`},
		{"[backend_farm]", `3: field "[backend_farm].id": missing: the name of the farm in URLs`},
		{"[backend_farm]\nid=F", `4: field "id": value "F": an id that no other farm has`},
		{"[backend_farm]\nid=" + long, `at most 2048 bytes of printable ASCII`},
		{"[backend_farm]\nid=G\nverbosity=-1", `5: field "verbosity": value "-1": 0 to 5, or inherit`},
		{"[backend_farm]\nid=G\nmax_client_buffer=4097m", `5: field "max_client_buffer": value "4296015872": 4k to 4g`},
		{"[backend_farm]\nid=G\nclient_security=maybe", `5: field "client_security": value "maybe": on (or yes`},
		{"[backend_farm]\nid=G\nactive_cookie=2", `5: field "active_cookie": value "2": yes, no`},
		{"[backend_farm]\nid=G\nbackend_security=redirect", `5: field "backend_security": value "redirect": on (or yes`},
		{"[backend_farm]\nid=G\nx_host=a:80", `5: field "x_host": value "a:80": names or IP addresses`},
		{"[backend_farm]\nid=G\nx_hosts=a b\n[backend_farm]\nid=H\nx_hosts=B", `8: field "x_hosts": value "b": a name that farm "G" does not have already`},
		{"[backend_farm]\nid=G\nx_balance=x", `5: field "x_balance": value "x": round_robin, least_conn, p2c, hash`},
		{"[backend_farm]\nid=G\nx_queue_timeout=-1s", `5: field "x_queue_timeout": value "-1s": a duration of 0s or more`},
		{"[backend_farm]\nid=G\nx_eject_after=-1", `5: field "x_eject_after": value "-1": 0 to 1000000`},
		{"[backend_farm]\nid=G\nx_eject_time=0", `5: field "x_eject_time": value "0s": a duration of more than 0s`},
		{"[backend_farm]\nid=G\nx_max_rps=-1", `5: field "x_max_rps": value "-1": 0 to`},
		{"[backend_farm]\nid=G\nx_deny_ip=x", `5: field "x_deny_ip": value "x": networks as`},
		{"[backend_farm]\nid=G\nforwarder_certificate_subject=" + long, `5: field "forwarder_certificate_subject": value`},
		{"[backend_server]\nfarm=F\nid=s\nmax_junction=0", `6: field "max_junction": value "0": 1 to 1000000`},
		{"[backend_server]\nfarm=F\nid=s\nmax_junction_idle_sec=1m", `6: field "max_junction_idle_sec": value "1m": a whole number`},
		{"[backend_server]\nfarm=F\nid=s\nx_priority=101", `6: field "x_priority": value "101": 0 to 100`},
		{"[backend_server]\nfarm=F\nid=s\nx_second_token=t", `[backend_server].token": missing: the token that second_token`},
		{"[backend_server]\nfarm=F\nid=s\ntoken=u\nx_second_token=sha256:12", `7: field "x_second_token": value "***": sha256: and 64`},
		{"[backend_server]\nid=s", `3: field "[backend_server].farm": missing: the id of the farm`},
		{"[backend_server]\nfarm=F", `3: field "[backend_server].id": missing: the name of the back-end server`},
		{"[backend_server]\nfarm=f\nid=s", `4: field "farm": value "f": the id of a farm that is configured; ids are case-sensitive`},
		{"[backend_server]\nfarm=F\nid=s\n[backend_server]\nfarm=F\nid=s", `8: field "id": value "s": an id that no other server of farm "F" has`},
		{"[backend_server]\nfarm=F\nid=s\nmac=01-23-45-67-89", `6: field "mac": value "01-23-45-67-89": six pairs`},
		{"[backend_server]\nfarm=F\nid=s\nmac=!!", `6: field "mac": value "!!": six pairs`},
		{"[backend_server]\nfarm=F\nid=s\nmac=01-23-45-67-89-ab!!01-23-45-67-89-ac", `6: field "mac": value`},
		{"[backend_server]\nfarm=F\nid=s\nmac=01-23-45-67-89-ab!01-23-45-67-89-zz", `6: field "mac": value`},
		{"[backend_server]\nfarm=F\nid=s\nmax_junction=many", `6: field "max_junction": value "many": a whole number`},
		{"[backend_server]\nfarm=F\nid=s\ntoken=sha256:12", `6: field "token": value "***": sha256: and 64 hexadecimal digits`},
		{"[backend_server]\nfarm=F\nid=s\ntoken=bcrypt:", `6: field "token": value "***": bcrypt: and a bcrypt hash with a cost of at most 14`},
		{"[backend_server]\nfarm=F\nid=s\ntoken=bcrypt:$2a$15$" + strings.Repeat("x", 53), `6: field "token": value "***": bcrypt: and a bcrypt hash`},
		{"[backend_server]\nfarm=F\nid=s\ntoken=bcrypt:$2a$10$" + strings.Repeat("x", 52), `6: field "token": value "***": bcrypt: and a bcrypt hash`},
		{"[backend_server]\nfarm=F\nid=s\ntoken=bcrypt:$2a$10$" + strings.Repeat("x", 54), `6: field "token": value "***": bcrypt: and a bcrypt hash`},
		{"[options]\nauto_config=token:bcrypt:$2a$10$" + strings.Repeat("x", 53), `4: field "auto_config": value "***": off, token:SECRET`},
		{"@includes x", `3: "@includes": write @include PATH`},
		{"@include", `3: "@include": write @include PATH`},
		{"@include none", `3: cannot read "none": file does not exist`},
	} {
		_, _, err := loadRS(false, map[string]string{"rs.config": farm + row.text})
		switch {
		case err == nil:
			t.Errorf("%q: accepted", row.text)
		case !strings.Contains(withoutColumns(err), row.want) || !strings.HasPrefix(withoutColumns(err), "rs.config:"):
			t.Errorf("%q:\ngot  %s\nwant rs.config:%s", row.text, err, row.want)
		}
	}
}

func TestRSConfigWithoutSection(t *testing.T) {
	_, _, err := loadRS(false, map[string]string{"rs.config": "id=x\n[nothing]\nid=y\nz"})
	want := "rs.config:1: field \"id\": before the first [section]\nrs.config:2: section \"[nothing]\": unknown;"
	if err == nil || !strings.HasPrefix(withoutColumns(err), want) || strings.Count(withoutColumns(err), "\n") != 2 {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestRSConfigColumn(t *testing.T) {
	for text, want := range map[string]int{
		"[options]\nverbosity=9": 11, "[options]\n  verbosity =  9": 16, "[options]\nxx": 1, "[options]\n xx\x01": 4,
	} {
		_, _, err := loadRS(false, map[string]string{"rs.config": text})
		mistakes, ok := err.(*Error)
		if !ok || mistakes.Problems[0].Line != 2 || mistakes.Problems[0].Col != want || !strings.HasPrefix(err.Error(), fmt.Sprintf("rs.config:2:%d: ", want)) {
			t.Errorf("%q: got %+v, want column %d", text, err, want)
		}
	}
}

func TestRSConfigWarnings(t *testing.T) {
	for _, row := range []struct {
		text, want string
		strict     bool // it is a mistake when strict
	}{
		{"[options]\nnothing=1", `5: field "nothing": unknown in [options]: ignored`, true},
		{"[options]\nx_nothing=1", `5: field "x_nothing": unknown in [options]: ignored`, false},
		{"[backend_farm]\nid=G\nx_listen=:1", `6: field "x_listen": unknown in [backend_farm]: ignored`, false},
		{"[options]\nverbosity=1\nVERBOSITY=2", `6: field "verbosity": set before in line 5: the last one holds`, false},
		{"[options]\nstart=rshost -ot f", `5: field "start": option "-ot": the file is appended to, as with -o`, false},
		{"[options]\nmin_thread=5", `5: field "min_thread": has no effect: there are no threads to keep`, false},
		{"[options]\nx_affinity_key=short", `5: field "x_affinity_key": 5 bytes: whoever has a session id can guess it; take 16 or more`, false},
		{"[relay_server]\nhost=a\n[relay_server]\nhost=b\n", `1: field "relay.trust.affinity_key": not set, and there is no token to make one of: each of the 2 relay servers`, false},
		{"[backend_server]\nfarm=F\nid=s\ntoken=t\n[backend_server]\nfarm=F\nid=r\ntoken=u", `1: field "relay.trust.affinity_key": not set: made of the tokens, which have 2 bytes`, false},
		{"[options]\nx_tls_cert=c\nx_tls_key=k", `5: field "relay.tls.listen": not set: the certificates of relay.tls have no effect`, false},
		{"[options]\nauto_config=a*=s\n[backend_server]\nfarm=abc\nid=s", `7: field "farm": value "abc": not configured: it is there, with defaults`, false},
		{"[backend_farm]\nid=G\nclient_security=redirect", `6: field "client_security": HTTPS is demanded of clients, and there is neither`, false},
		{"[backend_farm]\nid=G\nbackend_security=1", `6: field "backend_security": HTTPS is demanded of enablers, and there is neither`, false},
		{"[backend_farm]\nid=G\nforward_x509_identity=yes", `6: field "forward_x509_identity": without relay.tls.client_ca`, false},
		{"[backend_farm]\nid=G\nforward_x509_identity=yes\nforwarder_certificate_issuer=*", `7: field "forwarder_certificate_issuer": means nothing without forwarder_certificate_subject`, false},
		{"[backend_server]\nfarm=F\nid=s\nx_certificate_subject=*", `7: field "x_certificate_subject": without relay.tls.client_ca`, false},
		{"[backend_server]\nfarm=F\nid=s\ntoken=t\n[backend_server]\nfarm=F\nid=r\ntoken=u\nx_second_token=t", `12: field "x_second_token": back-end server "r" has the token of "s"`, false},
		{"[relay_server]\nhost=a\nhttp_port=off\nhttps_port=0", `7: field "https_port": both http_port and https_port are off`, false},
		{"[backend_farm]\nid=G\nforwarder_certificate_issuer=*", `6: field "forwarder_certificate_issuer": means nothing without`, false},
		{"[backend_farm]\nid=G\nclient_security=on", `6: field "client_security": HTTPS is demanded of clients, and there is neither`, false},
		{"[backend_server]\nfarm=F\nid=s\ntoken=", `7: field "token": empty: none will be demanded`, false},
		{"[backend_server]\nfarm=F\nid=s\ntoken=!", `4: field "[backend_server].token": no back-end server has a token`, false},
		{"[backend_server]\nfarm=F\nid=s\ntoken=t\n[backend_server]\nfarm=F\nid=r\ntoken=t", `11: field "token": back-end server "r" has the token of "s"`, false},
		{"# caf\xc3\xa9", `4: byte 0xc3: only 7-bit ASCII is portable`, false},
	} {
		all := map[string]string{"rs.config": "\n" + farm + row.text}
		_, warnings, err := loadRS(false, all)
		if err != nil || !slices.ContainsFunc(texts(warnings), func(w string) bool {
			return strings.HasPrefix(w, "rs.config:"+row.want) || strings.HasPrefix(w, "field \""+row.want)
		}) {
			t.Errorf("%q: %v, warnings %q, want %s", row.text, err, texts(warnings), row.want)
		}
		if _, _, err := loadRS(true, all); (err != nil) != row.strict {
			t.Errorf("%q, strict: %v", row.text, err)
		}
	}
	for _, there := range []string{"x_trusted_proxies=10.0.0.0/8", "x_proxy_protocol=10.0.0.1", "x_tls_listen=:1\nx_tls_cert=c\nx_tls_key=k"} {
		_, warnings, err := loadRS(false, map[string]string{"rs.config": farm + "client_security=on\n[options]\n" + there})
		if err != nil || slices.ContainsFunc(texts(warnings), func(w string) bool { return strings.Contains(w, "HTTPS is demanded") }) {
			t.Errorf("%s: %v, %q", there, err, texts(warnings))
		}
	}
}

func TestRSConfigUnset(t *testing.T) {
	cfg, _, err := loadRS(false, map[string]string{"rs.config": farm +
		"verbosity=3\nverbosity=\nmax_client_buffer =\nclient_security=\n[backend_server]\nfarm=F\nid=s\nmac=!\ntoken=!\nenable=\n"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := cfg.Relay.Farms[0], farmWith("F", func(*Farm) {}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := cfg.Relay.Backends[0], backendWith("F", "s", func(*Backend) {}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestRSConfigInclude(t *testing.T) {
	texts := map[string]string{
		"rs.config": "[backend_farm]\n@include d/id\n[backend_server]\nfarm=F\n@include \"d/ser ver\"\nverbosity=x\n",
		"d/id":      "id=F\n",
		"d/ser ver": "@include sub/one\n\nenable=x\n",
		"d/sub/one": "id=s\n@INCLUDE\t/abs",
		"/abs":      "mac=x",
	}
	_, _, err := loadRS(false, texts)
	want := "d/ser ver:3: field \"enable\": value \"x\": yes, no, on, off, true, false, 1 or 0\n"
	if err == nil || !strings.Contains(withoutColumns(err), want) || !strings.Contains(withoutColumns(err), "/abs:1: field \"mac\"") ||
		!strings.Contains(withoutColumns(err), "rs.config:6: field \"verbosity\"") {
		t.Errorf("got %v\nwant %s", err, want)
	}
	_, _, err = loadRS(false, map[string]string{"rs.config": "@include a", "a": "\n@include rs.config\n@include a\n"})
	want = "a:2: @include \"rs.config\": that file includes this one\na:3: @include \"a\": that file includes this one"
	if err == nil || withoutColumns(err) != want {
		t.Errorf("files that include each other: got %v\nwant %s", err, want)
	}
	_, _, err = loadRS(false, map[string]string{"rs.config": strings.Repeat("@include a\n", maxIncludes+1), "a": ""})
	if err == nil || withoutColumns(err) != `rs.config:256: @include "a": at most 256 files in all` {
		t.Errorf("many files: %v", err)
	}
	deep := map[string]string{"rs.config": "@include 1"}
	for i := 1; i <= maxIncludeDepth; i++ {
		deep[fmt.Sprint(i)] = fmt.Sprintf("@include %d", i+1)
	}
	if _, _, err := loadRS(false, deep); err == nil || withoutColumns(err) != `8:1: @include "9": at most 8 files deep` {
		t.Errorf("nine files deep: %v", err)
	}
	deep["8"] = farm
	if _, _, err := loadRS(false, deep); err != nil {
		t.Errorf("eight files deep: %v", err)
	}
}

func TestRSConfigHidden(t *testing.T) {
	for _, text := range []string{"\xff\xfe[\x00o\x00", "\x80\x81\x82\nxxx\n"} {
		_, _, err := loadRS(false, map[string]string{"rs.config": text})
		if err == nil || !strings.HasPrefix(withoutColumns(err), "rs.config:1: not plain text") || strings.Contains(withoutColumns(err), "\n") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestRSConfigZeroByte has one mistake for a file whose first line is text.
func TestRSConfigZeroByte(t *testing.T) {
	_, _, err := loadRS(false, map[string]string{"rs.config": "# hidden\nab\x00\x81\n\x82\n\x83"})
	if err == nil || !strings.HasPrefix(err.Error(), "rs.config:2:3: not plain text") || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
}

// TestRSPropertiesHaveFields looks every field of the property table up.
func TestRSPropertiesHaveFields(t *testing.T) {
	l := &loader{cfg: Default()}
	tables := map[string]any{"server": DefaultRelayServer(), "farm": DefaultFarm(), "backend": DefaultBackend()}
	for _, section := range rsSections {
		for name, p := range section.properties {
			f, ok := l.key(p.field)
			if section.tables != "" {
				f, ok = find(reflect.ValueOf(tables[section.tables]), p.field)
			}
			means := p.field != "" || p.idle != "" || p.apply != nil
			if ok != (p.field != "") || !means || ok && p.secret != (f.unit == "secret") || p.idle != "" && p.judge == nil {
				t.Errorf("[%s] %s: %+v", section.name, name, p)
			}
		}
	}
}

func TestRSConfigStart(t *testing.T) {
	for text, want := range map[string]Log{
		"start=auto":                                  {Verbosity: 1},
		"start=no\nverbosity=0":                       {},
		"start=\"/opt/rshost -o a -v 3\"":             {File: "a", Verbosity: 3},
		"start=\"C:\\r s\\rshost\" -o \"a b\" -os 1M": {File: "a b", MaxSize: 1 << 20, Verbosity: 1},
		"verbosity=2\nlog_size_limit=1g\nstart=rshost -v 3 -os 10k -q -f rs.config": {MaxSize: 1 << 30, Verbosity: 2},
	} {
		cfg, _, err := loadRS(true, map[string]string{"rs.config": farm + "[options]\n" + text})
		want.Format, want.Records = "auto", "line"
		if err != nil || cfg.Log != want {
			t.Errorf("%s: %v, %+v, want %+v", text, err, cfg, want)
		}
	}
}

// TestRecordsInLog tells when nothing is said about records and they are written all the same.
func TestRecordsInLog(t *testing.T) {
	for _, row := range []struct{ rs, set, want string }{
		{"", "", ""},
		{"verbosity=0", "", ""},
		{"verbosity=1", "", "log"},
		{"start=rshost -v 1", "", "log"},
		{"start=rshost -v 1\nverbosity=0", "", ""},
		{"verbosity=3\nx_access_log=-", "", "-"},
		{"verbosity=3", "relay.access_log=", ""},
		{"verbosity=3", "log.verbosity=0", ""},
		{"", "log.verbosity=3", ""},
		{"", "log.format=rs", "log"},
		{"x_access_log=f", "log.format=rs", "f"},
	} {
		s := Sources{RSConfig: "f", ReadFile: files(map[string]string{"f": farm + "[options]\n" + row.rs})}
		if row.set != "" {
			s.Set = []string{row.set}
		}
		if cfg := mustLoad(t, s); cfg.Relay.AccessLog != row.want {
			t.Errorf("%q, %q: %q, want %q", row.rs, row.set, cfg.Relay.AccessLog, row.want)
		}
	}
}

func TestRSConfigVariables(t *testing.T) {
	environ := []string{"A=old", "A=a b", "EMPTY=", "SECRET=hunter2", "NEWLINE=a\nb", "N=3", "REF=${A}"}
	load := func(text string, expand bool) (*Config, error) {
		cfg, _, err := Load(Sources{
			RSConfig: "rs.config", ExpandEnv: expand, Environ: environ,
			ReadFile: files(map[string]string{"rs.config": farm + "verbosity=${N:-2}\n[backend_server]\nfarm=F\nid=s\n" + text}),
		})
		return cfg, err
	}
	for _, row := range []struct{ text, description, token string }{
		{"description=${A}", "a b", ""},
		{"description=\"x ${A}${A:-c} y\"", "x a ba b y", ""},
		{"description=${EMPTY:-b}${NONE:-c d}${NONE:-}", "bc d", ""},
		{"description=$A {A} ${REF}", "$A {A} ${A}", ""}, // what comes out is not looked at again
		{"token=${SECRET}", "", "hunter2"},
		{"token=\"${NONE:-t}\"", "", "t"},
		{"token=x${SECRET}", "", "x${SECRET}"},
		{"token=${SECRET}${SECRET}", "", "${SECRET}${SECRET}"},
		{"token=${}x", "", "${}x"},
	} {
		cfg, err := load(row.text, true)
		if err != nil {
			t.Errorf("%s: %v", row.text, err)
			continue
		}
		if b := cfg.Relay.Backends[0]; b.Description != row.description || b.Token != row.token || cfg.Relay.Farms[0].Verbosity != 3 {
			t.Errorf("%s: %+v", row.text, b)
		}
	}
	for text, want := range map[string]string{
		"description=${NONE}":      `rs.config:7: field "description": variable "NONE": not set`,
		"description=${EMPTY}":     `rs.config:7: field "description": variable "EMPTY": not set`,
		"token=${NONE}":            `rs.config:7: field "token": variable "NONE": not set`,
		"description=${A":          `rs.config:7: field "description": ${ without a name and } after it`,
		"description=${A B}":       `rs.config:7: field "description": ${ without a name`,
		"description=${}":          `rs.config:7: field "description": ${ without a name`,
		"description=${NEWLINE}":   `rs.config:7: field "description": a variable in it has other bytes`,
		"max_junction=${A}":        `rs.config:7: field "max_junction": value "a b": a whole number`,
		"max_junction=${A:-1":      `rs.config:7: field "max_junction": ${ without`,
		"token=sha256:${SECRET}":   `value "***": sha256:`,
		"x_second_token=${SECRET}": `missing: the token`,
	} {
		if _, err := load(text, true); err == nil || !strings.Contains(withoutColumns(err), want) || strings.Contains(withoutColumns(err), "hunter2") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if _, err := load("", false); err == nil || !strings.Contains(withoutColumns(err), `value "${N:-2}"`) {
		t.Errorf("not asked for: %v", err)
	}
}

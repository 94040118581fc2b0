package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
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
		farmWith("acme.sync", func(f *Farm) { f.MaxClientBuffer = 512 << 10 }),
		farmWith("acme.web", func(f *Farm) {
			f.Enable, f.Verbosity, f.Description = false, 3, "<a href='mailto:x@example.com'>x</a> # 2"
		}),
	}
	wantBackends := []Backend{
		backendWith("acme.sync", "ml1", func(b *Backend) {
			b.Verbosity, b.Token = 5, "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
		}),
		backendWith("acme.web", "ml1", func(b *Backend) { b.Token = "a b=c" }),
		backendWith("acme.web", "ml2", func(*Backend) {}),
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
	for _, w := range warnings {
		if !strings.HasSuffix(w.Text, "has no effect yet") || w.Line == 0 {
			t.Errorf("unexpected warning %v", w)
		}
	}
	if len(warnings) != 10 {
		t.Errorf("%d warnings, want 10: %q", len(warnings), texts(warnings))
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
		{"[options]\nverbosity=x", `4: field "verbosity": value "x": 0 to 5`},
		{"[options]\ndescription=" + long, `at most 2048 bytes`},
		{"[options]\ndescription=caf\xc3\xa9", `4: byte 0xc3: only printable 7-bit ASCII and tabs`},
		{"[options]\ndescription=a\x01", `4: byte 0x01: only printable 7-bit ASCII and tabs`},
		{"[options]\nshared_mem=5g", `4: field "shared_mem": value "5g": a size in bytes of at most 4g`},
		{"[options]\nlog_size_limit=x", `4: field "log_size_limit": value "x": a size in bytes`},
		{"[options]\nup_pad_size=-1", `4: field "up_pad_size": value "-1": a size in bytes`},
		{"[options]\nstatus_refresh_sec=-1", `4: field "status_refresh_sec": value "-1": a whole number of 0 or more`},
		{"[options]\nstart=" + long, `at most 2048 bytes`},
		{"[options]\nmin_thread=65536", `4: field "min_thread": value "65536": auto, or 0 to 65535`},
		{"[options]\nmax_thread=10\nmin_thread=10", `4: field "max_thread": value "10": more than min_thread, which is 10`},
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
		{"[backend_farm]\nid=G\nclient_security=maybe", `5: field "client_security": value "maybe": yes, no`},
		{"[backend_farm]\nid=G\nactive_cookie=2", `5: field "active_cookie": value "2": yes, no`},
		{"[backend_server]\nid=s", `3: field "[backend_server].farm": missing: the id of the farm`},
		{"[backend_server]\nfarm=F", `3: field "[backend_server].id": missing: the name of the back-end server`},
		{"[backend_server]\nfarm=f\nid=s", `4: field "farm": value "f": the id of a farm that is configured; ids are case-sensitive`},
		{"[backend_server]\nfarm=F\nid=s\n[backend_server]\nfarm=F\nid=s", `8: field "id": value "s": an id that no other server of farm "F" has`},
		{"[backend_server]\nfarm=F\nid=s\nmac=01-23-45-67-89", `6: field "mac": value "01-23-45-67-89": six pairs`},
		{"[backend_server]\nfarm=F\nid=s\nmac=01-23-45-67-89-ab!01-23-45-67-89-zz", `6: field "mac": value`},
		{"[backend_server]\nfarm=F\nid=s\nmax_junction=many", `6: field "max_junction": value "many": a whole number`},
		{"[backend_server]\nfarm=F\nid=s\ntoken=sha256:12", `6: field "token": value "***": sha256: and 64 hexadecimal digits`},
		{"@includes x", `3: "@includes": write @include PATH`},
		{"@include", `3: "@include": write @include PATH`},
		{"@include none", `3: cannot read "none": file does not exist`},
	} {
		_, _, err := loadRS(false, map[string]string{"rs.config": farm + row.text})
		switch {
		case err == nil:
			t.Errorf("%q: accepted", row.text)
		case !strings.Contains(err.Error(), row.want) || !strings.HasPrefix(err.Error(), "rs.config:"):
			t.Errorf("%q:\ngot  %s\nwant rs.config:%s", row.text, err, row.want)
		}
	}
}

func TestRSConfigWithoutSection(t *testing.T) {
	_, _, err := loadRS(false, map[string]string{"rs.config": "id=x\n[nothing]\nid=y\nz"})
	want := "rs.config:1: field \"id\": before the first [section]\nrs.config:2: section \"[nothing]\": unknown;"
	if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestRSConfigColumn(t *testing.T) {
	for text, want := range map[string]int{
		"[options]\nverbosity=9": 11, "[options]\n  verbosity =  9": 16, "[options]\nxx": 1, "[options]\n xx\x01": 4,
	} {
		_, _, err := loadRS(false, map[string]string{"rs.config": text})
		mistakes, ok := err.(*Error)
		if !ok || mistakes.Problems[0].Line != 2 || mistakes.Problems[0].Col != want {
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
		{"[options]\nstart=auto", `5: field "start": has no effect yet`, false},
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
		if err != nil || !slices.ContainsFunc(texts(warnings), func(w string) bool { return strings.HasPrefix(w, "rs.config:"+row.want) }) {
			t.Errorf("%q: %v, warnings %q, want %s", row.text, err, texts(warnings), row.want)
		}
		if _, _, err := loadRS(true, all); (err != nil) != row.strict {
			t.Errorf("%q, strict: %v", row.text, err)
		}
	}
	_, warnings, err := loadRS(false, map[string]string{"rs.config": farm + "client_security=on\n[options]\nx_trusted_proxies=10.0.0.0/8\n"})
	if err != nil || slices.ContainsFunc(texts(warnings), func(w string) bool { return strings.Contains(w, "HTTPS is demanded") }) {
		t.Errorf("a trusted proxy is there: %v, %q", err, texts(warnings))
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
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "/abs:1: field \"mac\"") ||
		!strings.Contains(err.Error(), "rs.config:6: field \"verbosity\"") {
		t.Errorf("got %v\nwant %s", err, want)
	}
	_, _, err = loadRS(false, map[string]string{"rs.config": "@include a", "a": "\n@include rs.config\n@include a\n"})
	want = "a:2: @include \"rs.config\": that file includes this one\na:3: @include \"a\": that file includes this one"
	if err == nil || err.Error() != want {
		t.Errorf("files that include each other: got %v\nwant %s", err, want)
	}
	_, _, err = loadRS(false, map[string]string{"rs.config": strings.Repeat("@include a\n", maxIncludes+1), "a": ""})
	if err == nil || err.Error() != `rs.config:256: @include "a": at most 256 files in all` {
		t.Errorf("many files: %v", err)
	}
	deep := map[string]string{"rs.config": "@include 1"}
	for i := 1; i <= maxIncludeDepth; i++ {
		deep[fmt.Sprint(i)] = fmt.Sprintf("@include %d", i+1)
	}
	if _, _, err := loadRS(false, deep); err == nil || err.Error() != `8:1: @include "9": at most 8 files deep` {
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
		if err == nil || !strings.HasPrefix(err.Error(), "rs.config:1: not plain text") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestRSPropertiesHaveFields looks every field of the property table up.
func TestRSPropertiesHaveFields(t *testing.T) {
	l := &loader{cfg: Default()}
	tables := map[string]any{"server": DefaultRelayServer(), "farm": DefaultFarm(), "backend": DefaultBackend()}
	for _, section := range rsSections {
		for name, p := range section.properties {
			ok := p.judge != nil
			switch {
			case p.field != "" && section.tables == "":
				_, ok = l.key(p.field)
			case p.field != "":
				_, ok = lookup(reflect.ValueOf(tables[section.tables]), p.field)
			}
			if !ok || (p.judge != nil) == (p.field != "") {
				t.Errorf("[%s] %s: field %q", section.name, name, p.field)
			}
		}
	}
}

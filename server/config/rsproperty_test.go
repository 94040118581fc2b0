package config

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// rsValues has right values of every property, of limits those at both ends.
var rsValues = map[string][]string{
	"start": {"auto", "no", `"C:\Program Files\rshost -q -oq"`, "/opt/rshost -v 3 -os 10k -o /var/rs.log", "rshost -os 2G"}, "verbosity": {"0", "1", "5"},
	"description": {`"quoted"`, `<a href="mailto:x@y">z</a> # \ ' =`, strings.Repeat("d", maxText), "!", "${HOME}"}, "shared_mem": {"0", "1", "10M", "512k", "4G"},
	"status_refresh_sec": {"0", "10", "2147483647"}, "auto_config": {"off", "no", "token:a b", "a*=s;b?=sha256:" + strings.Repeat("0f", 32) + ";"},
	"log_size_limit": {"0", "10k", "4G", "100M"}, "min_thread": {"auto", "0", "AUTO"}, "max_thread": {"auto", "1", "65535"}, "up_pad_size": {"0", "1k", "1m"},
	"enable": {"yes", "no", "ON", "off", "true", "False", "1", "0"}, "host": {"rs1.example.com", "192.0.2.1", "2001:db8::1"},
	"http_port": {"0", "off", "1", "65535", "80"}, "https_port": {"OFF", "443", "1", "65535"},
	"client_security": {"on", "off", "yes", "NO", "redirect", "1", "0", "true"}, "backend_security": {"on", "off", "yes", "no", "False"},
	"active_cookie": {"yes", "no"}, "active_header": {"1", "0"}, "max_client_buffer": {"4k", "4G", "1M", "4096", "4294967296"},
	"renew_overlapped_cookie": {"yes", "no"}, "socket_level_affinity": {"yes", "no"}, "forward_x509_identity": {"yes", "no"},
	"forwarder_certificate_subject": {`CN = \*.example.com, *`}, "forwarder_certificate_issuer": {"CN = ca??.example.com, *"},
	"token": {"!", "a b", `a"b\c`, "bcrypt", strings.Repeat("t", maxText), "sha256:" + strings.Repeat("0F", 32), "'single'", "bcrypt:$2y$14$" + strings.Repeat("x", 53), "{x}", "$1"},
	"mac":   {"!", "01-23-45-67-89-AB", "01-23-45-67-89-ab!02-23-45-67-89-ab", "!01-23-45-67-89-ab!", "01-23-45-67-89-ab ! 02-23-45-67-89-ab"}, "max_junction": {"1", "1000000", "500"},
	"max_junction_idle_sec": {"0", "30", "2147483647"},

	"x_listen": {":80", "127.0.0.1:0, [::1]:0"}, "x_tls_listen": {":443"}, "x_tls_cert": {"/etc/c e r t.pem"}, "x_tls_key": {"k"}, "x_client_ca": {"ca"},
	"x_require_client_cert": {"no"}, "x_admin_listen": {"127.0.0.1:1"}, "x_client_prefixes": {"/c", "/c /d"}, "x_server_prefixes": {"/s"},
	"x_trusted_proxies": {"10.0.0.1", "10.0.0.0/8 ::/0"}, "x_proxy_protocol": {"10.1.0.0/16"}, "x_affinity_key": {"short", "0123456789abcdef0123"},
	"x_plain_tokens": {"yes", "no"}, "x_public_status": {"yes"}, "x_handover_wait": {"0", "3", "1m30s"}, "x_start_wait": {"0", "500ms"},
	"x_handover_timeout": {"0", "1h"}, "x_drain_timeout": {"0", "90"}, "x_drain_delay": {"5"}, "x_drain_grace": {"0", "2"}, "x_header_timeout": {"1", "1ms"},
	"x_idle_timeout": {"1", "4294967295"}, "x_response_timeout": {"0", "2m"}, "x_body_min_rate": {"0", "1k"}, "x_body_grace": {"0"}, "x_stream_window": {"4k", "1g"},
	"x_heartbeat": {"1"}, "x_request_line": {"64", "16k"}, "x_head": {"16k", "16m"}, "x_fields": {"1", "100000"}, "x_trailer_bytes": {"0", "16m"},
	"x_max_request_body": {"0", "4g", "4611686018427387904"}, "x_max_connections": {"0", "1073741824"}, "x_access_log": {"-", "log", "/var/a log"},
	"x_log_file": {"/l"}, "x_log_format": {"auto", "text", "json", "rs"}, "x_log_level": {"error", "debug"}, "x_log_records": {"line", "rsr", "json"}, "x_loops": {"0", "1024"},
	"x_host": {"one.example.com"}, "x_hosts": {"UPPER.example.com, two.example.com"}, "x_affinity_fallback": {"yes", "no"},
	"x_balance": {"round_robin", "least_conn", "p2c", "hash"}, "x_queue_timeout": {"0", "2"}, "x_eject_after": {"1", "1000000"}, "x_eject_time": {"1", "1m"},
	"x_error_pages": {"/pages"}, "x_max_rps": {"0", "1073741824"}, "x_max_inflight": {"1"}, "x_max_bytes_sec": {"1m"}, "x_allow_ip": {"10.0.0.0/8"}, "x_deny_ip": {"::1, 10.0.0.1"},
	"x_second_token": {"!", "the next"}, "x_certificate_subject": {"CN = *"}, "x_priority": {"0", "100"}, "x_rewrite_location": {"yes", "no"}, "x_x509_fields": {"ssl", "client-cert", "x-client-cert"},
	"x_admin_token": {"0123456789abcdef"}, "x_admin_public": {"no"}, "x_server_label": {"yes", "no"}, "x_webhook": {"https://example.com/hook?a=b"},
	"x_passport_verbosity": {"0", "5"},
}

// randomRS writes a file with some of the properties of every section, all with right values.
func randomRS(t *testing.T, r *rand.Rand) string {
	var out strings.Builder
	hosts := 0
	section := func(name string, fixed ...string) {
		fmt.Fprintf(&out, "[%s]\n%s\n", name, strings.Join(fixed, "\n"))
		properties := slices.Sorted(maps.Keys(rsSections[name].properties))
		r.Shuffle(len(properties), func(i, j int) { properties[i], properties[j] = properties[j], properties[i] })
		for _, p := range properties {
			values := rsValues[p]
			switch {
			case p == "id" || p == "farm":
				continue
			case len(values) == 0:
				t.Fatalf("[%s] %s: no value to try: add some to rsValues", name, p)
			case r.IntN(3) > 0 || name == "backend_server" && p == "token" || strings.HasPrefix(p, "x_tls_"):
				continue
			}
			value := values[r.IntN(len(values))]
			if p == "x_host" || p == "x_hosts" {
				hosts++
				value = fmt.Sprintf("Host%d.example.com h%d", hosts, hosts)
			}
			fmt.Fprintf(&out, "%s = %s\n", p, value)
		}
	}
	options := []string{}
	if r.IntN(2) == 0 {
		options = []string{"x_tls_listen = 127.0.0.2:0", "x_tls_cert = c", "x_tls_key = k"}
	}
	section("options", options...)
	for range r.IntN(4) {
		section("relay_server", "host = rs.example.com")
	}
	for f := range r.IntN(5) {
		section("backend_farm", fmt.Sprintf("id = farm %d.%c", f, 'A'+rune(r.IntN(26))+' '*rune(r.IntN(2))))
		id := out.String()[strings.LastIndex(out.String(), "id = farm ")+len("id = "):]
		id, _, _ = strings.Cut(id, "\n")
		for s := range r.IntN(4) {
			tokens := rsValues["token"]
			section("backend_server", "farm = "+id, fmt.Sprintf("id = s%d", s), "token = "+tokens[1+r.IntN(len(tokens)-1)])
		}
	}
	return out.String()
}

// TestImportMeansTheSame writes files at random: what is imported of one is the same configuration, and so is the file in other clothes, and
// what the file says in the environment.
func TestImportMeansTheSame(t *testing.T) {
	for name := range rsValues {
		if !slices.ContainsFunc(slices.Collect(maps.Values(rsSections)), func(s *rsSection) bool { _, ok := s.properties[name]; return ok }) {
			t.Errorf("%s is no property", name)
		}
	}
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 2))
		text := randomRS(t, r)
		cfg, _, err := loadRS(true, map[string]string{"rs.config": text})
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		var toml bytes.Buffer
		if err := Export(&toml, cfg); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		again := mustLoad(t, Sources{TOML: "f", ReadFile: files(map[string]string{"f": toml.String()})})
		if !reflect.DeepEqual(again, cfg) {
			t.Errorf("seed %d: imported\n%+v\nwant\n%+v\n%s\n%s", seed, again, cfg, text, toml.String())
		}
		sections := strings.SplitAfter(text, "\n[") // of the first, the bracket stays
		other := "\xef\xbb\xbf# a comment = [x]\r\n@include rest\r\n"
		rest := strings.ReplaceAll(strings.Join(sections, ""), "\n", " \t\r\n\r\n\t")
		for _, s := range []string{"options", "relay_server", "backend_farm", "backend_server"} {
			rest = strings.ReplaceAll(rest, "["+s+"]", "[ "+strings.ToUpper(s)+"\t]")
		}
		if got, _, err := loadRS(true, map[string]string{"rs.config": other, "rest": rest}); err != nil || !reflect.DeepEqual(got, cfg) {
			t.Errorf("seed %d, in other clothes: %v\n%+v\nwant\n%+v\n%s", seed, err, got, cfg, text)
		}
		if got := inEnvironment(t, cfg); !reflect.DeepEqual(got, cfg) {
			t.Errorf("seed %d, from the environment:\n%+v\nwant\n%+v\n%s", seed, got, cfg, text)
		}
	}
}

// inEnvironment says everything in a Config by variables and loads that.
func inEnvironment(t *testing.T, cfg *Config) *Config {
	t.Helper()
	value := func(f field) string {
		switch v := f.value.Interface().(type) {
		case string:
			return v
		case []string:
			return strings.Join(v, ",")
		default:
			return strings.NewReplacer(`"`, "", "[", "", "]", "").Replace(formatTOML(f))
		}
	}
	var environ []string
	for _, k := range keysOf(cfg) {
		environ = append(environ, k.env()+"="+value(k))
	}
	for path, list := range listsOf(cfg) {
		for i := range list.Len() {
			for _, f := range appendKeys(nil, fmt.Sprintf("%s.%d.", path, i), list.Index(i)) {
				environ = append(environ, f.env()+"="+value(f))
			}
		}
	}
	got, _, err := Load(Sources{RSConfig: "empty", ReadFile: files(map[string]string{"empty": ""}), Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

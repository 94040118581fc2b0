package config

import (
	"bytes"
	"cmp"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

const exportRouter = `setopt conn_names tcp:127.0.0.1:5101, local
setopt default_subject_prefix /plant
setopt trace_level verbose_1
setopt client_reconnect_timeout 45
setopt proxy_password hunter2
setopt slow_consumer_policy block
alias hi echo "hello there"
subscribe /plant/...
`

// TestExport writes what files of every kind amount to and reads it back.
func TestExport(t *testing.T) {
	rs16, err := os.ReadFile("testdata/rs16.config")
	if err != nil {
		t.Fatal(err)
	}
	eserver, err := os.ReadFile("testdata/eserver.cfg")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{
		"rs16": string(rs16), "es": "Engine_default=engine -q\nControlPassword=hunter2\n" + string(eserver), "cm": exportRouter,
		"rs":   "[options]\nverbosity=0\n",
		"odd":  "[backend_farm]\nid=a\ndescription=\"quoted\" \\ and 'more'\nx_deny_ip=::1\n[backend_server]\nfarm=a\nid=s\ntoken=a\"b\\c\nmax_junction_idle_sec=0\n",
		"toml": "relay.listen = []\nrouter.nats.listen = [\":4222\"]\nlog.format = \"rs\"\nrelay.access_log = \"\"\n[[access.permission]]\nwho = \"*\"\nallow = false\n",
	}
	for name, s := range map[string]Sources{
		"every property": {RSConfig: "rs16"},
		"nothing":        {RSConfig: "rs"},
		"odd texts":      {RSConfig: "odd"},
		"engine":         {EServer: "es"},
		"router":         {RTServer: "cm"},
		"TOML":           {TOML: "toml"},
		"all":            {RSConfig: "rs16", EServer: "es", RTServer: "cm", Set: []string{"loops=3"}},
	} {
		s.ReadFile = files(all)
		cfg := mustLoad(t, s)
		var out bytes.Buffer
		if err := Export(&out, cfg); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out.String())
			continue
		}
		again := mustLoad(t, Sources{TOML: "f", ReadFile: files(map[string]string{"f": out.String()})})
		if !reflect.DeepEqual(again, cfg) {
			t.Errorf("%s: got %+v\nwant %+v\n%s", name, again, cfg, out.String())
		}
		if secret := strings.Contains(out.String(), "in clear text"); secret != (name != "nothing" && name != "TOML") {
			t.Errorf("%s: the line about secrets:\n%s", name, out.String())
		}
	}
	cfg := mustLoad(t, Sources{RSConfig: "rs", ReadFile: files(all)})
	var out bytes.Buffer
	if err := Export(&out, cfg); err != nil || strings.Count(out.String(), "\n") > 12 {
		t.Errorf("%v: not only what differs from the defaults:\n%s", err, out.String())
	}
}

// TestExportOfNoFile takes a Config that no file can say.
func TestExportOfNoFile(t *testing.T) {
	cfg := Default()
	cfg.Relay.Farms = []Farm{{ID: "a"}}
	if err := Export(&bytes.Buffer{}, cfg); err == nil {
		t.Error("a farm that is not valid was written")
	}
	cfg.Relay.Farms = []Farm{farmWith("a", func(f *Farm) { f.Hosts = []string{"Upper"} })}
	if err := Export(&bytes.Buffer{}, cfg); err == nil {
		t.Error("what comes back in another way was written")
	}
}

// TestEveryFieldOfListElements sets each field of a relay server, a farm and a back-end server to a value that is not its default, and
// reads them from TOML.
func TestEveryFieldOfListElements(t *testing.T) {
	others := map[string]string{
		"host": "h", "id": "F", "farm": "F", "client_security": "redirect", "backend_security": "off", "balance": "p2c", "x509_fields": "client-cert",
	}
	var change func(table reflect.Value)
	change = func(table reflect.Value) {
		for f := range fieldsOf(table) {
			switch v := f.value.Addr().Interface().(type) {
			case *bool:
				*v = !*v
			case *string:
				*v = cmp.Or(others[f.name], "other "+f.name)
			case *[]string:
				*v = map[string][]string{"mac": {"01-23-45-67-89-ab", "02-23-45-67-89-ab"}}[f.name]
				if *v == nil {
					*v = []string{"one", "two"}
				}
			case *[]netip.Prefix:
				*v = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			case *time.Duration:
				*v += time.Second
			default:
				if f.value.Kind() == reflect.Struct {
					change(f.value)
				} else {
					f.value.SetInt(f.value.Int() + 2)
				}
			}
		}
	}
	cfg := Default()
	cfg.Engine.Listen, cfg.Router.Listen = nil, nil
	server, farm, backend := DefaultRelayServer(), DefaultFarm(), DefaultBackend()
	for _, element := range []any{&server, &farm, &backend} {
		change(reflect.ValueOf(element).Elem())
	}
	cfg.Relay.Servers, cfg.Relay.Farms, cfg.Relay.Backends = []RelayServer{server}, []Farm{farm}, []Backend{backend}
	var out bytes.Buffer
	if err := Export(&out, cfg); err != nil { // it reads what it has written
		t.Fatal(err)
	}
	for _, element := range []any{server, farm, farm.Limits, backend} {
		for f := range fieldsOf(reflect.ValueOf(element)) {
			if f.name != "limits" && !strings.Contains(out.String(), "\n"+f.name+" = ") {
				t.Errorf("%s of %T is not in\n%s", f.name, element, out.String())
			}
		}
	}
}

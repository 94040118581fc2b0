package config

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"
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

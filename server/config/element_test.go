package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestElementsFromOutside has farms and servers in the environment and in assignments, without a file and beside one.
func TestElementsFromOutside(t *testing.T) {
	environ := []string{ // the order means nothing
		"ROUNDHOUSE_RELAY_BACKEND_1_ID=two", "ROUNDHOUSE_RELAY_BACKEND_1_FARM=A", "ROUNDHOUSE_RELAY_BACKEND_1_TOKEN=hunter3",
		"ROUNDHOUSE_RELAY_FARM_0_ID=A", "ROUNDHOUSE_RELAY_FARM_0_LIMITS_MAX_RPS=7", "ROUNDHOUSE_RELAY_FARM_0_LIMITS_ALLOW_IP=10.0.0.0/8 ::1",
		"ROUNDHOUSE_RELAY_BACKEND_0_ID=one", "ROUNDHOUSE_RELAY_BACKEND_0_FARM=A", "ROUNDHOUSE_RELAY_BACKEND_0_TOKEN=hunter2",
		"ROUNDHOUSE_RELAY_BACKEND_0_MAC=01-02-03-04-05-06,01-02-03-04-05-07", "ROUNDHOUSE_RELAY_BACKEND_0_MAX_JUNCTION_IDLE=1m",
		"ROUNDHOUSE_RELAY_SERVER_0_HOST=rs1", "ROUNDHOUSE_RELAY_SERVER_0_HTTP_PORT=off", "ROUNDHOUSE_RELAY_LISTEN=:1",
	}
	cfg := mustLoad(t, Sources{Environ: environ, Set: []string{"relay.backend[1].priority=3", "relay.farm[1].id=B", "relay.backend[1].farm=B"}})
	farms := []Farm{
		farmWith("A", func(f *Farm) {
			f.Limits = FarmLimits{MaxRPS: 7, AllowIP: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
		}),
		farmWith("B", func(*Farm) {}),
	}
	backends := []Backend{
		backendWith("A", "one", func(b *Backend) {
			b.Token, b.MAC, b.MaxJunctionIdle = "hunter2", []string{"01-02-03-04-05-06", "01-02-03-04-05-07"}, time.Minute
		}),
		backendWith("B", "two", func(b *Backend) { b.Token, b.Priority = "hunter3", 3 }),
	}
	servers := []RelayServer{{Enable: true, Host: "rs1", HTTPSPort: 443}}
	if r := cfg.Relay; cfg.Demo || !reflect.DeepEqual(r.Farms, farms) || !reflect.DeepEqual(r.Backends, backends) || !reflect.DeepEqual(r.Servers, servers) {
		t.Errorf("demo %v, %+v", cfg.Demo, r)
	}

	rs := files(map[string]string{"rs": "[backend_farm]\nid=F\n[backend_server]\nfarm=F\nid=s\ntoken=t\n"})
	cfg = mustLoad(t, Sources{RSConfig: "rs", ReadFile: rs, Environ: []string{"ROUNDHOUSE_RELAY_BACKEND_0_TOKEN=u", "ROUNDHOUSE_RELAY_FARM_1_ID=G", "ROUNDHOUSE_RELAY_LISTEN=:1"}})
	if r := cfg.Relay; len(r.Farms) != 2 || r.Farms[1].ID != "G" || len(r.Backends) != 1 || r.Backends[0].Token != "u" {
		t.Errorf("beside a file: %+v", r)
	}
	cfg = mustLoad(t, Sources{Set: []string{"engine.type[0].name=default", "engine.type[0].command=engine -q", "engine.mode[0].mode=1", "engine.mode[0].min_engines=0", "engine.listen=:1"}})
	if e := cfg.Engine; cfg.Demo || len(e.Types) != 1 || e.Types[0].Command != "engine -q" || len(e.Modes) != 1 || e.Modes[0].zeros == 0 {
		t.Errorf("engine: %+v", e)
	}

	for pair, want := range map[string]string{
		"relay.farm[2].id=B":            `--set: field "relay.farm[2].id": number 2 of relay.farm: there are 1, so the next one is 1`,
		"relay.farm[70000].id=B":        `--set: field "relay.farm[70000].id": no such key; those of lists have a number, as relay.farm[0].id`,
		"relay.farm[00].id=B":           `no such key`,
		"relay.farm[-1].id=B":           `no such key`,
		"relay.farm[0]id=B":             `no such key`,
		"relay.farm[0].none=B":          `no such key`,
		"relay.farm[0].limits=B":        `no such key`,
		"relay.farms[0].id=B":           `no such key`,
		"relay.farm[0].id":              `--set: field "relay.farm[0].id": no value`,
		"relay.farm[0].balance=B":       `--set: field "relay.farm[0].balance": value "B": round_robin`,
		"relay.backend[0].token=***":    `--set: field "relay.backend[0].token": value "***": the token itself`,
		"relay.backend[1].id=s2":        `--set: field "relay.backend[1].farm": missing`,
		"relay.backend[0].max_junction": `no value`,
	} {
		_, _, err := Load(Sources{RSConfig: "rs", ReadFile: rs, Set: []string{pair}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", pair, err, want)
		}
	}
	for _, name := range []string{"ROUNDHOUSE_RELAY_FARM_X_ID", "ROUNDHOUSE_RELAY_FARM_0", "ROUNDHOUSE_RELAY_FARM_0_NONE", "ROUNDHOUSE_RELAY_FARM__ID", "ROUNDHOUSE_RELAY_FARM_01_ID"} {
		cfg, warnings, err := Load(Sources{Environ: []string{name + "=a"}})
		if err != nil || !cfg.Demo || len(warnings) != 1 || !strings.Contains(warnings[0].Text, "no such key") {
			t.Errorf("%s: %v, %v", name, err, texts(warnings))
		}
	}
}

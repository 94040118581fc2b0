package config

import (
	"strings"
	"testing"
)

func TestChange(t *testing.T) {
	cfg := Default()
	next, err := Change(cfg, "engine.pool.max_engines", "3")
	if err != nil || next.Engine.Pool.MaxEngines != 3 || cfg.Engine.Pool.MaxEngines != 10 {
		t.Errorf("%v: %d, and %d in the old one", err, next.Engine.Pool.MaxEngines, cfg.Engine.Pool.MaxEngines)
	}
	for pair, want := range map[string]string{
		"engine.pool.no=1":               `field "engine.pool.no": no such key`,
		"engine.pool.max_engines=many":   `value "many"`,
		"engine.pool.spawn_rate=0":       "1 to 1000",
		"engine.pool.queue_policy=x":     "fifo",
		"engine.mode=1":                  "no such key",
		"engine.client.poll_interval=0s": "poll_interval",
	} {
		key, value, _ := strings.Cut(pair, "=")
		if _, err := Change(cfg, key, value); err == nil || !strings.Contains(withoutColumns(err), want) {
			t.Errorf("%s: %v, want %q", pair, err, want)
		}
	}
}

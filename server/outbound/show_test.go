package outbound

import (
	"bytes"
	"strings"
	"testing"

	"roundhouse/codec/lane"
	"roundhouse/server/config"
)

// TestShow counts what each verbosity adds to the log: requests without their query, packets, and what is in them.
func TestShow(t *testing.T) {
	for v, want := range []struct{ requests, packets, bytes int }{{}, {}, {1, 0, 0}, {1, 1, 0}, {1, 1, 0}, {1, 1, 1}} {
		var out bytes.Buffer
		k := &link{s: &shard{e: &Enabler{cfg: &config.Enabler{Verbosity: v}, log: config.NewLogger(&out, "text", config.VerbosityLevel(v))}}}
		k.showRequest(7, []byte("GET /path?secret HTTP/1.1\r\nHost: h\r\n\r\n"))
		k.show("dn", lane.OpData, 7, []byte("hello"))
		text := out.String()
		if strings.Count(text, "msg=request") != want.requests || strings.Count(text, "msg=packet") != want.packets || strings.Count(text, "hex=68656c6c6f") != want.bytes ||
			strings.Contains(text, "secret") || want.requests == 1 && !strings.Contains(text, "method=GET path=/path\n") {
			t.Errorf("verbosity %d: %s", v, text)
		}
	}
}

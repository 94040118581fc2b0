package config

import (
	"errors"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestEffectKeys: each key of the table is one, or a table of some.
func TestEffectKeys(t *testing.T) {
	paths := slices.AppendSeq(slices.Collect(maps.Keys(effects)), maps.Keys(settled))
	for _, path := range paths {
		at := reflect.ValueOf(Default()).Elem()
		for name := range strings.SplitSeq(path, ".") {
			f, ok := lookup(at, name)
			if !ok {
				t.Errorf("%s: there is no such key", path)
				break
			}
			at = f.value
		}
	}
}

// TestNeedStart: what is read at the start only is named as long as it differs from what it was then.
func TestNeedStart(t *testing.T) {
	start := Default()
	next := *start
	if got := NeedStart(start, &next); len(got) > 0 {
		t.Error("nothing has changed:", got)
	}
	next.Relay.TLS.Listen = []string{}                                           // none was nil
	next.DrainDelay, next.DrainGrace, next.Limits.MaxRequests = 1, 2, 3          // live
	next.Relay.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("::1/128")} // live
	next.Log.Verbosity, next.Router.MaxMessageSize = 4, 5                        // live
	if got := NeedStart(start, &next); len(got) > 0 {
		t.Error("these hold at once:", got)
	}
	next.Loops++
	next.Admin.Listen, next.Log.File, next.Relay.AccessLog = "127.0.0.1:1", "x", "y"
	next.Relay.Listen, next.Router.Listen, next.Engine.Listen = []string{":1"}, []string{"tcp:_any:2"}, []string{":3"}
	next.Engine.DialIn.Token, next.Router.NATS.TLSFirst = "secret", true
	next.Engine.TLSCert, next.Engine.TLSKey = "one", "its key"
	next.Engine.Runs = []EngineRun{{}}
	want := []string{"relay.listen", "relay.access_log", "engine.listen", "engine.dial_in.token", "engine.tls_cert", "engine.run", "router.listen", "router.nats.tls_first",
		"admin.listen", "log.file", "loops"}
	got := NeedStart(start, &next)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	start.Engine.TLSCert = "another"
	if slices.Contains(NeedStart(start, &next), "engine.tls_cert") {
		t.Error("another certificate needs no start")
	}
}

// TestUnreadFile: what would be missing without a file is not told when the file cannot be read.
func TestUnreadFile(t *testing.T) {
	_, _, err := Load(Sources{TOML: t.TempDir(), Environ: []string{"ROUNDHOUSE_LOOPS=-1x"}})
	var all *Error
	if !errors.As(err, &all) || len(all.Problems) != 2 || !strings.Contains(err.Error(), "is a directory") || !strings.Contains(err.Error(), "ROUNDHOUSE_LOOPS") {
		t.Error(err)
	}
}

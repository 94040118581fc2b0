package server_test

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"roundhouse/server/config"
)

// passportOf builds an SAP Passport of version 2.
func passportOf(flags string) string {
	return "2A54482A0200B9" + flags + strings.Repeat("20", 140) + hex.EncodeToString([]byte("8fa46833ea42b94a8181b5bc8da3a33c")) + "2A54482A"
}

const passportSuffix = "#SAP-PPK#V2#8fa46833ea42b94a8181b5bc8da3a33c"

// TestPassport: where a client's passport may ask for it, its own request is logged in more detail, at both ends of the lane, and no other one.
func TestPassport(t *testing.T) {
	for _, row := range []struct {
		name          string
		most          int
		passport      string
		packets, hexs bool
	}{
		{"none", 4, "", false, false},
		{"low", 4, passportOf("0000"), false, false},
		{"medium", 5, passportOf("890A"), true, false},
		{"high", 5, passportOf("9F0D"), true, true},
		{"high, capped", 4, passportOf("9F0D"), true, false},
		{"no passport", 5, "2A54482A", false, false},
		{"off", 0, passportOf("9F0D"), false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := startRelay(t, func(cfg *config.Config) { cfg.Log.PassportMaxVerbosity = row.most })
			var cookie string
			backend := startBackend(t, func(w http.ResponseWriter, q *http.Request) { cookie = q.Header.Get("Cookie"); fmt.Fprint(w, "answer") })
			e := startEnablerWith(t, r, "s1", backend, func(c *config.Enabler) { c.PassportVerbosity = row.most })
			q, err := http.NewRequest(http.MethodGet, r.url("/traced"), nil)
			if err != nil {
				t.Fatal(err)
			}
			q.Header.Set("Cookie", "geheim=1")
			if row.passport != "" {
				q.Header.Set("Sap-Passport", row.passport)
			}
			if o := do(q); o.body != "answer" || cookie != "geheim=1" {
				t.Fatalf("%v, %q", o, cookie)
			}
			eventually(t, "the enabler is done", func() bool {
				return !row.packets || strings.Count(e.log.text(), "op=data") > 0 && strings.Count(r.log.text(), "op=data") > 0
			})
			r.get("/untraced")
			for where, log := range map[string]string{"relay": r.log.text(), "enabler": e.log.text()} {
				for text, want := range map[string]bool{
					"msg=packet": row.packets, "op=response": row.packets, "hex=": row.hexs, passportSuffix: row.packets, "path=/traced": row.packets,
					"path=/untraced": false, "request head": row.packets && where == "relay", "geheim": false,
				} {
					if strings.Contains(log, text) != want {
						t.Errorf("%s: %q is there: %v\n%s", where, text, !want, log)
					}
				}
			}
		})
	}
}

// TestEnablerVerbosity: what each verbosity adds to the log of an enabler.
func TestEnablerVerbosity(t *testing.T) {
	r := startRelay(t, nil)
	backend := startBackend(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	for v, want := range []struct{ requests, packets, bytes bool }{{}, {}, {true, false, false}, {true, true, false}, {true, true, false}, {true, true, true}} {
		e := startEnablerWith(t, r, "s1", backend, func(c *config.Enabler) { c.Verbosity = v })
		if status, _ := r.get("/path?secret"); status != http.StatusOK {
			t.Fatalf("a request: %d", status)
		}
		e.stop(t)
		text := e.log.text()
		for part, there := range map[string]bool{"msg=request": want.requests, "path=/path": want.requests, "op=response": want.packets,
			"hex=68656c6c6f": want.bytes, "secret": false} {
			if strings.Contains(text, part) != there {
				t.Errorf("verbosity %d: %q is there: %v\n%s", v, part, !there, text)
			}
		}
	}
}

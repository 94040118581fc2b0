package config

import (
	"strings"
	"testing"
)

// TestAdminChecks: who may give orders from everywhere needs a token that nobody guesses.
func TestAdminChecks(t *testing.T) {
	for text, want := range map[string]string{
		"[admin]\ntoken = \"t\"":                                "",
		"[admin]\ntoken = \"with blank\"":                       "admin.token",
		"[admin]\ntoken = \"***\"":                              "admin.token",
		"[admin]\npublic = true":                                "admin.public",
		"[admin]\npublic = true\ntoken = \"fifteen-bytes..\"":   "admin.public",
		"[admin]\npublic = true\ntoken = \"sixteen-bytes...\"":  "",
		"[relay.status]\nwebhook = \"ftp://a.example\"":         "relay.status.webhook",
		"[relay.status]\nwebhook = \"http://\"":                 "relay.status.webhook",
		"[relay.status]\nwebhook = \"https://a.example/x?y=z\"": "",
		"[log]\npassport_max_verbosity = 6":                     "log.passport_max_verbosity",
	} {
		_, _, err := Load(Sources{TOML: "f", ReadFile: files(map[string]string{"f": "[relay]\nlisten=[\":0\"]\n" + text})})
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want a mistake of %s", text, err, want)
		}
	}
}

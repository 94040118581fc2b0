package config

import (
	"crypto/sha256"
	"slices"
	"strings"
)

// autoRule lets enablers of some farms in that are not configured.
type autoRule struct {
	glob   string // of the ids of farms: * is any text, ? one character
	secret string // plain or as sha256:HEX
}

const (
	autoToken   = "token:" // what follows is the secret for every farm
	mostAutoLen = 16 << 10 // bytes of relay.trust.auto_config
)

// AutoKeys returns the SHA-256 digests of the secrets with which an enabler of a farm that is not configured is let in, as
// Backend.TokenKeys does. None: no enabler is.
func (t RelayTrust) AutoKeys(farm string) [][sha256.Size]byte { return t.AutoMatcher()(farm) }

// AutoMatcher is AutoKeys for many farms.
func (t RelayTrust) AutoMatcher() func(farm string) [][sha256.Size]byte {
	rules, want := parseAutoConfig(t.AutoConfig)
	if want != "" {
		rules = nil // Validate refuses it
	}
	return func(farm string) (keys [][sha256.Size]byte) {
		for _, r := range rules {
			if key, ok := tokenKey(r.secret); ok && matchGlob(r.glob, farm) {
				keys = append(keys, key)
			}
		}
		return keys
	}
}

// Secrets are what the enablers know that come with this configuration: the token of each back-end server, and those of auto_config. Relay
// servers that are configured alike have the same.
func (r *Relay) Secrets() (all []string) {
	for i := range r.Backends {
		all = append(all, r.Backends[i].Token)
	}
	rules, _ := parseAutoConfig(r.Trust.AutoConfig) // Validate refuses a wrong one
	for _, rule := range rules {
		all = append(all, rule.secret)
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

// parseAutoConfig reads a relay.trust.auto_config. want is "" or what would be right.
func parseAutoConfig(s string) (rules []autoRule, want string) {
	const form = "off, token:SECRET, or GLOB=SECRET with ; between several; a secret is printable ASCII, or sha256: and 64 hexadecimal digits"
	s = strings.Trim(s, " \t")
	if s == "" || strings.EqualFold(s, "off") || strings.EqualFold(s, "no") {
		return nil, ""
	}
	if len(s) > mostAutoLen || s == mask {
		return nil, form
	}
	if secret, ok := strings.CutPrefix(s, autoToken); ok {
		rules = []autoRule{{"*", secret}}
	} else {
		for pair := range strings.SplitSeq(strings.TrimRight(s, "; \t"), ";") {
			glob, secret, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			rules = append(rules, autoRule{strings.TrimRight(glob, " \t"), strings.TrimLeft(secret, " \t")})
		}
	}
	for _, r := range rules {
		if r.glob == "" || !isPrintable(r.glob) || r.secret == "" || strings.HasPrefix(r.secret, tokenHash) || judgeToken(r.secret) != "" {
			return nil, form
		}
	}
	return rules, ""
}

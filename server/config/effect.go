package config

import (
	"reflect"
	"strings"
)

// Effect says what becomes of a new value of a key.
type Effect string

// Effects.
const (
	EffectNow   Effect = "now"   // it holds at once, for those that are connected, too
	EffectStart Effect = "start" // it holds from the next start on
	EffectLater Effect = "later" // it is accepted and has no effect yet
	EffectNone  Effect = "none"  // it is accepted and will never have one
)

// effects has the keys that do not take effect at once, or the tables of such.
var effects = map[string]Effect{
	"loops": EffectStart, "limits.max_connections": EffectStart, "admin.listen": EffectStart,
	"log.format": EffectStart, "log.file": EffectStart, "log.max_size": EffectStart, "log.records": EffectStart,
	"relay.listen": EffectStart, "relay.tls.listen": EffectStart, "relay.access_log": EffectStart, "relay.heartbeat": EffectStart,
	"engine.listen": EffectStart, "engine.listen_utf8": EffectStart, "engine.listen_tls": EffectStart, "engine.encoding": EffectStart,
	"engine.client.utf_length": EffectStart, "engine.dial_in.listen": EffectStart, "engine.dial_in.token": EffectStart,
	"engine.run": EffectStart, "engine.statistics": EffectStart,
	"router.listen": EffectStart, "router.default_protocols": EffectStart, "router.socket_dir": EffectStart, "router.unique_subject": EffectStart,
	"router.subject_cache_size": EffectStart, "router.nats.listen": EffectStart, "router.nats.project": EffectStart, "router.nats.tls_first": EffectStart,
	"router.log.in_server": EffectLater, "router.log.out_server": EffectLater, "router.server": EffectLater, "router.gmd": EffectLater,
	"router.log.trace_file": EffectNone, "router.log.trace_file_size": EffectNone, "router.log.trace_flags": EffectNone, "access.trace_file": EffectNone,
	"router.group": EffectNone, "router.other": EffectNone, "router.other.monitor_ident": EffectLater, "router.other.compression_name": EffectLater,
	"router.other.compression_args": EffectLater, "router.other.compression_stats": EffectLater,
}

// settled has the files that say whether a listener speaks TLS, which is settled when it opens: that there is one, or none, holds from the next
// start on, and another one at once.
var settled = map[string]bool{"engine.tls_cert": true, "engine.dial_in.tls_cert": true, "router.tls_cert": true, "router.nats.tls_cert": true}

// effectOf returns when a key takes effect.
func effectOf(path string) Effect {
	for end := len(path); end > 0; end = strings.LastIndexByte(path[:end], '.') {
		if effect, ok := effects[path[:end]]; ok {
			return effect
		}
	}
	return EffectNow
}

// idleText is what to say about a key that is set and has no effect, or "".
func idleText(path string) string {
	switch effectOf(path) {
	case EffectLater:
		return "has no effect yet"
	case EffectNone:
		return "has no effect"
	}
	return ""
}

// NeedStart returns the keys that differ between the configuration that a server was started with and another one, and hold from the next
// start on.
func NeedStart(start, now *Config) []string {
	return appendNeedStart(nil, "", reflect.ValueOf(start).Elem(), reflect.ValueOf(now).Elem())
}

func appendNeedStart(keys []string, prefix string, start, now reflect.Value) []string {
	for f := range fieldsOf(start) {
		other, path := now.Field(f.index), prefix+f.name
		switch {
		case effects[path] == EffectStart:
			if !sameValue(f.value, other) {
				keys = append(keys, path)
			}
		case settled[path]:
			if f.value.IsZero() != other.IsZero() {
				keys = append(keys, path)
			}
		case f.value.Kind() == reflect.Struct:
			keys = appendNeedStart(keys, path+".", f.value, other)
		}
	}
	return keys
}

// sameValue compares values of a key; no list is as good as an empty one.
func sameValue(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

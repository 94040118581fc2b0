package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// adminPrefixes are the paths of the administrator's status page, below which his orders are: those of the original on Apache and IIS.
var adminPrefixes = []string{
	"/admin/iarelayserver",
	"/ias_relay_server/admin/rs_admin.dll",
	"/rs16/admin/rs_admin.dll",
	"/rs16.5/admin/rs.dll",
	"/rs17/admin/rs.dll",
}

// monitorPrefixes are those of the numbers for a monitor.
var monitorPrefixes = []string{
	"/mon/iarelayserver",
	"/ias_relay_server/monitor/rs_monitor.dll",
	"/rs16/monitor/rs_monitor.dll",
	"/rs16.5/monitor/rs.dll",
	"/rs17/monitor/rs.dll",
}

// aliases returns all paths of a page.
func aliases(path string) []string {
	for _, all := range [][]string{adminPrefixes, monitorPrefixes} {
		if path == all[0] {
			return all
		}
	}
	return []string{path}
}

// IsRemote tells whether a path is one of those that other listeners may serve: see Remote.
func IsRemote(path string) bool {
	below := func(prefix string) bool {
		rest, ok := strings.CutPrefix(path, prefix)
		return ok && (rest == "" || rest[0] == '/')
	}
	return slices.ContainsFunc(adminPrefixes, below) || slices.ContainsFunc(monitorPrefixes, below)
}

// SetToken changes what is asked for; empty: nothing. Any goroutine may call it.
func (s *Server) SetToken(token string) {
	if token == "" {
		s.token.Store(nil)
		return
	}
	sum := sha256.Sum256([]byte(token))
	s.token.Store(&sum)
}

// Authorized tells whether a field Authorization has the token, as a bearer's or as the password of any user. While there is none, anything
// is right. Any goroutine may call it; it does not block.
func (s *Server) Authorized(field string) bool {
	want := s.token.Load()
	if want == nil {
		return true
	}
	given, ok := strings.CutPrefix(field, "Bearer ")
	if !ok {
		_, given, ok = (&http.Request{Header: http.Header{"Authorization": {field}}}).BasicAuth()
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(given)))
	return ok && subtle.ConstantTimeCompare(sum[:], want[:]) == 1
}

// guarded asks for the token, if there is one, before everything but health: who asks for that has no secrets.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || s.Authorized(r.Header.Get("Authorization")) {
			next.ServeHTTP(w, r)
			return
		}
		unauthorized(w)
	})
}

func unauthorized(w http.ResponseWriter) {
	plainText(w)
	w.Header().Set("WWW-Authenticate", `Basic realm="roundhouse", charset="UTF-8"`)
	w.WriteHeader(http.StatusUnauthorized)
	fmt.Fprintln(w, "a token is asked for: Authorization: Bearer TOKEN")
}

// remotely marks the context of a request that did not come to the admin listener.
type remotely struct{}

// Remote returns what other listeners may show of the server: the administrator's status page, his orders, and the numbers for a monitor. It
// answers nobody without the token, and nobody at all while there is none. Any goroutine may call it.
func (s *Server) Remote() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !IsRemote(r.URL.Path):
			http.NotFound(w, r)
		case s.token.Load() == nil || !s.Authorized(r.Header.Get("Authorization")):
			unauthorized(w)
		default:
			s.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), remotely{}, true)))
		}
	})
}

package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"roundhouse/server/certs"
	"roundhouse/server/config"
	"roundhouse/server/relay"
)

// Look looks at the files that a configuration names and a server reads or writes: what it finds would end the start of one. It is for
// config.Sources.Look.
func Look(cfg *config.Config, found config.Findings) {
	l := looker{found}
	r, e, router := &cfg.Relay, &cfg.Engine, &cfg.Router
	if t := &r.TLS; len(t.Listen) > 0 {
		l.certs("relay.tls.", [3]string{"cert", "key", "client_ca"}, certs.Files{Cert: t.Cert, Key: t.Key, ClientCA: t.ClientCA})
	}
	for i := range r.Farms {
		if f := &r.Farms[i]; f.ErrorPages != "" {
			err := relay.CheckErrorPages(f.ErrorPages)
			if at := (*fs.PathError)(nil); errors.As(err, &at) && at.Path == f.ErrorPages {
				err = at.Err // the value is shown
			}
			if err != nil {
				found.Fail(fmt.Sprintf("relay.farm[%d].error_pages", i), f.ErrorPages, err)
			}
		}
	}
	names := [3]string{"tls_cert", "tls_key", "tls_client_ca"}
	if e.Opens() {
		l.certs("engine.", names, certs.Files{Cert: e.TLSCert, Key: e.TLSKey, ClientCA: e.TLSClientCA})
		l.certs("engine.dial_in.", [3]string{"tls_cert", "tls_key", "tls_ca"}, certs.Files{Cert: e.DialIn.TLSCert, Key: e.DialIn.TLSKey, ClientCA: e.DialIn.TLSCA})
	}
	if router.Opens() {
		l.certs("router.", names, certs.Files{Cert: router.TLSCert, Key: router.TLSKey, ClientCA: router.TLSClientCA})
		l.certs("router.nats.", names, certs.Files{Cert: router.NATS.TLSCert, Key: router.NATS.TLSKey, ClientCA: router.NATS.TLSClientCA})
	}
	l.written("log.file", cfg.Log.File)
	if r.AccessLog != "-" && r.AccessLog != "log" {
		l.written("relay.access_log", r.AccessLog)
	}
}

// looker puts what it finds among the problems of a configuration.
type looker struct{ found config.Findings }

// certs looks at the files of a listener, whose keys are prefix and names. Those that are not named have been reported, or are not needed.
func (l looker) certs(prefix string, names [3]string, f certs.Files) {
	if f.Cert == "" || f.Key == "" {
		return
	}
	faults, ends := f.Check()
	for i, one := range []struct {
		file string
		err  error
	}{{f.Cert, faults.Cert}, {f.Key, faults.Key}, {f.ClientCA, faults.ClientCA}} {
		if one.err != nil {
			l.found.Fail(prefix+names[i], one.file, one.err)
		}
	}
	if !ends.IsZero() && time.Now().After(ends) {
		l.found.Warn(prefix+names[0], fmt.Sprintf("the certificate has ended at %s: nobody will take it", ends.UTC().Format(time.RFC3339)))
	}
}

// written looks at a file that is going to be written; none when path is empty.
func (l looker) written(key, path string) {
	if path == "" {
		return
	}
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	switch at := (*fs.PathError)(nil); {
	case errors.As(err, &at):
		l.found.Fail(key, path, fmt.Errorf("a file in a directory that there is: %s: %w", dir, at.Err))
	case err == nil && !info.IsDir():
		l.found.Fail(key, path, fmt.Errorf("a file in a directory: %s is none", dir))
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		l.found.Fail(key, path, errors.New("a file, not a directory"))
	}
}

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"roundhouse/server"
	"roundhouse/server/config"
)

var (
	errManyFiles = errors.New("not possible: the configuration does not come from one file alone")
	errNoLogFile = errors.New("the log does not go to a file")
)

// tail is the end of the log file.
func (r *reloader) tail(lines int) (string, error) {
	if r.file == nil {
		return "", errNoLogFile
	}
	b, err := r.file.Tail(lines)
	return string(b), err
}

// onlyFile is the file that the configuration comes from, besides environment and command line.
func onlyFile(s *config.Sources) (string, error) {
	var only string
	for _, path := range []string{s.TOML, s.RSConfig, s.EServer, s.RTServer} {
		switch {
		case path == "":
		case only != "":
			return "", errManyFiles
		default:
			only = path
		}
	}
	if only == "" || s.RTServer != "" { // which is read along with others
		return "", errManyFiles
	}
	return only, nil
}

// configure checks a text that is to take the place of the file of the configuration. Unless it is a dry run, it is put in force, and then
// written to the file. Nothing but the whole file, old or new, can ever be seen there.
func (r *reloader) configure(s *server.Server, text []byte, dryRun bool) (done server.Reloaded, warnings []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	path, err := onlyFile(&r.sources)
	if err != nil {
		return done, nil, err
	}
	sources := r.sources
	sources.ReadFile = func(name string) ([]byte, error) {
		if name == path {
			return text, nil
		}
		return readPlain(name)
	}
	cfg, err := load(sources, func(w config.Warning) { warnings = append(warnings, w.String()) })
	if ended := (*exitError)(nil); errors.As(err, &ended) {
		err = ended.err
	}
	if err != nil || dryRun {
		return done, warnings, err
	}
	fresh, err := writeBeside(path, text)
	if err != nil {
		return done, warnings, err
	}
	if done, err = s.Reload(cfg); err == nil {
		config.SetLevel(r.log, cfg.Log.MinLevel())
		if err = fresh.replace(); err != nil {
			err = fmt.Errorf("in force as generation %d, but the file stays as it is: %w", done.Generation, err)
		}
	}
	if err != nil {
		fresh.remove()
	}
	return done, warnings, err
}

// replacement is a file that is to take the place of another.
type replacement struct{ path, target string }

// writeBeside writes what is to become the content of a file into its directory, with its permissions.
func writeBeside(path string, text []byte) (f replacement, err error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return f, err
	}
	info, err := os.Stat(target)
	if err != nil {
		return f, err
	}
	out, err := os.CreateTemp(filepath.Dir(target), ".roundhouse-*")
	if err != nil {
		return f, err
	}
	f = replacement{out.Name(), target}
	_, err = out.Write(text)
	if err = errors.Join(err, out.Chmod(info.Mode().Perm()), out.Sync(), out.Close()); err != nil {
		f.remove()
	}
	return f, err
}

func (f replacement) replace() error { return os.Rename(f.path, f.target) }

func (f replacement) remove() { _ = os.Remove(f.path) } // it may be gone

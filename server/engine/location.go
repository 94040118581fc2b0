package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// locations are the directories that an engine may be started in.
type locations struct {
	any     bool
	allowed []string // as configured; resolved anew each time, since links may be changed
}

var errLocation = errors.New("not one of the allowed locations")

// resolve returns the directory that a login asks for, without links in it, if that is one of the allowed ones. What is compared is
// where a path leads to, byte by byte: neither "..", nor a link, nor another case gets further.
func (l *locations) resolve(dir string) (string, error) {
	if !filepath.IsAbs(dir) {
		return "", fmt.Errorf("not an absolute path: %w", errLocation)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", errLocation // whether it exists is nobody's business
	}
	if info, err := os.Stat(real); err != nil || !info.IsDir() {
		return "", errLocation
	}
	if l.any {
		return real, nil
	}
	for _, a := range l.allowed {
		if allowed, err := filepath.EvalSymlinks(a); err == nil && allowed == real {
			return real, nil
		}
	}
	return "", errLocation
}

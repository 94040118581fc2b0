package router

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"unicode/utf8"

	"roundhouse/server/config"
)

const (
	maxSources    = 10      // files that name files, in each other
	maxSourced    = 100     // files of one control message
	maxSourceText = 1 << 20 // bytes of a file; source: the most that are parsed
)

// source runs the commands of a file, each of which has to be enabled. A path is relative to the file that names it; in a control message, to
// the directory that the server was started in.
func (r *run) source(c config.Command) (string, error) {
	if len(c.Args()) != 1 {
		return "", errors.New("the name of one file is needed")
	}
	path := c.Args()[0]
	if n := len(r.files); n > 0 && !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(r.files[n-1]), path)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	r.read++
	switch {
	case slices.Contains(r.files, path):
		return "", fmt.Errorf("%s: that file names this one", path)
	case len(r.files) == maxSources:
		return "", fmt.Errorf("%s: at most %d files deep", path, maxSources)
	case r.read > maxSourced:
		return "", fmt.Errorf("%s: at most %d files in all", path, maxSourced)
	}
	text, err := readCommands(path)
	if err != nil {
		return "", err
	}
	r.files = append(r.files, path)
	out := r.obey(text)
	r.files = r.files[:len(r.files)-1]
	return out, nil
}

// readCommands returns the text of a file, which is UTF-8 or else ISO 8859-1. It does not wait for what is not a file.
func readCommands(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close() // it was only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s: it is not a file", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSourceText+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > maxSourceText:
		return "", fmt.Errorf("%s: more than %d bytes", path, maxSourceText)
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if utf8.Valid(text) {
		return string(text), nil
	}
	wide := make([]rune, len(text))
	for i, b := range text {
		wide[i] = rune(b)
	}
	return string(wide), nil
}

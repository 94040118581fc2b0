package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// MaxFile is how long a file of a configuration may be, in bytes.
const MaxFile = 16 << 20

// ErrTooLong is what reading a longer file ends with.
var ErrTooLong = errors.New("longer than 16 MiB")

// readFile reads a file that may also be a pipe, for as long as it may be.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err == nil && len(text) > MaxFile {
		err = ErrTooLong
	}
	return text, err
}

// noteSecret remembers where a file has its first secret. What is hashed is none, unless the hash is as good as the secret itself.
func (l *loader) noteSecret(path, text string, at where) {
	if text == "" || strings.EqualFold(text, "off") || at.line == 0 || l.outside[path] || isHashed(text) || strings.HasPrefix(text, tokenHash) {
		return
	}
	if first, ok := l.secrets[at.file]; !ok || at.line < first.line {
		l.secrets[at.file] = at
	}
}

// checkReadable reports the files with secrets that everybody on this machine may read.
func (l *loader) checkReadable() {
	for _, file := range slices.Sorted(maps.Keys(l.secrets)) {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm()&0o004 == 0 {
			continue // it has been read, so that it is there, or was
		}
		text := fmt.Sprintf("a secret in a file that everybody on this machine may read (%04o): chmod o= %s", info.Mode().Perm(), file)
		if l.Strict {
			l.fail(l.secrets[file], "%s", text)
		} else {
			l.warn(l.secrets[file], "%s", text)
		}
	}
}

package subject

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of a canonical name. The names that FromNATS makes may be longer.
const (
	MaxName       = 1023 // bytes, the leading slash included
	MaxComponent  = 255  // bytes
	MaxComponents = 64
)

// dots is the component that stands for any number of components.
const dots = "..."

// ErrName is in every error of Canonical.
var ErrName = errors.New("subject: bad name")

var (
	errEmptyName      = fmt.Errorf("%w: it is empty", ErrName)
	errEmptyComponent = fmt.Errorf("%w: a component is empty", ErrName)
	errLongName       = fmt.Errorf("%w: longer than %d bytes", ErrName, MaxName)
	errLongComponent  = fmt.Errorf("%w: a component is longer than %d bytes", ErrName, MaxComponent)
	errDeepName       = fmt.Errorf("%w: more than %d components", ErrName, MaxComponents)
	errControl        = fmt.Errorf("%w: a control character", ErrName)
	errUTF8           = fmt.Errorf("%w: not UTF-8", ErrName)
)

// Canonical appends the canonical form of name to dst: a leading slash, none at the end. A name that does not begin with a
// slash is put below prefix, which is "/" when empty; a slash is added between the two, and before the prefix, when missing.
//
// The result does not alias name. Errors: ErrName, wrapped with the reason; dst is returned unchanged then.
func Canonical(dst []byte, prefix string, name []byte) ([]byte, error) {
	if len(name) == 0 {
		return dst, errEmptyName
	}
	if len(name)+len(prefix) > 2*MaxName { // before anything is copied
		return dst, errLongName
	}
	start := len(dst)
	out := dst
	if name[0] != '/' {
		if prefix != "" && prefix[0] != '/' {
			out = append(out, '/')
		}
		out = append(out, prefix...)
		if len(out) == start || out[len(out)-1] != '/' {
			out = append(out, '/')
		}
	}
	out = append(out, name...)
	if out[len(out)-1] == '/' {
		out = out[:len(out)-1]
	}
	if err := check(out[start:]); err != nil {
		return dst, err
	}
	return out, nil
}

// IsCanonical tells whether name is already what Canonical would make of it.
func IsCanonical(name []byte) bool {
	return len(name) != 0 && name[0] == '/' && check(name) == nil
}

// check finds what is wrong with name, which begins with a slash or is empty.
func check(name []byte) error {
	switch {
	case len(name) == 0:
		return errEmptyName
	case len(name) > MaxName:
		return errLongName
	}
	slash, components, high := 0, 1, false
	for i := 1; i < len(name); i++ {
		switch c := name[i]; {
		case c == '/':
			if err := checkComponent(i - slash - 1); err != nil {
				return err
			}
			slash = i
			components++
		case c < ' ' || c == 0x7f:
			return errControl
		case c >= utf8.RuneSelf:
			high = true
		}
	}
	if err := checkComponent(len(name) - slash - 1); err != nil {
		return err
	}
	if components > MaxComponents {
		return errDeepName
	}
	if high && !utf8.Valid(name) {
		return errUTF8
	}
	return nil
}

func checkComponent(size int) error {
	switch {
	case size == 0:
		return errEmptyComponent
	case size > MaxComponent:
		return errLongComponent
	}
	return nil
}

// IsWild tells whether a canonical name has a wildcard: a `*`, or a component `...`.
func IsWild(name string) bool {
	return strings.IndexByte(name, '*') >= 0 || hasDots(name)
}

// hasDots tells whether a component of name is `...`.
func hasDots(name string) bool {
	for {
		i := strings.Index(name, "/"+dots)
		if i < 0 {
			return false
		}
		name = name[i+1+len(dots):]
		if name == "" || name[0] == '/' {
			return true
		}
	}
}

package subject

import "strings"

// Matches tells whether pattern matches name; both are canonical. When name is a pattern itself it tells whether some name is
// matched by both. It compares each component of one with each of the other at most once, whatever the wildcards.
func Matches(pattern, name string) bool {
	switch {
	case !hasDots(name):
		return matchFixed(pattern, name)
	case !hasDots(pattern):
		return matchFixed(name, pattern)
	default:
		return headsMeet(pattern, name) && tailsMeet(pattern, name)
	}
}

// component returns the component of name whose slash is at i, and where it ends: at the next slash, or the end of name.
func component(name string, i int) (c string, end int) {
	rest := name[i+1:]
	if n := strings.IndexByte(rest, '/'); n >= 0 {
		return rest[:n], i + 1 + n
	}
	return rest, len(name)
}

// matchFixed matches pattern with name, which may have `*` but no `...`: so each component of name stands for one component.
// A mismatch needs to be mended at the last `...` only, as what an earlier one takes is as short as can be.
func matchFixed(pattern, name string) bool {
	i, j := 0, 0
	again, from := -1, 0 // behind the last `...` of pattern, and where in name its follower was tried last
	for j < len(name) {
		if i < len(pattern) {
			p, end := component(pattern, i)
			if p == dots {
				i, again, from = end, end, j
				continue
			}
			if n, next := component(name, j); componentsMeet(p, n) {
				i, j = end, next
				continue
			}
		}
		if again < 0 {
			return false
		}
		_, from = component(name, from)
		i, j = again, from
	}
	for i < len(pattern) {
		p, end := component(pattern, i)
		if p != dots {
			return false
		}
		i = end
	}
	return true
}

// headsMeet tells whether the components of a and b before the first `...` of either can be the same. Both have one.
func headsMeet(a, b string) bool {
	for i, j := 0, 0; ; {
		p, pEnd := component(a, i)
		n, nEnd := component(b, j)
		if p == dots || n == dots {
			return true // the `...` takes whatever the other has before its own
		}
		if !componentsMeet(p, n) {
			return false
		}
		i, j = pEnd, nEnd
	}
}

// tailsMeet tells whether the components of a and b behind the last `...` of either can be the same. Both have one.
func tailsMeet(a, b string) bool {
	for {
		i, j := strings.LastIndexByte(a, '/'), strings.LastIndexByte(b, '/')
		p, n := a[i+1:], b[j+1:]
		if p == dots || n == dots {
			return true
		}
		if !componentsMeet(p, n) {
			return false
		}
		a, b = a[:i], b[:j]
	}
}

// componentsMeet tells whether there is a component that both a and b match; neither is `...`.
func componentsMeet(a, b string) bool {
	if a == b || a == "*" || b == "*" {
		return true
	}
	i, j := strings.IndexByte(a, '*'), strings.IndexByte(b, '*')
	switch {
	case i < 0 && j < 0:
		return false
	case j < 0:
		return glob(a, b)
	case i < 0:
		return glob(b, a)
	}
	// Both have a `*`: all that stands between the first and the last can be put one behind the other.
	n := min(i, j)
	if a[:n] != b[:n] {
		return false
	}
	n = min(len(a)-1-strings.LastIndexByte(a, '*'), len(b)-1-strings.LastIndexByte(b, '*'))
	return a[len(a)-n:] == b[len(b)-n:]
}

// glob matches one component without wildcards: each `*` of pattern stands for zero or more bytes. What stands between two of them is
// taken where it comes first, so text is gone through once.
func glob(pattern, text string) bool {
	i := strings.IndexByte(pattern, '*')
	if i < 0 {
		return pattern == text
	}
	if !strings.HasPrefix(text, pattern[:i]) {
		return false
	}
	for {
		text, pattern = text[i:], pattern[i+1:]
		if i = strings.IndexByte(pattern, '*'); i < 0 {
			return strings.HasSuffix(text, pattern)
		}
		at := strings.Index(text, pattern[:i])
		if at < 0 {
			return false
		}
		text = text[at:]
	}
}

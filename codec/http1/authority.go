package http1

import "bytes"

// validAuthority reports whether b is host [ ":" port ] (RFC 9110, 7.2), with a host that has one reading only: a
// registered name, an IPv4 address or a bracketed IPv6 address. User information, blanks, commas, percent signs, zones
// and empty ports are none of it.
func validAuthority(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	if b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		return end > 0 && validIPv6(b[1:end]) && validPort(b[end+1:])
	}
	for i, c := range b {
		if !hostByte[c] {
			return c == ':' && i > 0 && validPort(b[i:])
		}
	}
	return true
}

// validPort reports whether b is empty or a colon and a port.
func validPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != ':' || len(b) < 2 || len(b) > 6 {
		return false
	}
	port := 0
	for _, c := range b[1:] {
		if c < '0' || c > '9' {
			return false
		}
		port = 10*port + int(c-'0')
	}
	return port <= 65535
}

// validIPv6 is RFC 4291, 2.2: eight groups, or fewer around one "::"; the last two may be an IPv4 address.
func validIPv6(b []byte) bool {
	groups, gap := 0, false
	if bytes.HasPrefix(b, []byte("::")) {
		gap, b = true, b[2:]
	}
	for len(b) > 0 {
		colon := bytes.IndexByte(b, ':')
		group := b
		if colon >= 0 {
			group = b[:colon]
		}
		if colon < 0 && validIPv4(group) {
			groups += 2
			break
		}
		if !validGroup(group) {
			return false
		}
		groups++
		if colon < 0 {
			break
		}
		b = b[colon+1:]
		switch {
		case len(b) == 0:
			return false // a single colon at the end
		case b[0] == ':' && gap:
			return false // a second gap
		case b[0] == ':':
			gap, b = true, b[1:]
		}
	}
	if gap {
		return groups < 8
	}
	return groups == 8
}

// validGroup reports whether b is 1 to 4 hexadecimal digits.
func validGroup(b []byte) bool {
	for _, c := range b {
		if hexValue[c] == 0xFF {
			return false
		}
	}
	return len(b) >= 1 && len(b) <= 4
}

// validIPv4 reports whether b is four numbers up to 255 without leading zeros.
func validIPv4(b []byte) bool {
	for part := range 4 {
		value, digits := 0, 0
		for digits < len(b) && digits < 4 && b[digits] >= '0' && b[digits] <= '9' {
			value = 10*value + int(b[digits]-'0')
			digits++
		}
		if digits == 0 || value > 255 || digits > 1 && b[0] == '0' {
			return false
		}
		b = b[digits:]
		if part == 3 {
			return len(b) == 0
		}
		if len(b) == 0 || b[0] != '.' {
			return false
		}
		b = b[1:]
	}
	return false
}

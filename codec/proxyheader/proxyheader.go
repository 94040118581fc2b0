// Package proxyheader reads and writes the PROXY header, with which a load balancer begins a connection that it passes on: it names
// the client, whose address would be lost otherwise.
//
// Version 1 is a line:
//
//	PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 CR LF     source, destination, their ports; TCP6 with IPv6 addresses
//	PROXY UNKNOWN ... CR LF                               the rest says nothing
//
// Version 2 is binary:
//
//	12  0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A
//	1   version 2 in the upper half; in the lower 0: LOCAL, the proxy speaks for itself, or 1: PROXY
//	1   family in the upper half, transport in the lower: 00 unspecified, 11 TCP over IPv4, 21 TCP over IPv6, 31 a Unix socket
//	2   how many bytes follow, big endian
//	    source and destination address, their ports (4+4+2+2, 16+16+2+2 or 108+108 bytes), then TLVs: type 1, length 2, value
//
// A header that names no address of the Internet (LOCAL, UNKNOWN, unspecified, a Unix socket) is right, and says nothing. TLVs are
// skipped, but must fill the rest. Source: "The PROXY protocol", versions 1 and 2, by Willy Tarreau of HAProxy.
package proxyheader

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"roundhouse/codec"
)

// Limits of the two versions, in bytes.
const (
	MaxV1 = 107      // the longest line that the protocol has, with CR LF
	MaxV2 = 16 + 536 // the fixed part, and as much as is sure to come in one segment
)

// Header is what a proxy says of a connection.
type Header struct {
	// Source is the client's address, Destination that which it connected to. Invalid, both: the header says nothing, and the addresses
	// of the connection hold.
	Source, Destination netip.AddrPort
}

const (
	signature1 = "PROXY "
	signature2 = "\r\n\r\n\x00\r\nQUIT\n"
	fixed2     = len(signature2) + 4

	version2     = 0x20
	commandLocal = 0x0
	commandProxy = 0x1

	unspecified = 0x00
	tcp4        = 0x11
	tcp6        = 0x21
	unixStream  = 0x31
)

// addressBytes is how many bytes the addresses of each family take.
func addressBytes(family byte) (n int, ok bool) {
	switch family {
	case unspecified:
		return 0, true
	case tcp4:
		return 4 + 4 + 2 + 2, true
	case tcp6:
		return 16 + 16 + 2 + 2, true
	case unixStream:
		return 108 + 108, true
	}
	return 0, false
}

// Parse reads the header at the front of b, of either version. n == 0 with a nil error means that more is needed: all of b belongs to
// the header then.
//
// Errors: codec.ErrMalformed, and codec.ErrTooLarge for a header that is longer than its version's limit. After either, close: who
// begins with something else is no proxy.
func Parse(b []byte) (h Header, n int, err error) {
	switch {
	case begins(b, signature1):
		return parseLine(b)
	case begins(b, signature2):
		return parseBinary(b)
	}
	return h, 0, fmt.Errorf("proxyheader: no PROXY header: %w", codec.ErrMalformed)
}

// begins tells whether b is the beginning of s, or s that of b.
func begins(b []byte, s string) bool {
	n := min(len(b), len(s))
	return string(b[:n]) == s[:n]
}

func parseLine(b []byte) (h Header, n int, err error) {
	window := b[:min(len(b), MaxV1)]
	end := bytes.IndexByte(window, '\n')
	switch {
	case end < 0 && len(b) >= MaxV1:
		return h, 0, fmt.Errorf("proxyheader: a line of more than %d bytes: %w", MaxV1, codec.ErrTooLarge)
	case end < 0:
		return h, 0, nil
	case window[end-1] != '\r': // the signature is before it
		return h, 0, errLine
	}
	// Family, source, destination, source port, destination port.
	words := strings.Split(string(window[len(signature1):end-1]), " ")
	if words[0] == "UNKNOWN" {
		return h, end + 1, nil // "the receiver must ignore anything presented before the CRLF"
	}
	if len(words) != 5 || words[0] != "TCP4" && words[0] != "TCP6" {
		return h, 0, errLine
	}
	source, right := parseAddress(words[1], words[3], words[0] == "TCP4")
	destination, also := parseAddress(words[2], words[4], words[0] == "TCP4")
	if !right || !also {
		return h, 0, errLine
	}
	return Header{source, destination}, end + 1, nil
}

var errLine = fmt.Errorf("proxyheader: a line that is wrong: %w", codec.ErrMalformed)

// parseAddress takes an address in its usual form, and a port without sign and leading zeros.
func parseAddress(address, port string, four bool) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Is4() != four || a.Zone() != "" {
		return netip.AddrPort{}, false
	}
	if len(port) == 0 || len(port) > 5 || len(port) > 1 && port[0] == '0' {
		return netip.AddrPort{}, false
	}
	n := 0
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' {
			return netip.AddrPort{}, false
		}
		n = 10*n + int(port[i]-'0') // at most 99999
	}
	if n > 0xFFFF {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), true
}

// parseBinary looks at each byte of the fixed part as soon as it is there: who is no proxy is not waited for.
func parseBinary(b []byte) (h Header, n int, err error) {
	local := false
	if len(b) > 12 {
		if b[12] != version2|commandLocal && b[12] != version2|commandProxy {
			return h, 0, fmt.Errorf("proxyheader: version and command %#02x: %w", b[12], codec.ErrMalformed)
		}
		local = b[12] == version2|commandLocal
	}
	addresses := 0
	if len(b) > 13 && !local { // of LOCAL, "the receiver must discard the protocol block including the family"
		var ok bool
		if addresses, ok = addressBytes(b[13]); !ok {
			return h, 0, fmt.Errorf("proxyheader: family and transport %#02x: %w", b[13], codec.ErrMalformed)
		}
	}
	if len(b) < fixed2 {
		return h, 0, nil
	}
	size := int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case fixed2+size > MaxV2:
		return h, 0, fmt.Errorf("proxyheader: %d bytes, at most %d: %w", fixed2+size, MaxV2, codec.ErrTooLarge)
	case size < addresses:
		return h, 0, fmt.Errorf("proxyheader: %d bytes for addresses of %d: %w", size, addresses, codec.ErrMalformed)
	case len(b) < fixed2+size:
		return h, 0, nil
	}
	body := b[fixed2 : fixed2+size]
	if local {
		return h, fixed2 + size, nil
	}
	if !rightTLVs(body[addresses:]) {
		return h, 0, fmt.Errorf("proxyheader: TLVs that do not fill their place: %w", codec.ErrMalformed)
	}
	switch b[13] {
	case tcp4:
		h.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte(body)), binary.BigEndian.Uint16(body[8:]))
		h.Destination = netip.AddrPortFrom(netip.AddrFrom4([4]byte(body[4:])), binary.BigEndian.Uint16(body[10:]))
	case tcp6:
		h.Source = netip.AddrPortFrom(netip.AddrFrom16([16]byte(body)).Unmap(), binary.BigEndian.Uint16(body[32:]))
		h.Destination = netip.AddrPortFrom(netip.AddrFrom16([16]byte(body[16:])).Unmap(), binary.BigEndian.Uint16(body[34:]))
	}
	return h, fixed2 + size, nil
}

// rightTLVs tells whether b is TLVs and nothing else.
func rightTLVs(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 3 {
			return false
		}
		n := 3 + int(binary.BigEndian.Uint16(b[1:]))
		if len(b) < n {
			return false
		}
		b = b[n:]
	}
	return true
}

// is4 tells in which family a header is written: an IPv4 address beside one of IPv6 is mapped into the latter.
func (h *Header) is4() bool {
	return h.Source.Addr().Unmap().Is4() && h.Destination.Addr().Unmap().Is4()
}

func (h *Header) says() bool { return h.Source.IsValid() && h.Destination.IsValid() }

// AppendV1 appends the line of version 1; UNKNOWN unless both addresses are valid. Zones are left out.
func AppendV1(dst []byte, h Header) []byte {
	if !h.says() {
		return append(dst, "PROXY UNKNOWN\r\n"...)
	}
	source, destination := h.Source.Addr().Unmap(), h.Destination.Addr().Unmap()
	if h.is4() {
		dst = append(dst, "PROXY TCP4 "...)
	} else {
		dst = append(dst, "PROXY TCP6 "...)
		source, destination = netip.AddrFrom16(source.As16()), netip.AddrFrom16(destination.As16())
	}
	dst = append(source.AppendTo(dst), ' ')
	dst = append(destination.AppendTo(dst), ' ')
	dst = append(appendPort(dst, h.Source.Port()), ' ')
	return append(appendPort(dst, h.Destination.Port()), '\r', '\n')
}

func appendPort(dst []byte, port uint16) []byte {
	if port >= 10 {
		dst = appendPort(dst, port/10)
	}
	return append(dst, byte('0'+port%10))
}

// AppendV2 appends the header of version 2, without TLVs; LOCAL unless both addresses are valid. Zones are left out.
func AppendV2(dst []byte, h Header) []byte {
	dst = append(dst, signature2...)
	if !h.says() {
		return append(dst, version2|commandLocal, unspecified, 0, 0)
	}
	source, destination := h.Source.Addr(), h.Destination.Addr()
	if h.is4() {
		dst = append(dst, version2|commandProxy, tcp4, 0, 12)
		from, to := source.Unmap().As4(), destination.Unmap().As4()
		dst = append(append(dst, from[:]...), to[:]...)
	} else {
		dst = append(dst, version2|commandProxy, tcp6, 0, 36)
		from, to := source.As16(), destination.As16()
		dst = append(append(dst, from[:]...), to[:]...)
	}
	dst = binary.BigEndian.AppendUint16(dst, h.Source.Port())
	return binary.BigEndian.AppendUint16(dst, h.Destination.Port())
}

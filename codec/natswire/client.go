package natswire

import "encoding/binary"

// clientOps are what a client may send, the frequent ones first.
var clientOps = []Op{OpPub, OpSub, OpUnsub, OpHPub, OpPing, OpPong, OpConnect, OpInfo, OpOK, OpErr}

// ParseClient reads the command at the front of b, which a client has sent.
//
// n is the number of bytes consumed; n == 0 with a nil error means that b has not all of it, and c is worth nothing. An error is a
// *ProtocolError: send its text and close. It allocates nothing; the slices of c point into b.
//
// A command that breaks a limit is refused as soon as that can be seen: a large payload at the end of its line.
func ParseClient(b []byte, c *Command, lim *Limits) (n int, err error) {
	const pub = 'p' | 'u'<<8 | 'b'<<16 | ' '<<24
	if len(b) < 4 || binary.LittleEndian.Uint32(b)|0x202020 != pub {
		return parseClient(b, c, lim)
	}
	// PUB as programs write it: single blanks, CR LF. Whatever else turns up leaves it to parseClient.
	i := word(b, 4)
	if i == 4 || i == len(b) || b[i] != ' ' {
		return parseClient(b, c, lim)
	}
	subject := b[4:i]
	reply, size, i := sizeLine(b, i+1)
	if i == 0 || i-4 > lim.Line {
		return parseClient(b, c, lim)
	}
	if tooLarge(size, lim.Payload) {
		return 0, errPayload
	}
	end := i + size
	if len(b) < end+2 || b[end] != '\r' || b[end+1] != '\n' {
		_, _, err = cutPayload(b, i, size)
		return 0, err
	}
	c.Op, c.Subject, c.Reply, c.Header, c.Payload = OpPub, subject, reply, nil, b[i:end]
	return end + 2, nil
}

// parseClient is ParseClient for everything.
func parseClient(b []byte, c *Command, lim *Limits) (n int, err error) {
	op, n, err := findVerb(b, clientOps)
	if n == 0 {
		return 0, err
	}
	c.Op = op
	switch op {
	case OpPing, OpPong, OpOK:
		return skipLine(b, n, lim.Line)
	case OpConnect, OpInfo: // no blank is needed
	default:
		if n == len(b) {
			return 0, nil
		}
		if !isBlank(b[n]) {
			return 0, errUnknown
		}
	}
	arg, next, err := cutLine(b, n, lim.Line)
	if next == 0 {
		return 0, err
	}
	switch op {
	case OpPub:
		return parsePub(b, arg, next, c, lim)
	case OpHPub:
		return parseHPub(b, arg, next, c, lim)
	case OpSub:
		return parseSub(arg, next, c)
	case OpUnsub:
		return parseUnsub(arg, next, c)
	}
	c.Arg = arg
	return next, nil
}

// parsePub reads the arguments of a PUB, and the payload at b[next:].
func parsePub(b, arg []byte, next int, c *Command, lim *Limits) (n int, err error) {
	var f [maxFields][]byte
	count := split(arg, &f, false)
	if count != 2 && count != 3 {
		return 0, errParser
	}
	c.Subject, c.Reply, c.Header = f[0], nil, nil
	if count == 3 {
		c.Reply = f[1]
	}
	size := parseSize(f[count-1])
	if size < 0 {
		return 0, errParser
	}
	if tooLarge(size, lim.Payload) {
		return 0, errPayload
	}
	c.Payload, n, err = cutPayload(b, next, size)
	return n, err
}

// parseHPub reads the arguments of an HPUB, and what they announce at b[next:].
func parseHPub(b, arg []byte, next int, c *Command, lim *Limits) (n int, err error) {
	var f [maxFields][]byte
	count := split(arg, &f, false)
	if count != 3 && count != 4 {
		return 0, errParser
	}
	c.Subject, c.Reply = f[0], nil
	if count == 4 {
		c.Reply = f[1]
	}
	return parseBlock(b, next, parseSize(f[count-2]), parseSize(f[count-1]), c, lim)
}

// parseBlock cuts size bytes at b[next:], of which the first headerSize are the header block.
func parseBlock(b []byte, next, headerSize, size int, c *Command, lim *Limits) (n int, err error) {
	if headerSize < 0 || size < 0 || headerSize > size {
		return 0, errParser
	}
	if tooLarge(size, lim.Payload) {
		return 0, errPayload
	}
	block, n, err := cutPayload(b, next, size)
	if n == 0 {
		return 0, err
	}
	c.Header, c.Payload = block[:headerSize:headerSize], block[headerSize:]
	return n, nil
}

func parseSub(arg []byte, next int, c *Command) (n int, err error) {
	var f [maxFields][]byte
	switch split(arg, &f, true) {
	case 2:
		c.Subject, c.Queue, c.SID = f[0], nil, f[1]
	case 3:
		c.Subject, c.Queue, c.SID = f[0], f[1], f[2]
	default:
		return 0, errParser
	}
	return next, nil
}

func parseUnsub(arg []byte, next int, c *Command) (n int, err error) {
	var f [maxFields][]byte
	switch split(arg, &f, true) {
	case 1:
		c.SID, c.Max = f[0], 0
	case 2:
		c.SID, c.Max = f[0], max(0, parseSize(f[1])) // what is no number ends it at once, as at nats-server
	default:
		return 0, errParser
	}
	return next, nil
}

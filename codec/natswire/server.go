package natswire

import "encoding/binary"

// maxServerLine limits the lines of a server, in bytes: INFO names every server of a cluster, MSG has three names.
const maxServerLine = 1 << 20

// serverOps are what a server may send, the frequent ones first.
var serverOps = []Op{OpMsg, OpHMsg, OpPing, OpPong, OpOK, OpErr, OpInfo}

// ParseServer reads the command at the front of b, which a server has sent. Its contract is that of ParseClient; of lim, only Payload
// counts, lines are limited to 1 MiB.
func ParseServer(b []byte, c *Command, lim *Limits) (n int, err error) {
	const msg = 'm' | 's'<<8 | 'g'<<16 | ' '<<24
	if len(b) < 4 || binary.LittleEndian.Uint32(b)|0x202020 != msg {
		return parseServer(b, c, lim)
	}
	// MSG as servers write it, like PUB in ParseClient.
	i := word(b, 4)
	if i == 4 || i == len(b) || b[i] != ' ' {
		return parseServer(b, c, lim)
	}
	subject, start := b[4:i], i+1
	if i = word(b, start); i == start || i == len(b) || b[i] != ' ' {
		return parseServer(b, c, lim)
	}
	sid := b[start:i]
	reply, size, i := sizeLine(b, i+1)
	if i == 0 || i > maxServerLine {
		return parseServer(b, c, lim)
	}
	if tooLarge(size, lim.Payload) {
		return 0, errPayload
	}
	end := i + size
	if len(b) < end+2 || b[end] != '\r' || b[end+1] != '\n' {
		_, _, err = cutPayload(b, i, size)
		return 0, err
	}
	c.Op, c.Subject, c.SID, c.Reply, c.Header, c.Payload = OpMsg, subject, sid, reply, nil, b[i:end]
	return end + 2, nil
}

// parseServer is ParseServer for everything.
func parseServer(b []byte, c *Command, lim *Limits) (n int, err error) {
	op, n, err := findVerb(b, serverOps)
	if n == 0 {
		return 0, err
	}
	c.Op = op
	switch op {
	case OpPing, OpPong, OpOK:
		return skipLine(b, n, maxServerLine)
	}
	if n == len(b) {
		return 0, nil
	}
	if !isBlank(b[n]) {
		return 0, errUnknown
	}
	arg, next, err := cutLine(b, n, maxServerLine)
	if next == 0 {
		return 0, err
	}
	switch op {
	case OpMsg:
		return parseMsg(b, arg, next, c, lim)
	case OpHMsg:
		return parseHMsg(b, arg, next, c, lim)
	}
	c.Arg = arg
	return next, nil
}

// parseMsg reads the arguments of a MSG, and the payload at b[next:].
func parseMsg(b, arg []byte, next int, c *Command, lim *Limits) (n int, err error) {
	var f [maxFields][]byte
	count := split(arg, &f, true)
	if count != 3 && count != 4 {
		return 0, errParser
	}
	c.Subject, c.SID, c.Reply, c.Header = f[0], f[1], nil, nil
	if count == 4 {
		c.Reply = f[2]
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

// parseHMsg reads the arguments of an HMSG, and what they announce at b[next:].
func parseHMsg(b, arg []byte, next int, c *Command, lim *Limits) (n int, err error) {
	var f [maxFields][]byte
	count := split(arg, &f, true)
	if count != 4 && count != 5 {
		return 0, errParser
	}
	c.Subject, c.SID, c.Reply = f[0], f[1], nil
	if count == 5 {
		c.Reply = f[2]
	}
	return parseBlock(b, next, parseSize(f[count-2]), parseSize(f[count-1]), c, lim)
}

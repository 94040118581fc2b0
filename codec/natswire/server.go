package natswire

// maxServerLine limits the lines of a server, in bytes: INFO names every server of a cluster, MSG has three names.
const maxServerLine = 1 << 20

// serverOps are what a server may send, the frequent ones first.
var serverOps = []Op{OpMsg, OpHMsg, OpPing, OpPong, OpOK, OpErr, OpInfo}

// ParseServer reads the command at the front of b, which a server has sent. Its contract is that of ParseClient; of lim, only Payload
// counts, lines are limited to 1 MiB.
func ParseServer(b []byte, c *Command, lim *Limits) (n int, err error) {
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

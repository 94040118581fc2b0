package natswire

import "slices"

// What has no arguments.
const (
	Ping = "PING\r\n"
	Pong = "PONG\r\n"
	OK   = "+OK\r\n"
)

// AppendMsg appends a message for a subscriber; reply may be empty.
func AppendMsg(dst, subject, sid, reply, payload []byte) []byte {
	dst = slices.Grow(dst, len("MSG    999999999\r\n\r\n")+len(subject)+len(sid)+len(reply)+len(payload))
	dst = append(dst, "MSG "...)
	dst = append(dst, subject...)
	dst = append(dst, ' ')
	dst = append(dst, sid...)
	dst = append(dst, ' ')
	if len(reply) > 0 {
		dst = append(dst, reply...)
		dst = append(dst, ' ')
	}
	dst = AppendUint(dst, uint64(len(payload)))
	dst = append(dst, '\r', '\n')
	dst = append(dst, payload...)
	return append(dst, '\r', '\n')
}

// AppendHMsg appends a message with a header block for a subscriber; reply may be empty.
func AppendHMsg(dst, subject, sid, reply, header, payload []byte) []byte {
	dst = slices.Grow(dst, len("HMSG    999999999 999999999\r\n\r\n")+len(subject)+len(sid)+len(reply)+len(header)+len(payload))
	dst = append(dst, "HMSG "...)
	dst = append(dst, subject...)
	dst = append(dst, ' ')
	dst = append(dst, sid...)
	dst = append(dst, ' ')
	return appendBlock(dst, reply, header, payload)
}

// AppendPub appends a message of a client; reply may be empty.
func AppendPub(dst, subject, reply, payload []byte) []byte {
	dst = append(dst, "PUB "...)
	dst = append(dst, subject...)
	dst = append(dst, ' ')
	if len(reply) > 0 {
		dst = append(dst, reply...)
		dst = append(dst, ' ')
	}
	dst = AppendUint(dst, uint64(len(payload)))
	dst = append(dst, '\r', '\n')
	dst = append(dst, payload...)
	return append(dst, '\r', '\n')
}

// AppendHPub appends a message with a header block of a client; reply may be empty.
func AppendHPub(dst, subject, reply, header, payload []byte) []byte {
	dst = append(dst, "HPUB "...)
	dst = append(dst, subject...)
	dst = append(dst, ' ')
	return appendBlock(dst, reply, header, payload)
}

// appendBlock appends what is the same in HPUB and HMSG.
func appendBlock(dst, reply, header, payload []byte) []byte {
	if len(reply) > 0 {
		dst = append(dst, reply...)
		dst = append(dst, ' ')
	}
	dst = AppendUint(dst, uint64(len(header)))
	dst = append(dst, ' ')
	dst = AppendUint(dst, uint64(len(header)+len(payload)))
	dst = append(dst, '\r', '\n')
	dst = append(dst, header...)
	dst = append(dst, payload...)
	return append(dst, '\r', '\n')
}

// AppendSub appends a subscription; queue may be empty.
func AppendSub(dst, subject, queue, sid []byte) []byte {
	dst = append(dst, "SUB "...)
	dst = append(dst, subject...)
	dst = append(dst, ' ')
	if len(queue) > 0 {
		dst = append(dst, queue...)
		dst = append(dst, ' ')
	}
	dst = append(dst, sid...)
	return append(dst, '\r', '\n')
}

// AppendUnsub appends the end of a subscription, after limit messages in all when limit is positive, at once otherwise.
func AppendUnsub(dst, sid []byte, limit int) []byte {
	dst = append(dst, "UNSUB "...)
	dst = append(dst, sid...)
	if limit > 0 {
		dst = append(dst, ' ')
		dst = AppendUint(dst, uint64(limit))
	}
	return append(dst, '\r', '\n')
}

// AppendErr appends an error with one of the texts of this package.
func AppendErr(dst []byte, text string) []byte {
	dst = append(dst, "-ERR '"...)
	dst = append(dst, text...)
	return append(dst, "'\r\n"...)
}

// AppendInfo appends what a server says of itself: JSON without ends of line.
func AppendInfo(dst, json []byte) []byte {
	dst = append(dst, "INFO "...)
	dst = append(dst, json...)
	return append(dst, '\r', '\n')
}

// AppendConnect appends what a client says of itself: JSON without ends of line.
func AppendConnect(dst, json []byte) []byte {
	dst = append(dst, "CONNECT "...)
	dst = append(dst, json...)
	return append(dst, '\r', '\n')
}

// AppendUint appends v in decimal.
func AppendUint(dst []byte, v uint64) []byte {
	if v < 10 {
		return append(dst, byte('0'+v))
	}
	if v < 100 {
		return append(dst, byte('0'+v/10), byte('0'+v%10))
	}
	if v < 1000 {
		return append(dst, byte('0'+v/100), byte('0'+v/10%10), byte('0'+v%10))
	}
	var b [20]byte
	i := len(b)
	for v > 0 {
		i--
		b[i] = byte('0' + v%10)
		v /= 10
	}
	return append(dst, b[i:]...)
}

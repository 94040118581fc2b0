package fuzz

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"roundhouse/codec/natswire"
)

// natsParser is ParseClient or ParseServer.
type natsParser func([]byte, *natswire.Command, *natswire.Limits) (int, error)

// natsClientStreams is what clients send, and what none should.
var natsClientStreams = []string{
	"CONNECT {\"verbose\":false}\r\nPING\r\nSUB a.> q 1\r\nPUB a.b r 2\r\nhi\r\nUNSUB 1 5\r\n",
	"HPUB a r 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPONG\r\n", "pub\ta  2\nhi\r\n", "PUB a\rb 20\nhi\r\n", "PUB \na 0\r\n\r\n", "SUB a\r1\r\nSUB \n\n1 2\n",
	"PUB a 999999999\r\n", "PUB a 1234567890\r\n", "HPUB a 3 2\r\n", "UNSUB 1 x\r\n", "+OK\r\n-ERR 'x'\r\nINFO{}\r\n", "PINGPING\nPU", "MSG a 1 2\r\nhi\r\n",
}

// FuzzNATSClient reads a stream of commands of a client: the same ones come out however it is split, and what was taken is taken again
// after it was written.
func FuzzNATSClient(f *testing.F) {
	for _, in := range natsClientStreams {
		f.Add([]byte(in), 4096, 1<<20)
		f.Add([]byte(in), 8, 2)
	}
	f.Fuzz(func(t *testing.T, in []byte, line, payload int) {
		lim := natswire.Limits{Line: max(0, line), Payload: payload}
		for _, c := range checkNATSSplit(t, natswire.ParseClient, in, lim) {
			checkNATSCommand(t, natswire.ParseClient, c)
		}
		checkNATSBlank(t, natswire.ParseClient, in, "PUB ")
	})
}

// FuzzNATSServer is FuzzNATSClient for what a server sends.
func FuzzNATSServer(f *testing.F) {
	for _, in := range []string{
		"INFO {}\r\nPING\r\n+OK\r\n-ERR 'x'\r\nMSG a.b 1 2\r\nhi\r\n", "HMSG a 1 r 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPONG\r\n", "msg\ta 1  2\nhi\r\n", "MSG a 1 12 0\r\n\r\n",
		"MSG a 2\r\n", "MSG a 1 3\r\n12\r\n", "HMSG a 1 9 8\r\n", "INFO{}\r\n", "\r\n", "PUB a 2\r\nhi\r\n",
	} {
		f.Add([]byte(in), 1<<20)
		f.Add([]byte(in), 2)
	}
	f.Fuzz(func(t *testing.T, in []byte, payload int) {
		for _, c := range checkNATSSplit(t, natswire.ParseServer, in, natswire.Limits{Payload: payload}) {
			checkNATSCommand(t, natswire.ParseServer, c)
		}
		checkNATSBlank(t, natswire.ParseServer, in, "MSG ")
	})
}

// checkNATSSplit parses in at once and byte by byte, and returns copies of its commands.
func checkNATSSplit(t *testing.T, parse natsParser, in []byte, lim natswire.Limits) []natswire.Command {
	t.Helper()
	whole, rest, err := natsCommands(parse, in, lim)
	var split []natswire.Command
	var splitErr error
	start := 0
	for end := 1; end <= len(in) && splitErr == nil; end++ {
		more, left, err := natsCommands(parse, in[start:end], lim)
		split, start, splitErr = append(split, more...), end-left, err
	}
	if !errors.Is(splitErr, err) || err == nil && rest != len(in)-start || !reflect.DeepEqual(whole, split) {
		t.Errorf("%q, %+v: %+v, %d left, %v at once; %+v, %d left, %v byte by byte", in, lim, whole, rest, err, split, len(in)-start, splitErr)
	}
	return whole
}

// natsCommands returns copies of all commands of in, and how many bytes are left.
func natsCommands(parse natsParser, in []byte, lim natswire.Limits) (all []natswire.Command, rest int, err error) {
	for {
		var c natswire.Command
		n, err := parse(in, &c, &lim)
		if n == 0 || err != nil {
			return all, len(in), err
		}
		for _, field := range []*[]byte{&c.Subject, &c.Reply, &c.Queue, &c.SID, &c.Header, &c.Payload, &c.Arg} {
			*field = bytes.Clone(*field)
		}
		all, in = append(all, c), in[n:]
	}
}

// checkNATSCommand writes c and reads it.
func checkNATSCommand(t *testing.T, parse natsParser, c natswire.Command) {
	t.Helper()
	var out []byte
	switch c.Op {
	case natswire.OpConnect:
		out = natswire.AppendConnect(nil, c.Arg)
	case natswire.OpInfo:
		out = natswire.AppendInfo(nil, c.Arg)
	case natswire.OpPub:
		out = natswire.AppendPub(nil, c.Subject, c.Reply, c.Payload)
	case natswire.OpHPub:
		out = natswire.AppendHPub(nil, c.Subject, c.Reply, c.Header, c.Payload)
	case natswire.OpMsg:
		out = natswire.AppendMsg(nil, c.Subject, c.SID, c.Reply, c.Payload)
	case natswire.OpHMsg:
		out = natswire.AppendHMsg(nil, c.Subject, c.SID, c.Reply, c.Header, c.Payload)
	case natswire.OpSub:
		out = natswire.AppendSub(nil, c.Subject, c.Queue, c.SID)
	case natswire.OpUnsub:
		out = natswire.AppendUnsub(nil, c.SID, c.Max)
	default:
		return
	}
	var again natswire.Command
	lim := natswire.Limits{Line: len(out), Payload: -1}
	if n, err := parse(out, &again, &lim); n != len(out) || err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("%+v is written as %q, which is %+v, %d, %v", c, out, again, n, err)
	}
}

// checkNATSBlank puts a second blank behind the verb of what the parser may have taken the short way: the result is the same.
func checkNATSBlank(t *testing.T, parse natsParser, in []byte, verb string) {
	t.Helper()
	lim := natswire.Limits{Line: 1 << 20, Payload: 1 << 20}
	var c, long natswire.Command
	n, err := parse(append([]byte(verb), in...), &c, &lim)
	longN, longErr := parse(append([]byte(verb+" "), in...), &long, &lim)
	if n > 0 {
		n++
	}
	if n != longN || !errors.Is(longErr, err) || n > 0 && !reflect.DeepEqual(c, long) {
		t.Errorf("%s%q: %+v, %d, %v; with a second blank %+v, %d, %v", verb, in, c, n, err, long, longN, longErr)
	}
}

// FuzzNATSMsg writes a message with any payload and header block, and reads it.
func FuzzNATSMsg(f *testing.F) {
	f.Add([]byte("a.b"), []byte("1"), []byte(""), []byte("NATS/1.0\r\n\r\n"), []byte("hi"))
	f.Add([]byte("subject.of.some.length"), []byte("12"), []byte("_INBOX.x"), []byte(""), []byte("\r\nPUB a 0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, subject, sid, reply, header, payload []byte) {
		for _, word := range [][]byte{subject, sid} {
			if len(word) == 0 {
				return
			}
		}
		if bytes.ContainsAny(bytes.Join([][]byte{subject, sid, reply}, nil), " \t\r\n") {
			return // the words of a line have no blanks
		}
		if len(reply) == 0 {
			reply = nil
		}
		c := natswire.Command{Op: natswire.OpMsg, Subject: subject, SID: sid, Reply: reply, Payload: payload}
		checkNATSCommand(t, natswire.ParseServer, c)
		c.Op, c.Header = natswire.OpHMsg, header
		checkNATSCommand(t, natswire.ParseServer, c)
		c = natswire.Command{Op: natswire.OpPub, Subject: subject, Reply: reply, Payload: payload}
		checkNATSCommand(t, natswire.ParseClient, c)
		c.Op, c.Header = natswire.OpHPub, header
		checkNATSCommand(t, natswire.ParseClient, c)
	})
}

// FuzzNATSHeader reads a header block, writes what came out, and reads that: it is the same.
func FuzzNATSHeader(f *testing.F) {
	f.Add([]byte("NATS/1.0\r\n\r\n"))
	f.Add([]byte("NATS/1.0 503\r\nNats-Subject: a\r\nA:\tb \r\n\r\n"))
	f.Add([]byte("NATS/1.0  100  Idle  Heartbeat\t\r\nA:\r\n\r\n"))
	f.Fuzz(func(t *testing.T, block []byte) {
		once, ok := rewriteNATSHeader(block)
		if !ok {
			return
		}
		if twice, ok := rewriteNATSHeader(once); !ok || !bytes.Equal(once, twice) {
			t.Errorf("%q is written as %q, and that as %q", block, once, twice)
		}
	})
}

// rewriteNATSHeader writes what it reads in block; false means that block is malformed.
func rewriteNATSHeader(block []byte) (out []byte, ok bool) {
	status, text, fields, err := natswire.ParseHeader(block)
	if err != nil {
		return nil, false
	}
	out = natswire.AppendHeaderLine(nil, status, string(text))
	for {
		key, value, rest, err := natswire.NextField(fields)
		if err != nil {
			return nil, false
		}
		if key == nil {
			return natswire.AppendHeaderEnd(out), true
		}
		out, fields = natswire.AppendHeaderField(out, string(key), value), rest
	}
}

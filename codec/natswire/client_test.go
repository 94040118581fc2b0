package natswire

import "testing"

func TestParseClientTakes(t *testing.T) {
	lim := &Limits{DefaultLine, DefaultPayload}
	var c Command
	for _, in := range []string{"PUB foo.bar.baz reply.to 5\r\nhello\r\n", "pub foo.bar.baz 5\r\nhello\r\nPUB foo.bar.baz 5\r\n", "SUB a 1\r\n", "PING\r\n", "HPUB a 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"} {
		n, err := ParseClient([]byte(in), &c, lim)
		if n == 0 || err != nil {
			t.Error(in)
		}
	}
}

package server_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"roundhouse/codec/message"
	"roundhouse/server/config"
)

// limited gives every client a token bucket.
func limited(rate, most int, interval time.Duration) func(*config.Config) {
	return func(cfg *config.Config) {
		c := &cfg.Router.Client
		c.TokenRate, c.MaxTokens, c.BurstInterval = rate, most, interval
		cfg.Router.EnableControlMsgs = []string{"_all"}
	}
}

// flow has p publish n messages that take size bytes each on their way to a client.
func flow(p *rtClient, name string, n, size int) {
	p.t.Helper()
	m := textMessage(name, "")
	m.Fields = message.AppendStr(nil, strings.Repeat("x", size-len(message.AppendFrame(nil, m))))
	var b []byte
	for range n {
		b = message.AppendFrame(b, m)
	}
	if err := p.write(b); err != nil {
		p.t.Fatal(err)
	}
}

// within reads for a time, and returns how many bytes came.
func (c *rtClient) within(d time.Duration) (n int) {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(d)) // fails as the read would
	count, err := io.Copy(io.Discard, c.in)
	if !isTimeout(err) {
		c.t.Fatalf("the connection has ended: %v", err)
	}
	return int(count)
}

// took reads n bytes and returns how long that took.
func (c *rtClient) took(n int64) time.Duration {
	c.t.Helper()
	began := time.Now()
	_ = c.conn.SetReadDeadline(began.Add(patience)) // fails as the read would
	if got, err := io.CopyN(io.Discard, c.in, n); err != nil {
		c.t.Fatalf("%d bytes of %d: %v", got, n, err)
	}
	return time.Since(began)
}

// near wants a duration that is another one, less at most some percent. It may be late: the machine has other things to do.
func near(t testing.TB, what string, got, want time.Duration, percent int) {
	t.Helper()
	if got < want-want*time.Duration(percent)/100 || got > want+slack {
		t.Errorf("%s took %v, want %v, less at most %d %%", what, got, want, percent)
	}
}

// TestRouterRate: bytes over time.
func TestRouterRate(t *testing.T) {
	s := startRouter(t, limited(1_000_000, 50_000, 10*time.Millisecond)) // what has gathered before is 50 ms at most
	p, c := s.joinRT(""), s.joinRT("")
	c.subscribe("/a")
	flow(p, "/a", 2000, 1000)
	near(t, "2 MB at 1 MB/s", c.took(2_000_000), 2*time.Second, 5)
	n := s.joinNATS() // NATS clients have a bucket as well
	n.send("SUB a 1|")
	n.sync()
	began := time.Now()
	flow(p, "/a", 500, 1000)
	for range 500 {
		if err := n.expect("MSG a 1 "); err != nil {
			t.Fatal(err)
		}
		if _, err := n.in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if _, err := n.in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	near(t, "0.5 MB at 1 MB/s to a NATS client", time.Since(began), 500*time.Millisecond, 15)
}

// TestRouterBurst: Max_Tokens bounds what a client that has had nothing for long gets at once, and the last message may overdraw.
func TestRouterBurst(t *testing.T) {
	s := startRouter(t, limited(1_000_000, 10_000, 600*time.Second))
	p, c := s.joinRT(""), s.joinRT("")
	c.subscribe("/a")
	idleFor(50 * time.Millisecond) // the bucket is full after 10
	flow(p, "/a", 100, 999)
	c.took(11 * 999)                                               // the 11th overdraws
	if n := c.within(300 * time.Millisecond); n != 0 && n != 999 { // the first may have found a few tokens less
		t.Errorf("%d bytes more than 11 messages at once", n)
	}
	big := s.joinRT("")
	big.subscribe("/big")
	idleFor(50 * time.Millisecond)
	flow(p, "/big", 2, 1_000_000)
	big.took(1_000_000)
	if n := big.within(300 * time.Millisecond); n != 0 {
		t.Errorf("%d bytes more than one message of 1 MB at once", n)
	}
	// A new rate does not wait for the end of the old interval: the debt is paid at the new one.
	p.wantControl("setopt client_burst_interval 0.01; setopt client_token_rate 100000000", "")
	c.took(88 * 999)
	big.took(1_000_000)
	flow(p, "/a", 100, 999)
	p.wantControl("setopt client_token_rate 0", "") // no limit any more
	c.took(100 * 999)
	flow(p, "/a", 100, 999)
	c.took(100 * 999)
}

// TestRouterBurstInterval: who has no tokens is looked at after the interval.
func TestRouterBurstInterval(t *testing.T) {
	s := startRouter(t, limited(1_000_000, 1, 200*time.Millisecond))
	p, c := s.joinRT(""), s.joinRT("")
	c.subscribe("/a")
	idleFor(20 * time.Millisecond)
	flow(p, "/a", 6, 1000) // one each time: a token is always enough for the next one
	c.took(1000)
	near(t, "five looks", c.took(5000), time.Second, 15)
}

// TestRouterGateCounts: what is held back counts for Client_Max_Buffer.
func TestRouterGateCounts(t *testing.T) {
	s := startRouter(t, func(cfg *config.Config) {
		limited(1, 1, 600*time.Second)(cfg)
		cfg.Router.Client.MaxBuffer = 100_000
	})
	p, c := s.joinRT(""), s.joinRT("")
	c.subscribe("/a")
	flow(p, "/a", 90, 1000)
	p.sync()
	c.took(1000) // for the tokens of its first milliseconds
	c.sync()     // answers of the server are not held back
	flow(p, "/a", 20, 1000)
	s.logged("connection ended", "slow consumer", "101000 bytes wait for it, at most 100000 may")
	c.took(101_000) // it gets what it was owed
	c.ends(message.CodeFailure, "slow consumer")
}

// setRates sends ADMIN_SET_OUTBOUND_RATE_PARAMS.
func (c *rtClient) setRates(dest string, fields []byte) string {
	c.t.Helper()
	c.send(&message.Message{
		Type: message.TypeAdminSetOutboundRateParams, Dest: []byte(dest), Fields: fields,
		Props: message.AppendTextProperty(nil, message.TagReplyTo, c.welcome.Unique),
	})
	return c.output()
}

func rateFields(name string, rate, most int32, interval float64) []byte {
	return message.AppendReal8(message.AppendInt4(message.AppendInt4(message.AppendStr(nil, name), rate), most), interval)
}

// TestRouterAdminSet: the bucket of one connection, set by a message to the server.
func TestRouterAdminSet(t *testing.T) {
	s := startRouter(t, limited(0, 0, time.Second))
	p, c, other := s.joinRT(""), s.joinRT("c"), s.joinRT("")
	c.subscribe("/a")
	other.subscribe("/a")
	if got := p.setRates(p.welcome.Server, rateFields("c", 1000, 2000, 600)); got != "/c: 1000 bytes a second, 2000 at once, looked at every 10m0s" {
		t.Error(got)
	}
	p.control("setopt client_max_tokens 5") // touches those that have no bucket of their own
	flow(p, "/a", 10, 3000)
	other.took(30_000)
	if n := c.within(200 * time.Millisecond); n != 0 && n != 3000 {
		t.Errorf("%d bytes", n)
	}
	if got := p.setRates("_server", rateFields("/c", 0, 0, 0)); got != "/c: no limit" {
		t.Error(got)
	}
	c.within(300 * time.Millisecond)
	flow(p, "/a", 10, 3000)
	c.took(30_000)
	other.took(30_000)
	for want, fields := range map[string][]byte{
		"/d: no such client in project rtworks":                 rateFields("d", 1, 1, 1),
		"the rate is not a number from 0":                       rateFields("c", -1, 1, 1),
		"the most tokens is not a number":                       rateFields("c", 1, -1, 1),
		"the interval is not 0 to 600 seconds":                  rateFields("c", 1, 1, 601),
		"a field is missing":                                    message.AppendStr(nil, "c"),
		"admin_set_outbound_rate_params: more than four fields": message.AppendInt4(rateFields("c", 1, 1, 1), 1),
		"the interval is not 0 to 600":                          message.AppendStr(message.AppendInt4(message.AppendInt4(message.AppendStr(nil, "c"), 1), 1), "x"),
		"message: ":                                             {0},
		"subject: bad name":                                     rateFields("//", 1, 1, 1),
	} {
		if got := p.setRates("_server", fields); !strings.Contains(got, want) {
			t.Errorf("%q; want %q", got, want)
		}
	}
	s.logged("level=WARN", "a message to the server was refused", "no such client")
	p.send(&message.Message{Type: message.TypeAdminSetOutboundRateParams, Dest: []byte("/a"), Fields: rateFields("c", 1, 1, 1)})
	if m := other.read(); m.Type != message.TypeAdminSetOutboundRateParams {
		t.Errorf("%v: to others it is a message like any other", m.Type)
	}
}

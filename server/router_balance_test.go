package server_test

import (
	"fmt"
	"testing"

	"roundhouse/codec/message"
)

// balanced publishes a message with a load balancing mode.
func (c *rtClient) balanced(mode message.Balance, name, text string) {
	c.t.Helper()
	m := textMessage(name, text)
	m.Balance = mode
	c.send(m)
}

// received counts the messages to name that each client has got before the marker that p publishes now, and what came how often.
func received(t *testing.T, p publisher, name string, clients []*rtClient) (each []int, texts map[string]int) {
	t.Helper()
	texts = map[string]int{}
	for _, c := range clients {
		p.publish(c.welcome.Unique, "marker")
	}
	for _, c := range clients {
		n := 0
		for m := c.read(); string(m.Dest) == name; m = c.read() {
			_, payload := message.NATSPayload(m)
			texts[string(payload)]++
			n++
		}
		each = append(each, n)
	}
	return each, texts
}

// TestRouterRoundRobin deals messages out evenly to subscribers on all loops, whatever their subscriptions are.
func TestRouterRoundRobin(t *testing.T) {
	s := startRouter(t, nil)
	const members, rounds = 10, 20
	var clients []*rtClient
	for i := range members {
		c := s.joinRT(fmt.Sprint("m", i))
		c.subscribe([]string{"/job/x", "/job/*", "/job/..."}[i%3])
		clients = append(clients, c)
	}
	clients[3].subscribe("/job/x", "/*/x") // several of one client: it still counts once
	p := s.joinRT("")
	for i := range members * rounds {
		p.balanced(message.RoundRobin, "/job/x", fmt.Sprint(i))
	}
	each, texts := received(t, p, "/job/x", clients)
	for i, n := range each {
		if n != rounds {
			t.Errorf("client %d has got %d of %d messages: %v", i, n, members*rounds, each)
		}
	}
	if len(texts) != members*rounds {
		t.Errorf("%d messages of %d", len(texts), members*rounds)
	}
	p.publish("/job/x", "all")
	for _, c := range clients {
		c.want("/job/x", "all")
	}
	p.balanced(message.BalanceNone, "/job/x", "all")
	for _, c := range clients {
		c.want("/job/x", "all")
		c.nothing(p)
	}
}

// TestRouterRoundRobinPublishers has several publishers share one turn: all of them together are even.
func TestRouterRoundRobinPublishers(t *testing.T) {
	s := startRouter(t, nil)
	var clients, publishers []*rtClient
	for range 4 {
		c := s.joinRT("")
		c.subscribe("/job")
		clients = append(clients, c)
		publishers = append(publishers, s.joinRT(""))
	}
	const each = 50
	for i := range each {
		for j, p := range publishers {
			p.balanced(message.RoundRobin, "/job", fmt.Sprint(j, " ", i))
			if i%7 == 0 {
				p.sync()
			}
		}
	}
	for _, p := range publishers {
		p.sync()
	}
	seen := map[string]int{}
	for _, c := range clients {
		for n := 0; n < each; n++ { // exactly as many for everybody
			_, payload := message.NATSPayload(c.read())
			seen[string(payload)]++
		}
		for _, p := range publishers {
			c.nothing(p)
		}
	}
	if len(seen) != each*len(publishers) {
		t.Errorf("%d different messages of %d", len(seen), each*len(publishers))
	}
}

// TestRouterSorted gives everything to the client with the lowest unique subject; when it leaves, the next one takes over.
func TestRouterSorted(t *testing.T) {
	s := startRouter(t, nil)
	p := s.joinRT("")
	standby := map[string]*rtClient{}
	for _, name := range []string{"/s/c", "/s/a", "/s/d", "/s/b"} {
		standby[name] = s.joinRT(name)
		standby[name].subscribe("/hot")
	}
	back := standby["/s/a"]
	for i, name := range []string{"/s/a", "/s/b", "/s/c", "/s/d"} {
		for j := range 5 {
			text := fmt.Sprint(i, j)
			p.balanced(message.Sorted, "/hot", text)
			standby[name].want("/hot", text)
		}
		for other, c := range standby {
			if other != name {
				c.nothing(p)
			}
		}
		if i == 1 { // one that comes back takes over at once
			back.subscribe("/hot")
			p.balanced(message.Sorted, "/hot", "back")
			back.want("/hot", "back")
			back.setSubscribe("/hot", false, true)
			back.sync()
		}
		c := standby[name]
		delete(standby, name)
		if i%2 == 0 {
			c.setSubscribe("/hot", false, true)
			c.sync()
			continue
		}
		c.sendRaw(message.AppendDisconnect(nil, "gmd_failure"))
		if _, err := c.next(); err == nil {
			t.Fatal("it has got something")
		}
	}
	p.balanced(message.Sorted, "/hot", "nobody")
	p.sync()
}

// TestRouterBalanceOff has a client that takes no part get every message, beside the one whose turn it is.
func TestRouterBalanceOff(t *testing.T) {
	s := startRouter(t, nil)
	p, logger, both := s.joinRT(""), s.joinRT(""), s.joinRT("")
	logger.setSubscribe("/job/...", true, false)
	logger.sync()
	both.setSubscribe("/job/x", true, true)
	both.setSubscribe("/job/*", true, false) // this one decides: it always gets the message, and once
	both.sync()
	p.balanced(message.RoundRobin, "/job/x", "no member yet")
	logger.want("/job/x", "no member yet")
	both.want("/job/x", "no member yet")
	members := []*rtClient{s.joinRT(""), s.joinRT(""), s.joinRT("")}
	for _, c := range members {
		c.subscribe("/job/x")
	}
	const rounds = 9
	for i := range rounds {
		p.balanced(message.RoundRobin, "/job/x", fmt.Sprint(i))
		logger.want("/job/x", fmt.Sprint(i))
		both.want("/job/x", fmt.Sprint(i))
	}
	each, _ := received(t, p, "/job/x", members)
	if fmt.Sprint(each) != "[3 3 3]" {
		t.Errorf("the members have got %v", each)
	}
	logger.nothing(p)
	both.nothing(p)
	// Changing one's mind is no new subscription: what counts is the last word.
	logger.setSubscribe("/job/...", true, true)
	logger.sync()
	for i := range 8 {
		p.balanced(message.RoundRobin, "/job/x", fmt.Sprint("again ", i))
	}
	each, _ = received(t, p, "/job/x", append(members, logger))
	if fmt.Sprint(each) != "[2 2 2 2]" {
		t.Errorf("the members have got %v", each)
	}
}

// TestRouterBalanceNATS has NATS clients beside a balanced message: all of them get it, of each queue group one member does.
func TestRouterBalanceNATS(t *testing.T) {
	s := startRouter(t, nil)
	p := s.joinRT("")
	members := []*rtClient{s.joinRT(""), s.joinRT("")}
	for _, c := range members {
		c.subscribe("/job/x")
	}
	plain, q1, q2 := s.joinNATS(), s.joinNATS(), s.joinNATS()
	plain.send("SUB job.* 7|")
	plain.sync()
	for _, q := range []*natsClient{q1, q2} {
		q.send("SUB job.x workers 1|SUB job.done 2|")
		q.sync()
	}
	const n = 40
	for range n {
		p.balanced(message.RoundRobin, "/job/x", "x")
		plain.want("MSG job.x 7 1|x|")
	}
	each, _ := received(t, p, "/job/x", members)
	if fmt.Sprint(each) != fmt.Sprint([]int{n / 2, n / 2}) {
		t.Errorf("the members have got %v", each)
	}
	p.publish("/job/done", "d")
	got := 0
	for _, q := range []*natsClient{q1, q2} {
		for {
			line, err := q.in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line == "MSG job.done 2 1\r\n" {
				break
			}
			if line == "MSG job.x 1 1\r\n" {
				got++
			}
		}
	}
	if got != n {
		t.Errorf("the queue group has got %d of %d", got, n)
	}
	// A message of a NATS client is never balanced: everybody gets it.
	q1.send("PUB job.x 1|n|")
	for _, c := range members {
		c.want("/job/x", "n")
	}
}

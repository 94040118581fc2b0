package relay

import (
	"time"

	"roundhouse/codec/http1"
)

// inquiry is what has to be found out before an enabler's call can be answered. Meanwhile its connection is not read; then its head is read
// again.
type inquiry struct {
	call   call
	as     credential
	done   bool
	again  bool // an outcome without a refusal has the call judged once more
	result refusal
}

// inquiryTime is how long an inquiry may take.
const inquiryTime = 10 * time.Second

// inquire has a call wait. ask gets what it calls, on any goroutine, with the outcome.
func (c *client) inquire(k call, as credential, ask func(tell func(refusal))) {
	in := &inquiry{call: k, as: as}
	c.inquiry = in
	c.conn.Pause()
	c.enter(phaseTurn, inquiryTime)
	ask(func(no refusal) {
		c.s.loop.Post(func() {
			if c.inquiry == in && !in.done && !c.conn.Closing() {
				in.done, in.result = true, no
				c.conn.Resume()
			}
		})
	})
}

// judge decides whether an enabler is let in. waits: not yet, its call comes again.
func (k *call) judge(c *client, q *http1.Request) (as credential, no refusal, waits bool) {
	r := c.s.relay
	if in := c.inquiry; in != nil {
		c.inquiry = nil
		if !in.done {
			return in.as, refusal{failure: failBusy, text: "The relay server has too much to do."}, false
		}
		if !in.again || in.result.failure != nil {
			return in.as, in.result, false
		}
	}
	as, no = k.admit(c, q)
	name := k.name()
	if no.failure == failOEToken && k.auth == "" {
		k.compareToken(c, as, suspect{addr: wholeAddr(c.judgedBy(q)), server: name})
		return as, no, true
	}
	if server, _ := c.s.view.server(k.farm, k.server); no.failure == nil && server == nil { // one that auto_config lets in
		if k.run == "" { // by which its lanes are known to be there
			return as, refusal{failure: failOERequest, text: "Ias-Rs-Oe-Id is missing."}, false
		}
		c.inquire(*k, as, func(tell func(refusal)) {
			r.work.Go(func() { tell(r.dynamics.add(r, name)) }) // ends when a view is in force; Close waits for it
		})
		return as, no, true
	}
	if no.failure != nil || k.run == "" || k.op != "peers" && k.op != "up" && k.op != "down" && k.op != "lane" {
		return as, no, false
	}
	duplicate := refusal{failure: failOEDuplicate, text: "Another enabler serves this back-end server."}
	switch r.gate.claims.claim(name, k.run, time.Now()) {
	case claimTaken:
		return as, duplicate, false
	case claimHeld:
		c.inquire(*k, as, func(tell func(refusal)) {
			askLanes(r, name, k.run, func(free bool) {
				if free {
					tell(refusal{})
					return
				}
				tell(duplicate)
			})
		})
		return as, no, true
	}
	return as, no, false
}

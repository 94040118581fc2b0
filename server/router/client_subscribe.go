package router

import (
	"fmt"
	"strings"

	"roundhouse/codec/message"
	"roundhouse/routing/subject"
	"roundhouse/server/access"
)

// setSubscribe handles SUBJECT_SET_SUBSCRIBE, which has no answer.
func (c *client) setSubscribe(m *message.Message) {
	var set message.SetSubscribe
	if err := message.ParseSetSubscribe(m, &set); err != nil {
		c.cut(cutProtocol, err.Error())
		return
	}
	if code, err := c.apply(&set); code == message.CodeInvalid {
		c.cut(cutProtocol, err.Error())
	}
}

// batchSubscribe handles BATCH_SUBJECT_SET_SUBSCRIBE, which is answered with a code for each subject.
func (c *client) batchSubscribe(m *message.Message) {
	all, err := message.ParseBatchSubscribe(nil, m)
	if err != nil {
		c.cut(cutProtocol, err.Error())
		return
	}
	results := make([]message.SubscribeResult, 0, len(all))
	for i := range all {
		if c.gone {
			return
		}
		code, _ := c.apply(&all[i]) // the code says it
		results = append(results, message.SubscribeResult{Subject: all[i].Subject, Code: code})
	}
	c.send(func(dst []byte) []byte { return message.AppendBatchResult(dst, results) })
}

// apply begins or ends a subscription.
func (c *client) apply(set *message.SetSubscribe) (message.Code, error) {
	pattern, err := subject.Canonical(nil, c.shard.door.settings.Load().cfg.DefaultSubjectPrefix, set.Subject)
	if err != nil {
		return message.CodeInvalid, fmt.Errorf("subject %q: %w", clip(string(set.Subject)), err)
	}
	old := c.subs.get(pattern)
	switch {
	case !set.Start && old == nil:
		return message.CodeDoesNotExist, nil
	case !set.Start:
		if string(pattern) == c.unique {
			return message.CodeInvalid, fmt.Errorf("subject %s: a client does not leave its own", c.unique)
		}
		c.subs.remove(old)
		c.drop(old)
		c.left = true
		return message.CodeOK, nil
	case !c.maySubscribe(string(pattern)):
		return message.CodeDenied, fmt.Errorf("subject %s: not allowed", pattern)
	case old != nil && old.always == !set.Balance:
		return message.CodeOK, nil
	}
	if most := c.shard.door.settings.Load().cfg.Client.MaxSubscriptions; most > 0 && c.subs.len() >= most && old == nil {
		c.cut(cutLimit, fmt.Sprintf("it has %d subscriptions, the most that it may have", most))
		return message.CodeTooLarge, nil
	}
	if old != nil {
		c.subs.remove(old)
	}
	c.add(pattern, !set.Balance)
	if old != nil { // after the new one is there, so that nothing is missed; who matches twice gets one copy
		c.drop(old)
	}
	return message.CodeOK, nil
}

func (c *client) add(pattern []byte, always bool) {
	sub := &subscription{
		id: c.shard.door.subIDs.Add(1), peer: &c.peer, text: string(pattern), patternLen: uint16(len(pattern)), always: always,
	}
	c.subs.add(sub)
	c.view.project.subscribe(sub)
	c.shard.stats.subscriptions.Add(1)
}

// maySubscribe asks whether the client's user may subscribe. Names that begin with _ are the system's: of those everybody may have its own,
// that of its node, that of all, and inboxes.
func (c *client) maySubscribe(pattern string) bool {
	if c.identity == nil || pattern == c.unique {
		return true
	}
	if strings.HasPrefix(pattern, "/_") && !c.identity.Admin() &&
		pattern != "/_all" && pattern != "/_"+c.about.node && !strings.HasPrefix(pattern, "/_INBOX/") {
		return false
	}
	return c.may(access.Subscribe, pattern)
}

package router

import "slices"

// subs are the subscriptions of a peer, by what it calls them: a NATS client by sid, a client by pattern. Most peers have a few, which are
// kept in a list: a map would cost more than all else of an idle client. It is owned by the peer's loop; the zero value is empty.
type subs struct {
	few  []*subscription
	many map[string]*subscription // nil: all are in few
}

const fewSubs = 8

// name is what the subscription's peer calls it.
func (s *subscription) name() string {
	if s.peer.nats != nil {
		return s.sid()
	}
	return s.pattern()
}

func (s *subs) len() int { return len(s.few) + len(s.many) }

// get returns nil when there is none of that name.
func (s *subs) get(name []byte) *subscription {
	if s.many != nil {
		return s.many[string(name)]
	}
	for _, sub := range s.few {
		if sub.name() == string(name) {
			return sub
		}
	}
	return nil
}

// add takes a subscription whose name is not in use.
func (s *subs) add(sub *subscription) {
	switch {
	case s.many != nil:
		s.many[sub.name()] = sub
	case len(s.few) < fewSubs:
		s.few = append(s.few, sub)
	default:
		s.many = map[string]*subscription{sub.name(): sub}
		for _, old := range s.few {
			s.many[old.name()] = old
		}
		s.few = nil
	}
}

// remove reports whether the subscription was there.
func (s *subs) remove(sub *subscription) bool {
	if s.many != nil {
		if s.many[sub.name()] != sub {
			return false
		}
		delete(s.many, sub.name())
		return true
	}
	i := slices.Index(s.few, sub)
	if i < 0 {
		return false
	}
	s.few = slices.Delete(s.few, i, i+1)
	return true
}

// all yields every subscription; the one that was yielded may be removed meanwhile.
func (s *subs) all(yield func(*subscription) bool) {
	for i := len(s.few) - 1; i >= 0; i-- {
		if !yield(s.few[i]) {
			return
		}
	}
	for _, sub := range s.many {
		if !yield(sub) {
			return
		}
	}
}

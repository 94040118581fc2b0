package access

import (
	"slices"
	"sync/atomic"

	names "roundhouse/routing/subject"
)

// Identity is a user who has shown who he is. There is one for each user of a Guard: two connections of the same user have the
// same. nil: security is off, and he may do everything. Any goroutine may ask it, a loop too: it takes no lock.
type Identity struct {
	name string
	view atomic.Pointer[view] // nil: the user is gone, and may do nothing
}

// Name is that of the user; "" of a nil Identity.
func (id *Identity) Name() string {
	if id == nil {
		return ""
	}
	return id.name
}

// In tells whether the user is in a group. A nil Identity is in none.
func (id *Identity) In(group string) bool {
	if id == nil {
		return false
	}
	v := id.view.Load()
	if v == nil {
		return false
	}
	_, found := slices.BinarySearch(v.groups, group)
	return found
}

// Admin tells whether the user may give orders to the server: he is in the group Admins, or security is off.
func (id *Identity) Admin() bool {
	if id == nil {
		return true
	}
	v := id.view.Load()
	return v != nil && (v.open || v.admin)
}

// Gone tells whether the rules have been replaced by some that do not have the user any more: a door may close his connections.
func (id *Identity) Gone() bool { return id != nil && id.view.Load() == nil }

// May tells whether the user may do v with a subject of a project. The subject is canonical, as of routing/subject, with or
// without wildcards; Connect looks at the project only, which an empty subject says best.
//
// The first permission that applies decides; what none allows is denied. One that allows applies when it covers the subject, one
// that denies when it has a name in common with it. It is quick, allocates nothing unless the decision is logged, and writes
// denials to the audit trail.
func (id *Identity) May(v Verb, project, subject string) bool {
	if id == nil {
		return true
	}
	now := id.view.Load()
	may := now != nil && now.may(v, project, subject)
	if now != nil && now.audit != AuditNothing && !now.open {
		now.guard.trail.decision(now, id.name, may, v, project, subject)
	}
	return may
}

func (w *view) may(v Verb, project, subject string) bool {
	if w.open {
		return true
	}
	if v > Connect || v != Connect && (subject == "" || subject[0] != '/') {
		return false
	}
	wild := v != Connect && names.IsWild(subject)
	for i := range w.rules[v] {
		r := &w.rules[v][i]
		switch {
		case !r.inProject(project):
		case v == Connect, r.subject.everything():
			return r.allow
		case !r.allow && wild:
			if r.subject.meets(subject) {
				return false
			}
		case r.subject.covers(subject):
			return r.allow
		}
	}
	return false
}

// MayAdmin tells whether the user may send a server a message of a type: those that give orders need the group Admins.
func (id *Identity) MayAdmin(messageType int32) bool {
	if id == nil {
		return true
	}
	now := id.view.Load()
	if now == nil {
		return false
	}
	if now.open || !slices.Contains(now.types, messageType) {
		return true
	}
	if now.audit != AuditNothing {
		now.guard.trail.order(now, id.name, now.admin, messageType)
	}
	return now.admin
}

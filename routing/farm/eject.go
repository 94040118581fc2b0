package farm

import "time"

// Failed tells that a request that was given to s has failed at now for a reason that may be the server's. It returns true when s
// is ejected for that: after EjectAfter failures in a row, for EjectTime. Failures while s is ejected do not prolong it; the first
// one after it, with no success before, ejects s again.
func (r *Roster[L]) Failed(s *Server, now time.Time) (ejected bool) {
	st := r.state(s)
	f := s.Farm
	if !f.ejects() {
		return false
	}
	if st.isEjected() {
		if now.Before(st.until) {
			return false
		}
		r.absolve(st)
	}
	st.failures = min(st.failures+1, f.EjectAfter)
	if st.failures < f.EjectAfter {
		return false
	}
	st.until = now.Add(f.EjectTime)
	r.farms[f.Index].ejected++
	r.update(st)
	return true
}

// Succeeded tells that a request that was given to s was answered. If s is ejected it is so no longer: it works again.
func (r *Roster[L]) Succeeded(s *Server) {
	st := r.state(s)
	st.failures = 0
	if st.isEjected() {
		r.absolve(st)
	}
}

// Ejected tells whether s is ejected at now.
func (r *Roster[L]) Ejected(s *Server, now time.Time) bool {
	st := r.state(s)
	return st.isEjected() && now.Before(st.until)
}

// Inherit takes over the failures and ejections that old, the roster of an earlier table, knows of the servers that have the same
// farm and id in this one. Lanes, the word on a back end and requests in flight are not taken over: they are told to this roster as
// they were to old, before or after. What the farm says now of ejection holds for those that are ejected already. It is called once.
func (r *Roster[L]) Inherit(old *Roster[L]) {
	before := make(map[uint64]*server[L], len(old.servers))
	for i := range old.servers {
		before[old.servers[i].conf.Key] = &old.servers[i]
	}
	for i := range r.servers {
		st := &r.servers[i]
		f := st.conf.Farm
		was := before[st.conf.Key]
		if was == nil || !f.ejects() || st.isEjected() {
			continue
		}
		st.failures = min(was.failures, f.EjectAfter)
		if was.isEjected() {
			st.until = was.until.Add(f.EjectTime - was.conf.Farm.EjectTime) // it counts from the same moment
			r.farms[f.Index].ejected++
			r.update(st)
		}
	}
}

// readmit ends the ejections of f's servers that are over at now.
func (r *Roster[L]) readmit(f *Farm, m *members[L], now time.Time) {
	for _, s := range f.Servers {
		if st := &r.servers[s.Index]; st.isEjected() && !now.Before(st.until) {
			r.absolve(st)
		}
		if m.ejected == 0 {
			return
		}
	}
}

// absolve ends the ejection of st.
func (r *Roster[L]) absolve(st *server[L]) {
	st.until = time.Time{}
	r.farms[st.conf.Farm.Index].ejected--
	r.update(st)
}

// isEjected tells whether st stands among the ejected ones, which it does until somebody sees that its time is over.
func (st *server[L]) isEjected() bool { return !st.until.IsZero() }

// ejects tells whether servers of f are ever ejected.
func (f *Farm) ejects() bool { return f.EjectAfter > 0 && f.EjectTime > 0 }

package router

import (
	"fmt"
	"sync"
	"sync/atomic"

	"roundhouse/routing/subject"
)

// project is a name space. It is safe for concurrent use but for its views, each of which belongs to its loop.
type project struct {
	// Fixed.
	name  string
	views []*view // by loop

	// Any goroutine; written under mu.
	table subject.Table[*subscription]

	mu      sync.Mutex // guards writes to table, and what follows; never held during I/O
	clients map[string]*client
	turns   map[string]*atomic.Uint64 // round robin, by subject
}

// projects finds projects by their name.
type projects struct {
	mu  sync.Mutex // guards all
	all map[string]*project
}

const (
	maxProjects    = 10_000 // one more is refused: each has caches on every loop
	maxProjectName = 63     // bytes; source: an identifier of RTserver
)

// project returns the project of a name, and makes it when there is none.
func (d *Door) project(name string) (*project, error) {
	if !isIdentifier(name) {
		return nil, fmt.Errorf("router: project %q: an identifier of at most %d characters is needed: a letter or _ first, then letters, digits, %% or _", clip(name), maxProjectName)
	}
	d.projects.mu.Lock()
	defer d.projects.mu.Unlock()
	if p := d.projects.all[name]; p != nil {
		return p, nil
	}
	if len(d.projects.all) >= maxProjects {
		return nil, fmt.Errorf("router: project %q: there are %d already, the most that are kept", clip(name), maxProjects)
	}
	p := &project{name: name, clients: map[string]*client{}, turns: map[string]*atomic.Uint64{}}
	for _, s := range d.shards {
		p.views = append(p.views, newView(p, s))
	}
	d.projects.all[name] = p
	return p, nil
}

// list returns all projects.
func (d *Door) list() []*project {
	d.projects.mu.Lock()
	defer d.projects.mu.Unlock()
	all := make([]*project, 0, len(d.projects.all))
	for _, p := range d.projects.all {
		all = append(all, p)
	}
	return all
}

// isIdentifier judges a name of a project or a message type. Source: spec of RTserver, "Message types".
func isIdentifier(s string) bool {
	if s == "" || len(s) > maxProjectName || s[0] >= '0' && s[0] <= '9' || s[0] == '%' {
		return false
	}
	for _, c := range []byte(s) {
		if c != '_' && c != '%' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// clip shortens what a peer said for a message of ours.
func clip(s string) string {
	const most = 80 // bytes
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// subscribe puts a subscription into the table: from now on it gets what is published.
func (p *project) subscribe(s *subscription) {
	p.mu.Lock()
	p.table.Add(s.pattern(), s)
	p.mu.Unlock()
}

// unsubscribe takes a subscription out of the table. What is on its way between loops still comes.
func (p *project) unsubscribe(s *subscription) {
	p.mu.Lock()
	p.table.Remove(s.pattern(), s)
	p.mu.Unlock()
}

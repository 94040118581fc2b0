package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"roundhouse/enginepool"
)

// pauses are what an administrator has paused: everything, or what is named. Safe for concurrent use.
type pauses struct {
	mu    sync.Mutex
	all   bool            // guarded by mu
	words map[string]bool // guarded by mu; in upper case
}

const maxPauses = 1000 // names

var errPauses = errors.New("too many pauses")

// names tells whether a word names a signature: its application, user@application or procedure.
func names(words map[string]bool, l *enginepool.Login) bool {
	application := strings.ToUpper(l.Application)
	return words[application] || words[strings.ToUpper(l.User)+"@"+application] || words[strings.ToUpper(l.Procedure)]
}

// put tells the pool; mu is held.
func (p *pauses) put(a *administrator) {
	d := a.door
	all, words := p.all, maps.Clone(p.words)
	delete(words, "") // an empty application is nobody's name
	switch {
	case all:
		d.pool.Pause(func(*enginepool.Login) bool { return true })
	case len(words) > 0:
		d.pool.Pause(func(l *enginepool.Login) bool { return names(words, l) })
	default:
		d.pool.Pause(nil)
	}
	a.tickAll()
}

func (a *administrator) pause(_ context.Context, args []string) (string, error) {
	p := &a.pauses
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(args) == 0 {
		p.all = true
	}
	if len(p.words)+len(args) > maxPauses {
		return "", errPauses
	}
	for _, word := range args {
		if p.words == nil {
			p.words = map[string]bool{}
		}
		p.words[strings.ToUpper(word)] = true
	}
	p.put(a)
	return "paused: " + p.list(), nil
}

// list says what is paused; mu is held.
func (p *pauses) list() string {
	switch {
	case p.all:
		return "everything"
	case len(p.words) == 0:
		return "nothing"
	}
	return strings.Join(slices.Sorted(maps.Keys(p.words)), ", ")
}

func (a *administrator) resume(_ context.Context, args []string) (string, error) {
	p := &a.pauses
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, word := range args {
		if !p.words[strings.ToUpper(word)] {
			return "", fmt.Errorf("%s is not paused by its name; paused: %s", clip(word), p.list())
		}
	}
	if len(args) == 0 {
		p.all, p.words = false, nil
	}
	for _, word := range args {
		delete(p.words, strings.ToUpper(word))
	}
	p.put(a)
	return "paused: " + p.list(), nil
}

// resumeAll ends all pauses: the server stops, and nobody is to wait for what does not come.
func (a *administrator) resumeAll() {
	_, _ = a.resume(context.Background(), nil) // cannot fail without names
}

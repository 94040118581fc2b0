package relay

import (
	"context"
	"strings"
	"sync"
	"time"

	"roundhouse/server/webhook"
)

// watch tells the webhook of the configuration which enablers come and go, and what they say of their back ends. The loops only ring a bell; a
// goroutine then asks all of them, so that a server whose lanes move from one loop to another has not gone.
type watch struct {
	bell   chan struct{} // capacity 1
	hook   *webhook.Sender
	cancel context.CancelFunc
	done   sync.WaitGroup

	// Of the goroutine.
	known map[serverName]standing // nil: nobody has wanted to know, so what is found next is no news
}

// standing is how a back-end server was last seen.
type standing struct{ connected, up bool }

// watchPause is how long changes are gathered before they are looked at.
const watchPause = 100 * time.Millisecond

// begin starts to watch. end stops it, and waits.
func (w *watch) begin(r *Relay) {
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(context.Background())
	w.bell, w.hook = make(chan struct{}, 1), webhook.New(r.log)
	if r.view.Load().cfg.Relay.Status.Webhook != "" {
		w.known = map[serverName]standing{}
	}
	w.done.Go(func() { w.hook.Run(ctx) })  // ends with ctx; end waits for it
	w.done.Go(func() { w.listen(ctx, r) }) // likewise
}

func (w *watch) end() {
	w.cancel()
	w.done.Wait()
}

// ring says that something may have changed. Any goroutine may call it; it does not block.
func (w *watch) ring() {
	select {
	case w.bell <- struct{}{}:
	default:
	}
}

func (w *watch) listen(ctx context.Context, r *Relay) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.bell:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchPause):
		}
		url := r.view.Load().cfg.Relay.Status.Webhook
		switch {
		case url == "":
			w.known = nil
		case !r.draining.Load(): // else all of them leave, and go elsewhere
			w.look(r, url)
		}
	}
}

// look compares how things stand with what was known.
func (w *watch) look(r *Relay, url string) {
	now, silent := map[serverName]standing{}, w.known == nil
	for name, t := range tallyLanes(r) {
		if t.lanes > 0 {
			now[name] = standing{connected: true, up: !t.down}
		}
		event := change(w.known[name], now[name])
		delete(w.known, name)
		if event != "" && !silent {
			w.hook.Send(url, webhook.Event{Event: event, Farm: name.farm, Server: name.server, BackendUp: now[name].up, Reason: reasonOf(event, t)})
		}
	}
	for name, was := range w.known { // those that nothing is left of, not even a trouble
		if was.connected {
			w.hook.Send(url, webhook.Event{Event: webhook.EnablerDown, Farm: name.farm, Server: name.server})
		}
	}
	w.known = now
}

// change names what has happened; empty: nothing.
func change(was, is standing) string {
	switch {
	case is.connected && !was.connected:
		return webhook.EnablerUp
	case was.connected && !is.connected:
		return webhook.EnablerDown
	case is.up && !was.up:
		return webhook.BackendUp
	case was.up && !is.up:
		return webhook.BackendDown
	}
	return ""
}

// reasonOf is what went wrong, where that is known.
func reasonOf(event string, t *tally) string {
	prefix := map[string]string{webhook.EnablerDown: laneBroke, webhook.BackendDown: backendIsDown}[event]
	if reason, ok := strings.CutPrefix(t.trouble.text, prefix); ok && prefix != "" {
		return reason
	}
	return ""
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
	"roundhouse/enginepool"
	"roundhouse/server/config"
)

// Verb is something that an administrator may ask of the door: with code -10, and by HTTP when it has a path.
type Verb struct {
	Name, Path, About string
	Args              []string // what its arguments are called in a form

	least, most int // arguments; most < 0: any number
	do          func(a *administrator, ctx context.Context, args []string) (string, error)
}

// ErrUsage says that a verb was asked for in a wrong way.
var ErrUsage = errors.New("wrong use")

// verbs are all verbs, in the order of the documentation. It is a function: some of them ask what there is.
func verbs() []Verb {
	one := []string{"engine"}
	return []Verb{
		{Name: "LIST", do: (*administrator).list},
		{Name: "QUEUE", do: (*administrator).queue},
		{Name: "STATS", do: (*administrator).stats},
		{Name: "CONFIG", do: (*administrator).config},
		{"PAUSE", "pause", "let requests wait; only=APPLICATION, USER@APPLICATION or PROCEDURE: these", []string{"only"}, 0, -1, (*administrator).pause},
		{"RESUME", "resume", "end a pause; only=...: that one", []string{"only"}, 0, -1, (*administrator).resume},
		{"RECYCLE", "recycle", "replace all engines of the pool, one by one", nil, 0, 0, (*administrator).recycle},
		{"STOP", "stop", "stop an engine when its request is over: engine=E0001", one, 1, 1, (*administrator).stop},
		{"KILL", "kill", "kill an engine: engine=E0001", one, 1, 1, (*administrator).kill},
		{"BREAK", "break", "break the request of an engine: engine=E0001", one, 1, 1, (*administrator).breakRequest},
		{"DRAIN", "drain", "end the server, as SIGTERM does", nil, 0, 0, (*administrator).drain},
		{"RELOAD", "reload", "read the configuration again, as SIGHUP does", nil, 0, 0, (*administrator).reload},
		{"SET", "set", "change a setting until the next reload: key=pool.max_engines&value=5", []string{"key", "value"}, 2, 2, (*administrator).set},
		{"WAIT_DRAIN", "wait-drain", "wait until no engine has a request; seconds=60: at most", []string{"seconds"}, 0, 1, (*administrator).wait},
	}
}

// Verbs are those that have a path.
func Verbs() []Verb {
	var all []Verb
	for _, v := range verbs() {
		if v.Path != "" {
			all = append(all, v)
		}
	}
	return all
}

// administrator does what verbs ask for. Safe for concurrent use.
type administrator struct {
	door     *Door
	quit     context.Context // ends with the door
	end      func()          // ends quit
	hooks    atomic.Pointer[Hooks]
	changing sync.Mutex // settings, one after the other
	pauses   pauses
}

func (a *administrator) init(d *Door) {
	a.door = d
	a.quit, a.end = context.WithCancel(context.Background())
}

// Admin does what an administrator asks for, and returns what was done. It may wait until ctx ends. It must not be called on a loop. The
// error is one of ErrUsage when verb or args are wrong.
func (d *Door) Admin(ctx context.Context, verb string, args ...string) (string, error) {
	for _, v := range verbs() {
		switch {
		case !strings.EqualFold(v.Name, verb):
		case len(args) < v.least || v.most >= 0 && len(args) > v.most:
			return "", fmt.Errorf("%w: %s has %s", ErrUsage, v.Name, v.arguments())
		default:
			return v.do(&d.admin, ctx, args)
		}
	}
	return "", fmt.Errorf("%w: unknown verb %s", ErrUsage, clip(verb))
}

// arguments says how many there are.
func (v *Verb) arguments() string {
	switch {
	case v.most == 0:
		return "no argument"
	case v.most < 0:
		return "any number of arguments"
	case v.least == v.most:
		return fmt.Sprintf("%d argument(s): %s", v.most, strings.Join(v.Args, ", "))
	}
	return fmt.Sprintf("at most %d argument(s): %s", v.most, strings.Join(v.Args, ", "))
}

// admin takes a verb of an administrator, whose password was right. It is done in a goroutine: it may take its time.
func (t *control) admin(fields []byte) {
	c := t.client
	verb, rest, _ := frame.Cut(fields)
	var args []string
	for len(rest) > 0 {
		var arg []byte
		arg, rest, _ = frame.Cut(rest)
		args = append(args, string(arg))
	}
	for len(args) > 0 && args[len(args)-1] == "" && !strings.EqualFold(string(verb), "SET") { // fields that were left empty
		args = args[:len(args)-1]
	}
	name, s := string(verb), c.shard
	s.log.Info("a verb of the administrator", "verb", clip(name), "client", c.info.remote)
	c.state = stateBusy
	s.door.starting.Go(func() { // ends with the verb, at the latest when Door.Close ends quit and waits for it
		text, err := s.door.Admin(s.door.admin.quit, name, args...)
		code := oes.Done
		if err != nil {
			code, text = oes.Failed, err.Error()
		}
		s.loop.Post(func() { t.done(code, string(cleanText(text))) })
	})
}

// table writes rows in columns.
func table(header string, rows [][]string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, header)
	for _, row := range rows {
		for i := range row {
			row[i] = clip(row[i])
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // a Builder takes everything
	return b.String()
}

func (a *administrator) list(context.Context, []string) (string, error) {
	var rows [][]string
	for _, r := range a.door.Observe().Rows() {
		rows = append(rows, []string{r.Engine, r.Class, r.State, r.Application, r.User, r.Procedure, r.Client, strconv.FormatInt(r.Requests, 10),
			fmt.Sprintf("%.1f", r.Busy), strconv.FormatInt(r.PID, 10), strconv.FormatInt(r.ResidentBytes>>20, 10), strconv.Itoa(r.Waiting)})
	}
	return table("ENGINE\tCLASS\tSTATE\tAPPLICATION\tUSER\tPROCEDURE\tCLIENT\tREQUESTS\tSECONDS\tPID\tMIB\tWAITING", rows), nil
}

func (a *administrator) queue(context.Context, []string) (string, error) {
	var rows [][]string
	for _, q := range a.door.Observe().Queues() {
		rows = append(rows, []string{q.Application, q.User, q.Procedure, strconv.Itoa(q.Mode), strconv.Itoa(q.Waiting),
			fmt.Sprintf("%.1f", q.Oldest), strconv.FormatBool(q.Paused)})
	}
	return table("APPLICATION\tUSER\tPROCEDURE\tMODE\tWAITING\tOLDEST\tPAUSED", rows), nil
}

func (a *administrator) stats(context.Context, []string) (string, error) {
	t := a.door.Observe().Totals()
	rejected, requests := int64(0), int64(0)
	for _, n := range t.Rejected {
		rejected += n
	}
	for _, c := range t.Requests {
		requests += c.N
	}
	var b strings.Builder
	for _, line := range []struct {
		name string
		n    int64
	}{
		{"up_seconds", int64(time.Since(a.door.began).Seconds())}, {"clients", a.door.clients.Load()}, {"in_flight", t.InFlight},
		{"requests", requests}, {"rejected", rejected}, {"retries", t.Retries}, {"logins", t.Logins}, {"login_failures", t.LoginFailures},
		{"engines", int64(len(a.door.pool.Engines()))}, {"slots", int64(a.door.pool.Slots())}, {"max_engines", int64(a.door.pool.Limits().MaxEngines)},
		{"starts", t.Started}, {"start_failures", t.StartFailed}, {"moves", t.Moves}, {"zombies", t.Zombies}, {"resumes", t.Resumes},
		{"denied", t.Denied}, {"skipped_monitors", t.SkippedRuns}, {"stalls", t.Stalls},
	} {
		fmt.Fprintf(&b, "%s %d\n", line.name, line.n)
	}
	return b.String(), nil
}

func (a *administrator) config(context.Context, []string) (string, error) {
	var b strings.Builder
	err := config.Dump(&b, a.door.settings.Load().whole)
	return b.String(), err
}

func (a *administrator) recycle(context.Context, []string) (string, error) {
	a.door.pool.Recycle()
	a.tickAll()
	return "engines are replaced, one by one", nil
}

// tickAll has all shards look at what has changed.
func (a *administrator) tickAll() {
	for _, s := range a.door.shards {
		s.loop.Post(func() { s.pool.Tick(s.now()) })
	}
}

func (a *administrator) stop(ctx context.Context, args []string) (string, error) {
	return a.onEngine(ctx, args[0], func(s *shard, e *engine) (string, error) {
		if p := s.parked[e.name()]; p != nil {
			p.end(enginepool.WhyAdmin)
		} else {
			s.pool.Stop(e.pooled, enginepool.WhyAdmin, s.now())
		}
		return e.name() + " is stopped when it has nothing to do", nil
	})
}

func (a *administrator) kill(ctx context.Context, args []string) (string, error) {
	return a.onEngine(ctx, args[0], func(s *shard, e *engine) (string, error) {
		s.failCalls(e, "Engine was shut down")
		s.pool.Broken(e.pooled, enginepool.WhyForced, "killed by the administrator", s.now())
		return e.name() + " is killed", nil
	})
}

func (a *administrator) breakRequest(ctx context.Context, args []string) (string, error) {
	return a.onEngine(ctx, args[0], func(_ *shard, e *engine) (string, error) {
		if len(e.calls) == 0 {
			return "", fmt.Errorf("%s has no request", e.name())
		}
		e.interrupt(e.calls[0], oes.Break)
		return "the request on " + e.name() + " is broken", nil
	})
}

// onEngine runs do on the loop of an engine, as soon as that is on a loop.
func (a *administrator) onEngine(ctx context.Context, name string, do func(*shard, *engine) (string, error)) (string, error) {
	type outcome struct {
		here bool
		text string
		err  error
	}
	for {
		e := a.find(name)
		if e == nil {
			return "", fmt.Errorf("there is no engine %s", clip(name))
		}
		s := a.door.shards[e.pooled.Home()]
		done := make(chan outcome, 1)
		if !s.loop.Post(func() {
			var o outcome
			if o.here = e.pooled.Home() == s.index && !e.moving.Load(); o.here {
				o.text, o.err = do(s, e)
			}
			done <- o
		}) {
			return "", errStopping
		}
		select {
		case o := <-done:
			if o.here {
				return o.text, o.err
			}
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

var errStopping = errors.New("the server is stopping")

// find returns the engine of a name, or nil.
func (a *administrator) find(name string) *engine {
	for _, pooled := range a.door.pool.Engines() {
		if strings.EqualFold(pooled.Name, name) {
			e, _ := pooled.Owner.(*engine)
			return e
		}
	}
	return nil
}

// Hooks are what the door asks of the server around it. A nil one cannot be done.
type Hooks struct {
	Drain, Reload func()
}

// SetHooks is called before anybody asks for them.
func (d *Door) SetHooks(h Hooks) { d.admin.hooks.Store(&h) }

var errNoHook = errors.New("not possible in this server")

func (a *administrator) drain(context.Context, []string) (string, error) {
	if h := a.hooks.Load(); h == nil || h.Drain == nil {
		return "", errNoHook
	} else {
		h.Drain()
	}
	return "the server drains, and ends", nil
}

func (a *administrator) reload(context.Context, []string) (string, error) {
	if h := a.hooks.Load(); h == nil || h.Reload == nil {
		return "", errNoHook
	} else {
		h.Reload()
	}
	return "the configuration is read again: the log has the outcome", nil
}

// adminSet changes one of the settings that may be changed while the server runs.
func (a *administrator) set(_ context.Context, args []string) (string, error) {
	key := strings.TrimPrefix(strings.ToLower(args[0]), "engine.")
	if !strings.HasPrefix(key, "pool.") && !strings.HasPrefix(key, "client.") {
		return "", fmt.Errorf("%w: SET takes keys of pool and client, as pool.max_engines", ErrUsage)
	}
	a.changing.Lock()
	defer a.changing.Unlock()
	next, err := config.Change(a.door.settings.Load().whole, "engine."+key, args[1])
	if err != nil {
		return "", fmt.Errorf("%w: %v", ErrUsage, err)
	}
	if err := a.door.Reconfigure(next); err != nil {
		return "", err
	}
	a.door.log.Warn("a setting was changed until the next reload", "key", "engine."+key, "value", clip(args[1]))
	return fmt.Sprintf("engine.%s = %s", key, clip(args[1])), nil
}

const (
	waitDefault = 60 * time.Second
	waitMost    = time.Hour
	waitLook    = 10 * time.Millisecond
)

// adminWait waits until no engine has a request.
func (a *administrator) wait(ctx context.Context, args []string) (string, error) {
	most := waitDefault
	if len(args) > 0 {
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 1 || n > int(waitMost/time.Second) {
			return "", fmt.Errorf("%w: seconds are a number from 1 to %d", ErrUsage, int(waitMost/time.Second))
		}
		most = time.Duration(n) * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	look := time.NewTicker(waitLook)
	defer look.Stop()
	for a.working() > 0 {
		select {
		case <-look.C:
		case <-ctx.Done():
			return "", fmt.Errorf("%d engine(s) still have requests", a.working())
		}
	}
	return "no engine has a request", nil
}

// working is the number of engines that have requests.
func (a *administrator) working() (n int) {
	for _, pooled := range a.door.pool.Engines() {
		switch pooled.View().Phase {
		case enginepool.Active, enginepool.Breaking:
			n++
		}
	}
	return n
}

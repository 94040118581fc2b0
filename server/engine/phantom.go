package engine

import (
	"errors"

	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
	"roundhouse/enginepool"
)

// phantom is work without a client: commands that run one after the other on an engine of their own. Its output is dropped, and a
// question ends it, unless an answer was given beforehand. Owned by its loop.
type phantom struct {
	shard     *shard
	e         *engine
	procedure string
	mode      int
	commands  []command // still to be run
	answers   [][]byte  // for its questions
	call      call
	told      func(failure string) // who started it; nil when it has been told
}

// command is an Execute or a Call with its arguments.
type command struct {
	code int
	args []byte
}

var errPhantom = errors.New("a phantom is a login of mode 3, and then Execute, Call and Input")

// startPhantom takes the command of a client.
func (t *control) startPhantom(fields []byte) {
	c := t.client
	c.state = stateBusy
	c.shard.startPhantom(fields, trusted(c.conn), func(failure string) {
		if failure == "" {
			t.done(oes.Done, "Phantom started")
			return
		}
		c.shard.warn("a phantom was refused", "client", c.info.remote, "reason", failure)
		t.done(oes.Failed, failure)
	})
}

// startPhantom starts a phantom of subcommands, each a field, for somebody trusted or not. told is called once, later: with nothing when the
// engine has logged in.
func (s *shard) startPhantom(fields []byte, trusted bool, told func(failure string)) {
	p := &phantom{shard: s, told: told}
	a, err := p.parse(fields)
	failure := ""
	switch {
	case err != nil:
		failure = err.Error()
	case shared(&a.words) && !trusted:
		failure = "Access Denied"
	}
	if failure != "" {
		s.after(func() { told(failure) })
		return
	}
	start := func() {
		line := s.door.pool.PrivateLine(a.words)
		defer line.Release(s.door.pool)
		p.e = &engine{bound: p, door: s.door}
		if pooled := s.pool.Start(enginepool.Phantom, line, p.e, s.now()); pooled == nil {
			told("No engine available")
			return
		}
		s.phantoms[p] = true
	}
	if a.words.Location == "" {
		s.after(start)
		return
	}
	set := s.door.settings.Load()
	s.door.starting.Go(func() { // ends with the look at the directory; Door.Close waits for it
		dir, err := set.locations.resolve(a.words.Location)
		s.loop.Post(func() {
			if err != nil {
				told("Location not allowed")
				return
			}
			a.words.Location = dir
			start()
		})
	})
}

// parse reads the subcommands.
func (p *phantom) parse(fields []byte) (*attempt, error) {
	var a *attempt
	for len(fields) > 0 {
		var field []byte
		field, fields, _ = frame.Cut(fields)
		if len(field) == 0 {
			continue
		}
		code, parts, err := oes.ParseSubcommand(field)
		switch {
		case err != nil:
			return nil, errPhantom
		case code == oes.Login && a == nil:
			f := oes.ParseLogin(parts, frame.SubDelimiter)
			if mode, _, ok := oes.ParseMode(f.Mode); len(f.Mode) > 0 && (!ok || mode != oes.PhantomMode) {
				return nil, errPhantom
			}
			a = &attempt{}
			if why := a.fill(p.shard.door.settings.Load(), oes.PhantomMode, f); why != "" {
				return nil, errors.New(why)
			}
		case a != nil && (code == oes.Execute || code == oes.Call):
			p.commands = append(p.commands, command{code, subArgs(parts)})
		case a != nil && code == oes.Input:
			text, _, _ := frame.CutSub(parts)
			p.answers = append(p.answers, append([]byte(nil), text...))
		default:
			return nil, errPhantom
		}
	}
	if a == nil {
		return nil, errPhantom
	}
	p.procedure, p.mode = a.words.Procedure, a.words.Mode
	return a, nil
}

// subArgs makes arguments of the parts of a subcommand.
func subArgs(parts []byte) []byte {
	args := append([]byte(nil), parts...)
	for i := range args {
		if args[i] == frame.SubDelimiter {
			args[i] = frame.Delimiter
		}
	}
	if len(args) > 0 && args[len(args)-1] != frame.Delimiter {
		args = append(args, frame.Delimiter)
	}
	return args
}

func (p *phantom) engineReady(*engine) {
	p.tell("")
	p.next()
}

func (p *phantom) engineFailed(_ *engine, text string) {
	delete(p.shard.phantoms, p)
	p.tell("Login failed: " + clip(text))
}

func (p *phantom) engineGone(*engine) {
	delete(p.shard.phantoms, p)
	p.tell("Engine ended unexpectedly")
}

func (p *phantom) tell(failure string) {
	if told := p.told; told != nil {
		p.told = nil
		told(failure)
	}
}

// next runs the next command. After the last one the engine is stopped.
func (p *phantom) next() {
	s := p.shard
	if len(p.commands) == 0 || p.e.ending || p.e.pooled.Why() != enginepool.WhyNone {
		s.pool.Stop(p.e.pooled, enginepool.WhyDone, s.now())
		return
	}
	k := &p.call
	*k = call{code: p.commands[0].code, kind: "client", procedure: p.procedure, args: p.commands[0].args, owner: p}
	p.commands = p.commands[1:]
	k.waiter.Line, k.waiter.Mode = p.e.pooled.Line(), p.mode
	s.pool.Begin(p.e.pooled, p.mode, s.now())
	p.e.run(k)
}

func (p *phantom) started(*call)                     {}
func (p *phantom) working(*call)                     {}
func (p *phantom) output(*call, []byte)              {}
func (p *phantom) info(*call, []byte)                {}
func (p *phantom) result(*call, []byte, []byte, int) {}
func (p *phantom) more(*call, []byte)                {}
func (p *phantom) refused(*call, enginepool.Refusal) {}

func (p *phantom) ask(k *call, prompt []byte) {
	if len(p.answers) > 0 {
		p.e.answer(k, p.answers[0])
		p.answers = p.answers[1:]
		return
	}
	p.shard.log.Info("a phantom asks, and nobody answers: it is ended", "engine", p.e.name(), "prompt", clip(prompt))
	p.commands = nil
	p.e.interrupt(k, oes.Break)
	p.shard.pool.Broken(p.e.pooled, enginepool.WhyAdmin, "a phantom asked", p.shard.now())
}

func (p *phantom) failed(k *call, text string) {
	p.shard.log.Warn("a command of a phantom failed", "engine", p.e.name(), "procedure", k.procedure, "reason", clip(text))
}

func (p *phantom) over(*call) { p.shard.after(p.next) }

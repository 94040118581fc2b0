package engine

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"roundhouse/enginepool"
	"roundhouse/enginepool/proc"
	"roundhouse/server/loop"
)

// spawn starts the process of e in a goroutine, which ends when the process has started or failed to; Door.Close waits for it.
func (d *Door) spawn(e *engine, login enginepool.Login) {
	set := d.settings.Load()
	name := e.pooled.Name
	d.starting.Go(func() {
		spec, err := set.spec(name, login)
		if err != nil {
			d.notStarted(e, err)
			return
		}
		d.processes.Add(1)
		p, fd, err := proc.Start(spec, d.output(name), func(x proc.Exit) {
			e.reaped.Store(true)
			d.live.Delete(e)
			d.reaped(e, x)
			d.processes.Done()
		})
		if err != nil {
			d.processes.Done()
			d.notStarted(e, err)
			return
		}
		e.pid.Store(int64(p.PID()))
		if d.live.Store(e, p); e.reaped.Load() {
			d.live.Delete(e)
		}
		home := d.shards[e.pooled.Home()]
		err = home.loop.AdoptFD(fd, func(conn *loop.Conn, err error) loop.Session { return home.adopted(e, p, conn, err) })
		if err != nil {
			d.log.Error("an engine's socket could not be taken over", "engine", name, "error", err)
			p.Signal(syscall.SIGKILL)
			_ = unix.Close(fd)
		}
	})
}

// adopted takes over the connection of an engine that has started; an engine does not move before it has said hello.
func (s *shard) adopted(e *engine, p *proc.Process, conn *loop.Conn, err error) loop.Session {
	if err != nil {
		p.Signal(syscall.SIGKILL)
		return nil
	}
	e.process, e.conn = p, conn
	if e.doomed != 0 {
		p.Signal(e.doomed)
	}
	return e
}

// output writes the lines of an engine into the log.
func (d *Door) output(name string) proc.Output {
	return func(stream string, line []byte) {
		d.log.LogAttrs(context.Background(), slog.LevelInfo, "engine says", slog.String("engine", name), slog.String("stream", stream), slog.String("line", string(line)))
	}
}

// notStarted tells the pool that there is no process.
func (d *Door) notStarted(e *engine, err error) {
	d.log.Error("an engine cannot be started", "engine", e.pooled.Name, "error", err)
	d.tellExit(e, err.Error())
}

// reaped tells the pool that the process has ended.
func (d *Door) reaped(e *engine, x proc.Exit) {
	text := x.String()
	level, lines := slog.LevelDebug, ""
	if x.Code != 0 {
		level, lines = slog.LevelInfo, strings.Join(x.Stderr, "\n")
	}
	d.log.Log(context.Background(), level, "an engine has ended", "engine", e.pooled.Name, "pid", e.pid.Load(), "exit", text, "stderr", lines)
	d.tellExit(e, text)
}

// tellExit brings the end of a process to the loop that the engine is on.
func (d *Door) tellExit(e *engine, text string) {
	s := d.shards[e.pooled.Home()]
	s.loop.Post(func() { s.exited(e, text) }) // a loop that is stopping needs no more of it
}

// exited takes the end of a process.
func (s *shard) exited(e *engine, text string) {
	e.exit.Store(&text)
	if e.moving.Load() {
		return // arrived sees it
	}
	if e.pooled.Home() != s.index {
		s.door.tellExit(e, text)
		return
	}
	if e.conn == nil {
		s.gone(e)
		return
	}
	// What it has written last is still to be read. Something that has left its group may hold the socket open: not for long.
	t := s.loop.NewTimer(func() {
		if e.conn != nil {
			e.conn.Abort(errEngine)
		}
	})
	t.Arm(exitTime)
}

const exitTime = time.Second // from the end of a process until its socket is closed

// gone gives the slot of an engine back, of which nothing is left.
func (s *shard) gone(e *engine) {
	e.process = nil
	s.pool.Exited(e.pooled, *e.exit.Load(), s.now())
	s.stats.left(e)
	s.after(func() {
		if t := e.bound; t != nil { // whose it is by then
			t.engineGone(e)
		}
	})
}

// spec says how an engine is started.
func (set *settings) spec(name string, login enginepool.Login) (proc.Spec, error) {
	p := &set.cfg.Process
	line, _ := set.cfg.Command(login.Type)
	dir := p.Dir
	if login.Location != "" {
		dir = login.Location
	}
	argv, err := proc.Command(line, map[string]string{"app": login.Application, "user": login.User, "loc": dir, "engine": name})
	if err != nil {
		return proc.Spec{}, err
	}
	return proc.Spec{Name: name, Argv: argv, Dir: dir, Env: append(environ(), p.Env...), User: p.User, Nice: p.Nice, Stdio: p.Transport == "stdio"}, nil
}

// environ is what engines inherit: all but the server's own settings, some of which are secrets.
func environ() []string {
	var env []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "ROUNDHOUSE_") {
			env = append(env, pair)
		}
	}
	return env
}

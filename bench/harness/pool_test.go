package harness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestPIDs looks at two processes with a child each: who is the server depends on whether there is a front.
func TestPIDs(t *testing.T) {
	l := newLab(t)
	c := Contender{Name: "two"}
	for i := range 2 {
		p, err := l.Start(fmt.Sprint("p", i), "sh", "-c", "sleep 600 & wait")
		if err != nil {
			t.Fatal(err)
		}
		c.Procs = append(c.Procs, p)
	}
	count := func(p *Pool, wantServer, wantEngines int) {
		t.Helper()
		err := WaitFor(t.Context(), time.Minute, "children", func() error {
			server, engines, err := p.PIDs()
			if err == nil && (len(server) != wantServer || len(engines) != wantEngines) {
				err = fmt.Errorf("server %v, engines %v of %d and %d", server, engines, c.Procs[0].PID, c.Procs[1].PID)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	forking := &Pool{Contender: c}
	count(forking, 2, 2)
	fronted := &Pool{Contender: c, front: c.Procs[1]}
	count(fronted, 2, 2)
	if server, _, err := fronted.PIDs(); err != nil || server[0] != c.Procs[1].PID {
		t.Errorf("server %v, %v: want %d and its child", server, err, c.Procs[1].PID)
	}
	before, err := fronted.ReadCPU()
	if err != nil {
		t.Fatal(err)
	}
	after := CPUReading{server: map[int]time.Duration{}, engines: map[int]time.Duration{}}
	for pid, used := range before.server {
		after.server[pid] = used + time.Second
	}
	for pid, used := range before.engines {
		after.engines[pid] = used + time.Minute
	}
	if server, engines := after.Since(before); server != 2*time.Second || engines != 2*time.Minute {
		t.Errorf("since: %v, %v", server, engines)
	}
	if err := fronted.Ended(); err != nil {
		t.Error(err)
	}
	c.Procs[0].Stop()
	if err := fronted.Ended(); err == nil {
		t.Error("a process ended and nobody noticed")
	}
}

func TestFindProgram(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"php7", "php8"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := findProgram("no-such-program", filepath.Join(dir, "php*")); err != nil || got != filepath.Join(dir, "php8") {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := findProgram("no-such-program", filepath.Join(dir, "x*")); !errors.Is(err, ErrMissing) {
		t.Errorf("err = %v", err)
	}
}

package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func newLab(t *testing.T) *Lab {
	t.Helper()
	l, err := NewLab()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func TestCloseEndsTheWholeTree(t *testing.T) {
	l := newLab(t)
	// The grandchild is in a session of its own: a signal to the group does not reach it.
	p, err := l.Start("tree", "sh", "-c", "setsid sleep 600 & wait")
	if err != nil {
		t.Fatal(err)
	}
	var tree []ProcID
	err = WaitFor(t.Context(), time.Minute, "grandchild", func() error {
		tree, err = Descendants(p.PID)
		if err == nil && len(tree) < 2 {
			err = errors.New("not yet")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := os.Stat(l.Dir); !os.IsNotExist(err) {
		t.Errorf("the directory is left: %v", err)
	}
	for _, id := range tree {
		err := WaitFor(t.Context(), time.Minute, "end", func() error {
			if now, err := readStat(id.PID); err == nil && now.start == id.start && !isZombie(t, id.PID) {
				return errors.New("it lives")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// isZombie tells whether a process ended and only waits for its foster parent to notice, which may never happen.
func isZombie(t *testing.T, pid int) bool {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(text), ") Z ")
}

func TestEndedTellsTheLog(t *testing.T) {
	l := newLab(t)
	p, err := l.Start("short", "sh", "-c", "echo first; echo last words >&2; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	err = WaitFor(t.Context(), time.Minute, "never", func() error {
		if err := p.Ended(); err != nil {
			return err
		}
		return errors.New("running")
	})
	if err == nil || !strings.Contains(err.Error(), "first | last words") {
		t.Errorf("err = %v", err)
	}
	if time.Since(begin) > time.Minute {
		t.Error("waited on though the process was gone")
	}
}

func TestWaitForGivesUp(t *testing.T) {
	complaint := errors.New("complaint")
	err := WaitFor(t.Context(), time.Millisecond, "nothing", func() error { return complaint })
	if !errors.Is(err, complaint) {
		t.Errorf("limit: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := WaitFor(ctx, time.Hour, "nothing", func() error { return complaint }); !errors.Is(err, complaint) {
		t.Errorf("canceled: %v", err)
	}
}

func TestFreePortIsFree(t *testing.T) {
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	if err := dialOnce(port); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v, want refused", err)
	}
}

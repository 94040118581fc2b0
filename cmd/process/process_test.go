package process

import (
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestWatch(t *testing.T) {
	signals, stopped, cancelled, exited := make(chan os.Signal), make(chan struct{}), make(chan struct{}), make(chan int, 1)
	done := make(chan struct{})
	go func() { // ends with the second signal; the test waits for done
		defer close(done)
		watch(signals, stopped, func() { close(cancelled) }, slog.New(slog.DiscardHandler), func(code int) { exited <- code })
	}()
	signals <- syscall.SIGTERM
	<-cancelled
	select {
	case code := <-exited:
		t.Fatalf("the first signal ended the process with %d", code)
	default:
	}
	signals <- syscall.SIGINT
	<-done
	if code := <-exited; code != ExitForced {
		t.Errorf("exit code %d, want %d", code, ExitForced)
	}
}

func TestWatchStops(t *testing.T) {
	stopped := make(chan struct{})
	close(stopped)
	watch(nil, stopped, func() { t.Error("cancelled") }, slog.New(slog.DiscardHandler), func(int) { t.Error("exited") })
}

func TestBuildString(t *testing.T) {
	if got := ReadBuild().String(); !strings.Contains(got, "go1") {
		t.Errorf("version %q does not name the Go release", got)
	}
	b := Build{Version: "v1.2.3", Commit: "abc", Go: "go1.26", OS: "linux", Arch: "amd64"}
	if got, want := b.String(), "v1.2.3 (abc) go1.26 linux/amd64"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

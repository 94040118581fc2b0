package config

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// stuck is a writer that blocks until it is let go.
type stuck struct {
	free chan struct{}
	got  bytes.Buffer
}

func (s *stuck) Write(b []byte) (int, error) {
	<-s.free
	return s.got.Write(b)
}

func TestLineWriterNeverBlocks(t *testing.T) {
	to := &stuck{free: make(chan struct{})}
	l := NewLineWriter(to)
	const lines = 5000
	for i := range lines {
		fmt.Fprintf(l, "line %d\n", i) // would hang here if Write waited
	}
	if l.Dropped() == 0 {
		t.Error("5000 lines wait for a stuck writer, none dropped")
	}
	close(to.free)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	written := strings.Count(to.got.String(), "\n")
	if got := int64(written) + l.Dropped(); got != lines {
		t.Errorf("%d written and %d dropped of %d", written, l.Dropped(), lines)
	}
	if !strings.HasPrefix(to.got.String(), "line 0\nline 1\n") {
		t.Error("not in order")
	}
	fmt.Fprintln(l, "late") // straight through
	if !strings.HasSuffix(to.got.String(), "late\n") {
		t.Error("a line after Close is lost")
	}
}

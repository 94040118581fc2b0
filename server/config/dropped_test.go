package config

import (
	"errors"
	"log/slog"
	"testing"
)

// refusing is a disk that is full.
type refusing struct{}

func (refusing) Write([]byte) (int, error) { return 0, errors.New("no space") }

// TestDropped counts lines that a full disk does not take, also those that come several at a time.
func TestDropped(t *testing.T) {
	lines := NewLineWriter(refusing{})
	log := NewLogger(lines, "rs", slog.LevelInfo).With("a", "b")
	log.Info("one")
	if _, err := lines.Write([]byte("two\nthree\n")); err != nil {
		t.Error(err)
	}
	if err := lines.Close(); err != nil {
		t.Error(err)
	}
	if n := Dropped(log); n != 3 {
		t.Errorf("%d lines", n)
	}
	if n := Dropped(slog.New(slog.DiscardHandler)); n != 0 {
		t.Errorf("%d lines of another logger", n)
	}
}

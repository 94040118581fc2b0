package config

import (
	"io"
	"log/slog"
	"os"

	"roundhouse/server/logfile"
)

// VerbosityLevel returns the least level of log records at a verbosity of the original: 0 errors, 1 informative ones too,
// 2 to 4 debugging ones too, 5 everything.
func VerbosityLevel(verbosity int) slog.Level {
	switch {
	case verbosity <= 0:
		return slog.LevelError
	case verbosity == 1:
		return slog.LevelInfo
	case verbosity < 5:
		return slog.LevelDebug
	default:
		return slog.LevelDebug - 4
	}
}

// MinLevel returns the least level of log records: that of Level, else that of Verbosity.
func (l Log) MinLevel() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil { // empty; Validate has refused the rest
		return VerbosityLevel(l.Verbosity)
	}
	return level
}

// NewLogger returns a logger that writes records of level and above to w. format is auto, text, json or rs; auto is text if w
// is a terminal, rs is the lines of the original, see package logfile.
func NewLogger(w io.Writer, format string, level slog.Level) *slog.Logger {
	least := new(slog.LevelVar)
	least.Set(level)
	if format == "rs" {
		return slog.New(leveled{logfile.NewHandler(w, least), least})
	}
	options := &slog.HandlerOptions{Level: least}
	if format == "json" || format == "auto" && !isTerminal(w) {
		return slog.New(leveled{slog.NewJSONHandler(w, options), least})
	}
	return slog.New(leveled{slog.NewTextHandler(w, options), least})
}

// SetLevel changes the level of a logger that NewLogger has made, and of all that were derived from the same one. Another
// logger stays as it is. Any goroutine may call it.
func SetLevel(log *slog.Logger, level slog.Level) {
	if h, ok := log.Handler().(leveled); ok {
		h.least.Set(level)
	}
}

// leveled is a handler whose level can be changed.
type leveled struct {
	slog.Handler
	least *slog.LevelVar // of the handler
}

func (l leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return leveled{l.Handler.WithAttrs(attrs), l.least}
}

func (l leveled) WithGroup(name string) slog.Handler {
	return leveled{l.Handler.WithGroup(name), l.least}
}

func isTerminal(w io.Writer) bool {
	if l, ok := w.(*LineWriter); ok {
		w = l.to
	}
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

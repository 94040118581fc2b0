package config

import (
	"io"
	"log/slog"
	"os"
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

// NewLogger returns a logger that writes records of level and above to w. format is auto, text or json; auto is text if w
// is a terminal.
func NewLogger(w io.Writer, format string, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" || format == "auto" && !isTerminal(w) {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
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

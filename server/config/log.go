package config

import (
	"io"
	"log/slog"
	"os"

	"roundhouse/server/logfile"
)

// Levels of log records below slog.LevelInfo: what the verbosities of the original add.
const (
	LevelRequest = slog.LevelInfo - 1  // 2: each request
	LevelPacket  = slog.LevelInfo - 2  // 3: each packet between relay and enabler
	LevelDebug   = slog.LevelDebug     // 4
	LevelBytes   = slog.LevelDebug - 4 // 5: the bytes themselves, payloads included
)

// VerbosityLevel returns the least level of log records at a verbosity of the original: 0 errors, 1 informative ones too, 2 to 5 as the
// constants say.
func VerbosityLevel(verbosity int) slog.Level {
	switch {
	case verbosity <= 0:
		return slog.LevelError
	case verbosity == 1:
		return slog.LevelInfo
	case verbosity == 2:
		return LevelRequest
	case verbosity == 3:
		return LevelPacket
	case verbosity == 4:
		return LevelDebug
	default:
		return LevelBytes
	}
}

// LevelVerbosity returns the highest verbosity whose records a level lets through: the other way round.
func LevelVerbosity(level slog.Level) int {
	for v := 5; v > 0; v-- {
		if level <= VerbosityLevel(v) {
			return v
		}
	}
	return 0
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
	if format == "auto" {
		format = "json"
		if isTerminal(w) {
			format = "text"
		}
	}
	var h slog.Handler
	switch options := (&slog.HandlerOptions{Level: least}); format {
	case "rs":
		h = logfile.NewHandler(w, least)
	case "json":
		h = slog.NewJSONHandler(w, options)
	default:
		format = "text"
		h = slog.NewTextHandler(w, options)
	}
	return slog.New(leveled{h, least, w, format})
}

// SetLevel changes the level of a logger that NewLogger has made, and of all that were derived from the same one. Another
// logger stays as it is. Any goroutine may call it.
func SetLevel(log *slog.Logger, level slog.Level) {
	if h, ok := log.Handler().(leveled); ok {
		h.least.Set(level)
	}
}

// Output returns where a logger writes to and in which format, text, json or rs; false unless NewLogger has made it, or what it was
// derived from. Whole lines of that format may be written there along with it.
func Output(log *slog.Logger) (w io.Writer, format string, ok bool) {
	h, ok := log.Handler().(leveled)
	return h.w, h.format, ok
}

// Dropped returns how many lines of a logger that NewLogger has made were dropped by the LineWriter that it writes to, if it does.
func Dropped(log *slog.Logger) int64 {
	if h, ok := log.Handler().(leveled); ok {
		if l, ok := h.w.(*LineWriter); ok {
			return l.Dropped()
		}
	}
	return 0
}

// leveled is a handler whose level can be changed.
type leveled struct {
	slog.Handler
	least  *slog.LevelVar // of the handler
	w      io.Writer
	format string // text, json or rs
}

func (l leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	l.Handler = l.Handler.WithAttrs(attrs)
	return l
}

func (l leveled) WithGroup(name string) slog.Handler {
	l.Handler = l.Handler.WithGroup(name)
	return l
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

package main

import (
	"io"
	"log/slog"

	"roundhouse/server/config"
	"roundhouse/server/logfile"
	"roundhouse/server/outbound"
)

// logs are where the log goes: a file, the terminal, or both.
type logs struct {
	*slog.Logger
	file  *logfile.File // nil: none
	lines []*config.LineWriter

	records io.Writer // gets a record of each request; nil: nobody wants them
}

// openLogs opens them: the file of -o or -ot; the terminal when there is none, or with -dl. -q leaves errors only to the terminal.
func openLogs(e *config.Enabler, terminal io.Writer) (*logs, error) {
	l := &logs{}
	var handlers []slog.Handler
	add := func(w io.Writer, level slog.Level) {
		lines := config.NewLineWriter(w)
		l.lines = append(l.lines, lines)
		handlers = append(handlers, config.NewLogger(lines, e.LogFormat, level).Handler())
	}
	level := config.VerbosityLevel(e.Verbosity)
	if e.LogFile != "" {
		file, err := logfile.Open(e.LogFile, logfile.Options{MaxSize: e.LogSize, Truncate: e.LogTruncate})
		if err != nil {
			return nil, err
		}
		l.file = file
		add(file, level)
	}
	switch {
	case e.LogToTerminal:
		add(terminal, min(level, slog.LevelInfo))
	case e.LogFile != "":
	case e.Quiet:
		add(terminal, slog.LevelError)
	default:
		add(terminal, level)
	}
	if err := l.keepRecords(e); err != nil {
		l.close()
		return nil, err
	}
	if len(handlers) == 1 {
		l.Logger = slog.New(handlers[0])
	} else {
		l.Logger = slog.New(slog.NewMultiHandler(handlers...))
	}
	return l, nil
}

// flush writes what waits. Nothing more must be logged.
func (l *logs) flush() error {
	for _, lines := range l.lines {
		_ = lines.Close() // cannot fail
	}
	return nil
}

// dropped is how many lines nobody will see.
func (l *logs) dropped() (n int64) {
	for _, lines := range l.lines {
		n += lines.Dropped()
	}
	return n
}

func (l *logs) close() {
	_ = l.flush() // cannot fail
	if l.file != nil {
		_ = l.file.Close() // every record was written when it was made
	}
}

// keepRecords has the records of requests written where the log goes first: to the file, if there is one, with their header in each new
// file. As objects of JSON they have none.
func (l *logs) keepRecords(e *config.Enabler) error {
	if max(e.Verbosity, e.PassportVerbosity) < 1 || e.Quiet && l.file == nil && !e.LogToTerminal {
		return nil
	}
	l.records = l.lines[0]
	switch {
	case e.LogFormat == "json":
		return nil
	case l.file != nil:
		return l.file.SetHeader(func() []byte { return outbound.RecordHeader(e.LogFormat) })
	default:
		_, err := l.records.Write(outbound.RecordHeader(e.LogFormat))
		return err
	}
}

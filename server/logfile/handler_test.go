package logfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"regexp"
	"testing"
	"time"
)

// TestLine looks at the shape of lines: the brackets, the level, and how attributes stand at the end.
func TestLine(t *testing.T) {
	at := time.Date(2012, 7, 19, 15, 6, 32, 909_400_000, time.Local)
	brackets := func(rest string) string { return fmt.Sprintf("2012-07-19 15:06:32.909 <%d.%s> ", os.Getpid(), rest) }
	for _, c := range []struct {
		name  string
		level slog.Level
		text  string
		with  func(*slog.Logger) *slog.Logger
		attrs []any
		want  string
	}{
		{"text alone", slog.LevelInfo, "Relaying headers", nil, nil, "I. " + brackets("0") + "Relaying headers"},
		{"all indexes", slog.LevelInfo, "Relaying headers", nil,
			[]any{KeyLoop, 3, KeyFarm, 0, KeyBackend, 1, KeySession, int64(6), KeyRequest, 0}, "I. " + brackets("3.F0B1S6R0") + "Relaying headers"},
		{"parts omitted", slog.LevelWarn, "x", nil, []any{KeyRequest, 12, KeyFarm, 2}, "W. " + brackets("0.F2R12") + "x"},
		{"error", slog.LevelError, "x", nil, []any{"error", errors.New("it broke")}, "E. " + brackets("0") + `x error="it broke"`},
		{"debug", slog.LevelDebug, "x", nil, []any{"n", -1, "yes", true, "u", uint64(7), "f", 1.5}, "D. " + brackets("0") + "x n=-1 yes=true u=7 f=1.5"},
		{"values", slog.LevelInfo, "x", nil,
			[]any{"took", 1500 * time.Millisecond, "addr", netip.MustParseAddr("::1"), "empty", "", "quote", `a"b`, "equal", "a=b", "list", []int{1, 2}},
			"I. " + brackets("0") + `x took=1.5s addr=::1 empty="" quote="a\"b" equal="a=b" list="[1 2]"`},
		{"no second line", slog.LevelInfo, "a\r\nE. b\x00", nil, []any{"v", "c\nd"}, "I. " + brackets("0") + `a\r\nE. b\x00 v="c\nd"`},
		{"not an index", slog.LevelInfo, "x", nil, []any{KeyLoop, "first", KeyFarm, -1}, "I. " + brackets("0") + "x loop=first fidx=-1"},
		{"a passport", slog.LevelInfo, "x", nil, []any{KeyPassport, "#SAP-PPK#V2#8fa4", "a", "b"}, "I. " + brackets("0") + "x a=b #SAP-PPK#V2#8fa4"},
		{"derived", slog.LevelInfo, "x",
			func(l *slog.Logger) *slog.Logger {
				return l.With("door", "relay", KeyLoop, 5).WithGroup("g").With("a", 1)
			},
			[]any{"b", 2, KeyFarm, 3, slog.Group("h", "c", 4)}, "I. " + brackets("5") + "x door=relay g.a=1 g.b=2 g.fidx=3 g.h.c=4"},
	} {
		var out bytes.Buffer
		log := slog.New(NewHandler(&out, slog.LevelDebug))
		if c.with != nil {
			log = c.with(log)
		}
		r := slog.NewRecord(at, c.level, c.text, 0)
		r.Add(c.attrs...)
		if err := log.Handler().Handle(context.Background(), r); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if out.String() != c.want+"\n" {
			t.Errorf("%s:\n got %q\nwant %q", c.name, out.String(), c.want+"\n")
		}
	}
}

// pieces keeps each write by itself.
type pieces struct{ all []string }

func (p *pieces) Write(b []byte) (int, error) {
	p.all = append(p.all, string(b))
	return len(b), nil
}

// TestOneWriteARecord sees that a record is one write, and that a level below the least is none.
func TestOneWriteARecord(t *testing.T) {
	var least slog.LevelVar
	least.Set(slog.LevelWarn)
	var out pieces
	log := slog.New(NewHandler(&out, &least)).With("a", "b")
	log.Info("not seen")
	log.Warn("seen", "c", "d")
	least.Set(slog.LevelInfo)
	log.Info("now seen")
	shape := regexp.MustCompile(`^[WI]\. \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} <\d+\.0> (now )?seen a=b( c=d)?\n$`)
	if len(out.all) != 2 {
		t.Fatalf("%q", out.all)
	}
	for _, line := range out.all {
		if !shape.MatchString(line) {
			t.Errorf("%q", line)
		}
	}
}

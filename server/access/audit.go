package access

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
)

// trailRate is how many records of the audit trail are written a second; more are counted, and the next record says how many.
const trailRate = 200

// trail is the audit trail. No secret ever comes here. Any goroutine.
type trail struct {
	log     *slog.Logger
	now     func() time.Time
	second  atomic.Int64 // in which the records were counted
	written atomic.Int64 // in it
	dropped atomic.Int64 // since a record was written
}

// level returns the level of a decision.
func (a Audit) level(may bool) slog.Level {
	if may && a != AuditGrants {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func (t *trail) decision(w *view, user string, may bool, v Verb, project, subject string) {
	if level := w.audit.level(may); t.admits(level) {
		t.write(level, may, "user", user, "verb", v.String(), "project", clip(project), "subject", clip(subject))
	}
}

func (t *trail) order(w *view, user string, may bool, messageType int32) {
	if level := w.audit.level(may); t.admits(level) {
		t.write(level, may, "user", user, "message_type", messageType)
	}
}

// entry records an attempt to come in. user is what was claimed; way is how; err is nil when it was granted.
func (t *trail) entry(audit Audit, user, way string, err error) {
	may := err == nil
	level := audit.level(may)
	switch {
	case audit == AuditNothing || !t.admits(level):
	case errors.Is(err, ErrBusy):
		t.write(level, may, "user", clip(user), "verb", "enter", "by", way, "error", err)
	default:
		t.write(level, may, "user", clip(user), "verb", "enter", "by", way)
	}
}

// admits tells whether a record is to be written. It counts it when there are too many: somebody who publishes what he may not
// must not fill the disk, nor slow his loop down.
func (t *trail) admits(level slog.Level) bool {
	if !t.log.Enabled(context.Background(), level) {
		return false
	}
	if now := t.now().Unix(); t.second.Swap(now) != now {
		t.written.Store(0)
	}
	if t.written.Add(1) > trailRate {
		t.dropped.Add(1)
		return false
	}
	return true
}

func (t *trail) write(level slog.Level, may bool, args ...any) {
	text := "access denied"
	if may {
		text = "access granted"
	}
	if n := t.dropped.Swap(0); n > 0 {
		args = append(args, "not_told", n)
	}
	t.log.Log(context.Background(), level, text, args...)
}

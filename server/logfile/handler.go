package logfile

import (
	"context"
	"encoding"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Keys of attributes that stand between the angle brackets of a line instead of at its end, if their value is a whole number.
const (
	KeyLoop    = "loop" // number of the loop
	KeyFarm    = "fidx" // index of the farm, from 0; as those that follow
	KeyBackend = "bidx"
	KeySession = "sidx"
	KeyRequest = "ridx"
)

// KeyPassport is the key of an attribute, a text, that stands by itself at the end of a line.
const KeyPassport = "passport"

// indexKeys are those that have a letter, in the order of a line.
var indexKeys = [...]string{KeyFarm, KeyBackend, KeySession, KeyRequest}

const indexLetters = "FBSR"

// Handler writes records as lines of the original; see the package comment. It is safe for concurrent use.
type Handler struct {
	// Fixed.
	least  slog.Leveler
	w      io.Writer
	mu     *sync.Mutex // held while w is written to; shared with the handlers that are derived
	where  where
	attrs  []byte // of WithAttrs, as they stand in a line
	prefix string // of names, from WithGroup: "a.b."
}

// where is what stands between the angle brackets, besides the process.
type where struct {
	loop     int64
	index    Index
	passport string // which stands at the end
}

// NewHandler returns a handler that writes records of level least and above to w, one Write each.
func NewHandler(w io.Writer, least slog.Leveler) *Handler {
	return &Handler{least: least, w: w, mu: new(sync.Mutex)}
}

// Enabled reports whether records of the level are written.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.least.Level() }

// lineBuffers are used again.
var lineBuffers = sync.Pool{New: func() any { return new([]byte) }}

// maxBuffer is the largest buffer that is kept, in bytes.
const maxBuffer = 16 << 10

// Handle writes a record.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	buffer := lineBuffers.Get().(*[]byte)
	at := h.where
	tail := append((*buffer)[:0], h.attrs...) // first: the attributes say what stands in front
	r.Attrs(func(a slog.Attr) bool {
		tail = appendAttr(tail, h.prefix, a, &at)
		return true
	})
	end := len(tail)
	b := AppendHead(tail, r.Level, r.Time, at.loop, at.index)
	b = appendText(b, r.Message)
	b = append(b, tail[:end]...)
	if at.passport != "" {
		b = appendText(append(b, ' '), at.passport)
	}
	b = append(b, '\n')
	h.mu.Lock()
	_, err := h.w.Write(b[end:])
	h.mu.Unlock()
	if cap(b) <= maxBuffer {
		*buffer = b
		lineBuffers.Put(buffer)
	}
	return err
}

// WithAttrs returns a handler whose records have these attributes, too.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	derived := *h
	derived.attrs = slices.Clip(slices.Clone(h.attrs))
	for _, a := range attrs {
		derived.attrs = appendAttr(derived.attrs, h.prefix, a, &derived.where)
	}
	return &derived
}

// WithGroup returns a handler that puts the name of the group before those of its attributes.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	derived := *h
	derived.prefix += name + "."
	return &derived
}

// Index has the indexes of farm, back-end server, session and request, each 1 more than it is; 0: not known.
type Index [len(indexKeys)]int64

// AppendHead appends a line as far as its text. A zero time is now.
func AppendHead(b []byte, level slog.Level, t time.Time, loop int64, index Index) []byte {
	letter := byte('D')
	switch {
	case level >= slog.LevelError:
		letter = 'E'
	case level >= slog.LevelWarn:
		letter = 'W'
	case level > slog.LevelDebug: // requests and packets, too
		letter = 'I'
	}
	if t.IsZero() {
		t = time.Now()
	}
	b = append(b, letter, '.', ' ')
	b = t.Local().AppendFormat(b, "2006-01-02 15:04:05.000")
	b = append(b, " <"...)
	b = strconv.AppendInt(b, pid, 10)
	b = append(b, '.')
	b = strconv.AppendInt(b, loop, 10)
	first := true
	for i, n := range index {
		if n == 0 {
			continue
		}
		if first {
			b = append(b, '.')
			first = false
		}
		b = strconv.AppendInt(append(b, indexLetters[i]), n-1, 10)
	}
	return append(b, "> "...)
}

var pid = int64(os.Getpid())

// appendAttr appends " name=value", or keeps what belongs between the brackets.
func appendAttr(b []byte, prefix string, a slog.Attr, at *where) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			b = appendAttr(b, prefix, member, at)
		}
		return b
	}
	if a.Key == "" && v.Any() == nil || prefix == "" && at.take(a.Key, v) {
		return b
	}
	b = append(append(append(b, ' '), prefix...), a.Key...)
	return appendValue(append(b, '='), v)
}

// take keeps an index, and tells whether it was one.
func (at *where) take(key string, v slog.Value) bool {
	if key == KeyPassport && v.Kind() == slog.KindString {
		at.passport = v.String()
		return true
	}
	if v.Kind() != slog.KindInt64 || v.Int64() < 0 {
		return false
	}
	if key == KeyLoop {
		at.loop = v.Int64()
		return true
	}
	i := slices.Index(indexKeys[:], key)
	if i < 0 {
		return false
	}
	at.index[i] = v.Int64() + 1
	return true
}

func appendValue(b []byte, v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindInt64:
		return strconv.AppendInt(b, v.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(b, v.Uint64(), 10)
	case slog.KindBool:
		return strconv.AppendBool(b, v.Bool())
	case slog.KindTime:
		return v.Time().AppendFormat(b, time.RFC3339Nano)
	case slog.KindAny:
		switch x := v.Any().(type) {
		case error:
			return appendQuotedMaybe(b, x.Error())
		case encoding.TextMarshaler:
			if text, err := x.MarshalText(); err == nil {
				return appendQuotedMaybe(b, string(text))
			}
		}
		return appendQuotedMaybe(b, fmt.Sprint(v.Any()))
	default:
		return appendQuotedMaybe(b, v.String())
	}
}

// appendQuotedMaybe appends a value, in quotes where it would not be read as one without.
func appendQuotedMaybe(b []byte, s string) []byte {
	plain := s != ""
	for _, r := range s {
		if r <= ' ' || r == '"' || r == '=' || r == '\\' || r == utf8.RuneError || !unicode.IsPrint(r) {
			plain = false
			break
		}
	}
	if plain {
		return append(b, s...)
	}
	return strconv.AppendQuote(b, s)
}

// appendText appends a text so that it stays on its line.
func appendText(b []byte, s string) []byte {
	for _, r := range s {
		if r >= ' ' && r != 0x7f {
			b = utf8.AppendRune(b, r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b = append(b, quoted[1:len(quoted)-1]...)
	}
	return b
}

package outbound

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roundhouse/server/config"
)

// TestSign checks a signature as a relay does that knows only the hash of the token.
func TestSign(t *testing.T) {
	e := &Enabler{cfg: &config.Enabler{Farm: "F", ID: "S", Token: "secret"}, self: self{run: "4711"}, log: slog.New(slog.DiscardHandler)}
	key, _ := hex.DecodeString("2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b") // printf secret | sha256sum
	seen := map[string]bool{}
	for _, ahead := range []time.Duration{0, time.Hour} {
		e.self.clock.Store(int64(ahead))
		before := time.Now().Add(ahead).Truncate(time.Second)
		said := strings.Split(e.sign(purpose{method: "POST", op: "down", lane: "4711.x/3", instance: "theirs"}), ",")
		if len(said) != 3 || len(said[1]) != 32 || seen[said[1]] {
			t.Fatal("said", said)
		}
		seen[said[1]] = true
		ts, err := strconv.ParseInt(said[0], 10, 64)
		if at := time.Unix(ts, 0); err != nil || at.Before(before) || at.After(time.Now().Add(ahead)) {
			t.Errorf("time %s: not between %v and now, %v", said[0], before, err)
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte("Ias-Rs-Proto: 2\nPOST\ndown\nF\nS\n4711\n4711.x/3\ntheirs\n" + said[0] + "\n" + said[1]))
		if want := hex.EncodeToString(mac.Sum(nil)); said[2] != want {
			t.Errorf("said %s, want %s", said[2], want)
		}
	}
}

func TestAdapterAddresses(t *testing.T) {
	macs, err := adapterAddresses()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range macs {
		if b, err := hex.DecodeString(strings.ReplaceAll(m, "-", "")); err != nil || len(b) != 6 || len(m) != 17 {
			t.Errorf("%q", m)
		}
	}
}

// TestClockCorrection has a relay refuse what was not signed in its time: the next call goes by its clock, at once, and is welcome.
func TestClockCorrection(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, -24 * time.Hour, 0} {
		var calls, refused atomic.Int32
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			calls.Add(1)
			now := time.Now().Add(ahead)
			ts, _ := strconv.ParseInt(strings.Split(q.Header.Get("Ias-Rs-Auth"), ",")[0], 10, 64)
			w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
			if off := now.Sub(time.Unix(ts, 0)); off > 300*time.Second || off < -300*time.Second || q.Header.Get("Ias-Rs-Token") != "" {
				refused.Add(1)
				w.Header().Set("Ias-Rs-Error", "2001")
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			io.WriteString(w, `{"peers":[{"host":"a","http_port":1,"lanes":1}]}`)
		}))
		host, port, _ := net.SplitHostPort(s.Listener.Addr().String())
		n, _ := strconv.Atoi(port)
		e := &Enabler{cfg: &config.Enabler{Farm: "F", ID: "S", Token: "secret", Relays: []config.RelayAddr{{Host: host, Port: n, URLSuffix: "/x"}}}, log: slog.New(slog.DiscardHandler)}
		e.ways = []*way{newWay(&e.cfg.Relays[0], nil, nil)}
		want := int32(0)
		if ahead != 0 {
			want = 1
		}
		for range 3 {
			_, err := e.fetchPeers(t.Context(), 0)
			if correctClock(e, err) {
				_, err = e.fetchPeers(t.Context(), 0)
			}
			if err != nil {
				t.Errorf("%v ahead: %v", ahead, err)
			}
		}
		if refused.Load() != want || calls.Load() != 3+want {
			t.Errorf("%v ahead: %d calls, %d refused", ahead, calls.Load(), refused.Load())
		}
		if correctClock(e, &refusal{status: http.StatusUnauthorized, number: numberUnauthorized, date: time.Now().Add(ahead)}) {
			t.Errorf("%v ahead: corrected by what it knows", ahead)
		}
		s.Close()
	}
}

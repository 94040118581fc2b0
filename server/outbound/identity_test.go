package outbound

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strconv"
	"strings"
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
		said := strings.Split(e.sign("POST"), ",")
		if len(said) != 3 || len(said[1]) != 32 || seen[said[1]] {
			t.Fatal("said", said)
		}
		seen[said[1]] = true
		ts, err := strconv.ParseInt(said[0], 10, 64)
		if d := time.Unix(ts, 0).Sub(time.Now().Add(ahead)); err != nil || d < -2*time.Second || d > time.Second {
			t.Errorf("time %s: %v off, %v", said[0], d, err)
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte("POST|F|S|4711|" + said[0] + "|" + said[1]))
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

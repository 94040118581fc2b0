package outbound

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// self is who the enabler is, besides its farm, id and token.
type self struct {
	run   string       // identifies this run to the relays
	macs  []string     // of this machine's adapters
	clock atomic.Int64 // how far the relays' clock is ahead of ours, in nanoseconds
	shows atomic.Bool  // a relay has only a hash of the token: calls over HTTPS send the token itself
}

// purpose is what a call to a relay server is for.
type purpose struct {
	method, op string
	lane       string // which one, and which of its bodies; empty: the call is for none
	instance   string // the process of the relay server that it is for, as far as it is known
}

// proto is the version of our calls.
const proto = "2"

// identity are the fields by which the enabler says who it is, and what it calls for. secured: the call goes over HTTPS.
func (e *Enabler) identity(p purpose, secured bool) [][2]string {
	f := [][2]string{{"Ias-Rs-Op", p.op}, {"Ias-Rs-Farm", e.cfg.Farm}, {"Ias-Rs-Server", e.cfg.ID}, {"Ias-Rs-Proto", proto},
		{"Ias-Rs-Oe-Id", e.self.run}, {"Ias-Rs-Oe-Epoch", strconv.FormatUint(uint64(e.epoch.Load()), 10)}, {"Ias-Rs-Oe-Version", version()}}
	if len(e.self.macs) > 0 {
		f = append(f, [2]string{"Ias-Rs-Mac", strings.Join(e.self.macs, ",")})
	}
	if p.lane != "" {
		f = append(f, [2]string{"Ias-Rs-Lane", p.lane})
	}
	if p.instance != "" {
		f = append(f, [2]string{"Ias-Rs-Instance", p.instance})
	}
	switch {
	case e.cfg.Token == "":
	case secured && e.self.shows.Load():
		f = append(f, [2]string{"Ias-Rs-Token", e.cfg.Token})
	default:
		f = append(f, [2]string{"Ias-Rs-Auth", e.sign(p)})
	}
	return f
}

// sign proves that we know the token without telling it: TS,NONCE,MAC with the time in seconds of the Unix epoch, 16 random bytes
// and an HMAC-SHA256 over what the call says, a line each, both in hexadecimal. The key is the SHA-256 of the token: a relay whose
// configuration has only that can check it, too.
func (e *Enabler) sign(p purpose) string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand
	ts := strconv.FormatInt(time.Now().Add(time.Duration(e.self.clock.Load())).Unix(), 10)
	nonce := hex.EncodeToString(random[:])
	key := sha256.Sum256([]byte(e.cfg.Token))
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(strings.Join([]string{"Ias-Rs-Proto: " + proto, p.method, p.op, e.cfg.Farm, e.cfg.ID, e.self.run, p.lane, p.instance, ts, nonce}, "\n")))
	return ts + "," + nonce + "," + hex.EncodeToString(mac.Sum(nil))
}

// clockSlack is how much the clock of a relay may differ from ours before we go by that.
const clockSlack = 30 * time.Second

// correctClock goes by the clock of a relay that has refused us, if it differs from ours: it may be for that. False: it does not.
func correctClock(e *Enabler, err error) bool {
	var r *refusal
	if !errors.As(err, &r) || r.status != http.StatusUnauthorized || r.number == 0 || r.date.IsZero() {
		return false
	}
	had := time.Duration(e.self.clock.Load())
	ahead := time.Until(r.date)
	if d := ahead - had; -clockSlack < d && d < clockSlack {
		return false
	}
	e.self.clock.Store(int64(ahead))
	e.log.Warn("the clock of this machine and the relay's differ; calls go by the relay's", "relay_is_ahead", ahead.Round(time.Second))
	return true
}

// showToken has calls over HTTPS send the token itself when a relay has refused a signed one because it has only a hash of the token. Over
// plain HTTP nothing is changed: whoever is on the way could have made that refusal, to get the token. False: that was not why.
func (e *Enabler) showToken(err error, secured bool) bool {
	var r *refusal
	if !errors.As(err, &r) || r.number != numberToken || !secured || e.cfg.Token == "" || e.self.shows.Swap(true) {
		return false
	}
	e.log.Info("a relay has only a hash of the token: it is sent itself from now on, over HTTPS")
	return true
}

// maxMACs bounds what we say of ourselves: machines that run containers have adapters without end.
const maxMACs = 64

// adapterAddresses are the addresses of the machine's network adapters, as 01-23-45-67-89-ab, without those of the loopback.
func adapterAddresses() ([]string, error) {
	adapters, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var macs []string
	for _, a := range adapters {
		if len(a.HardwareAddr) != 6 || a.Flags&net.FlagLoopback != 0 {
			continue
		}
		if mac := strings.ReplaceAll(a.HardwareAddr.String(), ":", "-"); !slices.Contains(macs, mac) && len(macs) < maxMACs {
			macs = append(macs, mac)
		}
	}
	return macs, nil
}

// version is the release that this program was made from; devel outside of one.
var version = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
})

func userAgent() string { return "rsoe/" + version() }

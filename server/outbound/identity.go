package outbound

import (
	"net"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// identity are the fields by which the enabler says who it is.
func (e *Enabler) identity(op string) [][2]string {
	f := [][2]string{{"Ias-Rs-Op", op}, {"Ias-Rs-Farm", e.cfg.Farm}, {"Ias-Rs-Server", e.cfg.ID}, {"Ias-Rs-Proto", "1"},
		{"Ias-Rs-Oe-Id", e.run}, {"Ias-Rs-Oe-Epoch", strconv.FormatUint(uint64(e.epoch.Load()), 10)}, {"Ias-Rs-Oe-Version", version()}}
	if len(e.macs) > 0 {
		f = append(f, [2]string{"Ias-Rs-Mac", strings.Join(e.macs, ",")})
	}
	if e.cfg.Token != "" {
		f = append(f, [2]string{"Ias-Rs-Token", e.cfg.Token})
	}
	return f
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

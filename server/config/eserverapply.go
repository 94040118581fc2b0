package config

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// applyPorts sets the listeners. The original listens on every address, and on 8088 when nothing is said.
func (r *esReader) applyPorts() {
	e := &r.cfg.Engine
	if v, set := r.last("portnumber"); set {
		r.port(&e.Listen, "engine.listen", v)
	} else if !r.from.has("engine.listen") {
		e.Listen, r.from["engine.listen"] = []string{":8088"}, origin{where{r.file, 1, 1}, "PortNumber"}
	}
	if v, set := r.last("utfportnumber"); set {
		disabled := true
		if off, said := r.last("utfport_disabled"); said {
			var ok bool
			if disabled, ok = parseBool(off.text); !ok {
				r.fail(off.from.where, "field %q: value %s: 0 or 1", off.from.name, quote("", off.text))
			}
		} else if v.text != "0" {
			r.warn(v.from.where, "field %q: has no effect without UTFPort_Disabled=0", v.from.name)
		}
		r.port(&e.ListenUTF8, "engine.listen_utf8", v)
		if disabled {
			e.ListenUTF8 = nil
		}
	}
	if v, set := r.last("tlsportnumber"); set {
		r.port(&e.ListenTLS, "engine.listen_tls", v)
		r.needs(v.from.where, "engine.tls_cert", "TLSCert")
		r.needs(v.from.where, "engine.tls_key", "TLSKey")
	}
	if v, set := r.last("enginelisten"); set {
		e.DialIn.Listen, r.from["engine.dial_in.listen"] = nil, v.from
		if !isOff(v.text) {
			e.DialIn.Listen = []string{portAddress(v.text, "")}
			r.needs(v.from.where, "engine.dial_in.token", "EngineToken")
		}
	}
	if v, set := r.last("statistics_input"); set {
		r.from["engine.statistics.input"] = v.from
		switch {
		case v.text == "-1":
			e.Statistics.Input = "same"
		case isOff(v.text):
			e.Statistics.Input = ""
		default:
			e.Statistics.Input = portAddress(v.text, "")
		}
	}
	r.applyAdmin()
}

// needs says where a key would have to stand that is missing.
func (r *esReader) needs(at where, path, name string) {
	if !r.from.has(path) {
		r.from[path] = origin{at, name}
	}
}

// port sets a list of listeners to one port on every address, or to none for 0.
func (r *esReader) port(listen *[]string, path string, v esValue) {
	r.from[path] = v.from
	n, err := strconv.ParseUint(v.text, 10, 16)
	if err != nil {
		r.fail(v.from.where, "field %q: value %s: a port from 1 to 65535, or 0 for none", v.from.name, quote("", v.text))
		return
	}
	*listen = nil
	if n > 0 {
		*listen = []string{":" + strconv.FormatUint(n, 10)}
	}
}

// applyAdmin sets the one listener that there is for both.
func (r *esReader) applyAdmin() {
	v, set := r.last("adminlisten")
	metrics, alsoSet := r.last("metricslisten")
	switch {
	case set && alsoSet && v.text != metrics.text:
		r.warn(metrics.from.where, "field %q: has no effect: metrics are served where AdminListen says", metrics.from.name)
	case !set && !alsoSet:
		return
	case !set:
		v = metrics
	}
	r.cfg.Admin.Listen, r.from["admin.listen"] = "", v.from
	if !isOff(v.text) {
		r.cfg.Admin.Listen = portAddress(v.text, "127.0.0.1") // it asks for no password
	}
}

// isOff tells whether text says that there is to be no listener.
func isOff(text string) bool {
	_, port, err := net.SplitHostPort(text)
	return text == "0" || strings.EqualFold(text, "off") || err == nil && port == "0"
}

// portAddress returns text, which is host:port, or a port on host.
func portAddress(text, host string) string {
	if _, err := strconv.ParseUint(text, 10, 16); err == nil {
		return net.JoinHostPort(host, text)
	}
	return text
}

// applyControl sets the secret of the control commands. Unlike the original there is none unless the file has one.
func (r *esReader) applyControl() {
	plain, set := r.last("controlpassword")
	hashed, setHashed := r.last("econtrolpassword")
	switch {
	case setHashed && !isHashed(hashed.text):
		r.fail(hashed.from.where, "field %q: value %s: %si=...$SALT$HASH; the form of the original is not known", hashed.from.name, quote("", mask), hashScheme)
		return
	case setHashed && set:
		r.warn(plain.from.where, "field %q: has no effect: EControlPassword holds", plain.from.name)
		fallthrough
	case setHashed:
		plain = hashed
	case !set:
		return
	}
	r.cfg.Engine.ControlPassword, r.from["engine.control_password"] = plain.text, plain.from
}

// applyOthers sets what needs a second look.
func (r *esReader) applyOthers() {
	if v, set := r.last("systemmonitortime"); set {
		text, want := esSeconds.convert(v.text)
		every, _ := time.ParseDuration(text) // convert has made it
		if want != "" {
			r.fail(v.from.where, "field %q: value %s: %s", v.from.name, quote("", v.text), want)
			return
		}
		for i := range r.cfg.Engine.Runs {
			if path := "engine.run[" + strconv.Itoa(i) + "]"; r.from[path].file == r.file && r.cfg.Engine.Runs[i].When == "monitor" {
				r.cfg.Engine.Runs[i].Every, r.from[path+".every"] = every, v.from
			}
		}
	}
	if v, set := r.last("slowlog"); set && !isOff(v.text) {
		r.warn(v.from.where, "field %q: slow requests go to the log, not to a file", v.from.name)
		if _, timeSet := r.last("slowlogtime"); !timeSet {
			r.cfg.Engine.SlowLog, r.from["engine.slow_log"] = 5*time.Second, v.from
		}
	}
	if v, set := r.last("logfile"); set {
		r.warn(v.from.where, "field %q: has no effect: the log goes to standard error; let the service manager keep it", v.from.name)
	}
	if v, set := r.last("breaksignal"); set && r.from["engine.process.break_signal"] == v.from {
		r.cfg.Engine.Process.BreakSignal = strings.TrimPrefix(strings.ToUpper(v.text), "SIG")
	}
}

// modernPreset has what Preset=modern sets unless it has been set.
var modernPreset = [][2]string{
	{"engine.defaults.min_engines", "1"},
	{"engine.pool.spare_engines", "1"},
	{"engine.defaults.queue_max", "1000"},
	{"engine.defaults.queue_timeout", "30s"},
	{"engine.list_access", "loopback"},
}

func (r *esReader) applyPreset() {
	v, set := r.last("preset")
	switch {
	case !set:
		return
	case !strings.EqualFold(v.text, "modern"):
		r.fail(v.from.where, "field %q: value %s: modern, or nothing", v.from.name, quote("", v.text))
		return
	}
	r.modern = &v.from
	for _, p := range modernPreset {
		if f, ok := r.key(p[0]); ok && !r.from.has(p[0]) {
			r.set(f, p[0], scalar{text: p[1]}, v.from)
		}
	}
}

// checkPreset refuses, once all sources have been read, what Preset=modern does not bear.
func (l *loader) checkPreset() {
	e := &l.cfg.Engine
	if l.modern == nil || e.ControlPassword != wellKnown || !e.exposed() {
		return
	}
	at := l.from.at("engine.control_password")
	l.fail(at.where, "field %q: the password that everybody knows, where other hosts can send it: Preset=modern does not allow that", at.name)
}

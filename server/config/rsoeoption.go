package config

import (
	"slices"
	"strconv"
)

// The functions of this file are the actions of rsoeOptions. They return false where the value is not right.

func setID(field func(*Enabler) *string) func(*enablerParser, word, string) bool {
	return func(p *enablerParser, _ word, v string) bool {
		*field(p.e) = v
		return v != "" && len(v) <= maxText && isPrintable(v)
	}
}

func setToken(p *enablerParser, _ word, v string) bool {
	p.e.Token = v
	return len(v) <= maxText && isPrintable(v) && v != mask
}

func setLogFormat(p *enablerParser, _ word, v string) bool {
	p.e.LogFormat = v
	return slices.Contains(logFormats, v)
}

func logFile(truncate bool) func(*enablerParser, word, string) bool {
	return func(p *enablerParser, _ word, v string) bool {
		p.e.LogFile, p.e.LogTruncate = v, truncate
		return v != ""
	}
}

func isTransport(_ *enablerParser, _ word, v string) bool {
	return slices.Contains([]string{"auto", "ws", "h2", "http"}, v)
}

func number(least, most int, set func(*enablerParser, int)) func(*enablerParser, word, string) bool {
	return func(p *enablerParser, _ word, v string) bool {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return false
		}
		set(p, n)
		return true
	}
}

// spare keeps the number of an option about junctions for finish.
func spare(least int) func(*enablerParser, word, string) bool {
	return func(p *enablerParser, o word, v string) bool {
		return number(least, 1<<30, func(p *enablerParser, n int) {
			if p.spare == nil {
				p.spare = map[string]int{}
			}
			p.spare[o.text] = n
		})(p, o, v)
	}
}

func atLeast(sizeBytes int64) func(*enablerParser, word, string) bool {
	return func(_ *enablerParser, _ word, v string) bool {
		n, ok := parseSize(v)
		return ok && n >= sizeBytes
	}
}

// special makes an option end the reading with err.
func special(err error) func(*enablerParser, word, string) bool {
	return func(p *enablerParser, _ word, _ string) bool {
		p.special = err
		return true
	}
}

// refuse makes an option a mistake.
func refuse(why string) func(*enablerParser, word, string) bool {
	return func(p *enablerParser, o word, _ string) bool {
		p.fail(o.at, "option %q: %s", o.text, why)
		return true
	}
}

func setRelay(p *enablerParser, o word, v string) bool {
	p.relayGiven = true
	if c, ok := p.connection(o, v, relayParams); ok {
		p.e.Relays = append(p.e.Relays, RelayAddr{TLS: c.TLS, Host: c.host, Port: c.port, URLSuffix: c.urlSuffix})
	}
	return true // what is wrong in the string has been reported there
}

func setBackend(p *enablerParser, o word, v string) bool {
	if c, ok := p.connection(o, v, backendParams); ok {
		p.e.Backend = BackendAddr{TLS: c.TLS, Host: c.host, Port: c.port}
	}
	return true
}

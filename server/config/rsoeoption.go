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

func setMACs(p *enablerParser, _ word, v string) bool {
	p.e.MACs = parseMACs(v)
	return p.e.MACs != nil
}

// setAdmin keeps the address of an option for finish.
func setAdmin(p *enablerParser, o word, v string) bool {
	if p.admin == nil {
		p.admin = map[string]word{}
	}
	p.admin[o.text] = word{text: v, at: o.at}
	return isAddress(v)
}

var transports = []string{"auto", "http", "ws"}

func setOneOf(words []string, field func(*Enabler) *string) func(*enablerParser, word, string) bool {
	return func(p *enablerParser, _ word, v string) bool {
		*field(p.e) = v
		return slices.Contains(words, v)
	}
}

// setFlag is an option without a value.
func setFlag(field func(*Enabler) *bool) rsoeOption {
	return rsoeOption{flag: true, set: func(p *enablerParser, _ word, _ string) bool {
		*field(p.e) = true
		return true
	}}
}

func logFile(truncate bool) func(*enablerParser, word, string) bool {
	return func(p *enablerParser, _ word, v string) bool {
		p.e.LogFile, p.e.LogTruncate = v, truncate
		return v != ""
	}
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
		return number(least, mostJunctions, func(p *enablerParser, n int) {
			if p.spare == nil {
				p.spare = map[string]int{}
			}
			p.spare[o.text] = n
		})(p, o, v)
	}
}

// setSize takes a number of bytes, leastBytes or more.
func setSize(leastBytes int64, set func(p *enablerParser, o word, n int64)) func(*enablerParser, word, string) bool {
	return func(p *enablerParser, o word, v string) bool {
		n, ok := parseSize(v)
		set(p, o, n)
		return ok && n >= leastBytes
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
		a := c.relay
		a.TLS, a.Host, a.Port = c.TLS, c.host, c.port
		p.e.Relays = append(p.e.Relays, a)
	}
	return true // what is wrong in the string has been reported there
}

func setBackend(p *enablerParser, o word, v string) bool {
	if c, ok := p.connection(o, v, backendParams); ok {
		a := c.backend
		a.TLS, a.Host, a.Port = c.TLS, c.host, c.port
		p.e.Backend = a
	}
	return true
}

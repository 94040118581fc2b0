package fuzz

import (
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"roundhouse/server/config"
)

// enabler parses a command line of rsoe that can read one file, named args.
func enabler(file string, args ...string) (*config.Enabler, error) {
	e, _, err := config.ParseEnabler(args, func(string) string { return "" }, func(name string) ([]byte, error) {
		if name == "args" {
			return []byte(file), nil
		}
		return nil, fs.ErrNotExist
	})
	return e, err
}

// FuzzConnString reads a string as -cr and as -cs. What is accepted has a host and a port, and comes out the same when it is
// written as a string and read again. No mistake shows a password.
func FuzzConnString(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		const secret = "xyzzy-plugh"
		e, err := enabler("", "-f", "F", "-id", "S", "-cr", s, "-cs", "port=1")
		if err == nil {
			relay := e.Relays[0]
			if relay.Host == "" || relay.Port < 1 || relay.Port > 65535 || !strings.HasPrefix(relay.URLSuffix, "/") {
				t.Fatalf("%q was accepted as %+v", s, relay)
			}
			again, err := enabler("", "-f", "F", "-id", "S", "-cr", relay.ConnString(), "-cs", "port=1")
			if err != nil || !reflect.DeepEqual(again, e) {
				t.Fatalf("%q is %+v, written %q, and read as %+v, %v", s, relay, relay.ConnString(), again, err)
			}
		}
		if e, err = enabler("", "-f", "F", "-id", "S", "-cr", "port=1", "-cs", s); err == nil {
			again, err := enabler("", "-f", "F", "-id", "S", "-cr", "port=1", "-cs", e.Backend.ConnString())
			if err != nil || !reflect.DeepEqual(again, e) {
				t.Fatalf("%q is %+v, written %q, and read as %+v, %v", s, e.Backend, e.Backend.ConnString(), again, err)
			}
		}
		if strings.ContainsAny(s, `"'`) {
			return // the next pairs would not be pairs
		}
		if _, err = enabler("", "-t", "@"+secret, "-cr", s+";http_userid=u;http_password="+secret+";"+secret); strings.Contains(err.Error(), secret) {
			t.Errorf("a secret is in: %v", err)
		}
	})
}

// FuzzRSOEFile reads an @file. Whatever is wrong in it has a line, and what is accepted says all that an enabler needs.
func FuzzRSOEFile(f *testing.F) {
	f.Fuzz(func(t *testing.T, file string) {
		e, err := enabler(file, "@args")
		var mistakes *config.Error
		switch {
		case err == nil && !e.Stop && (e.Farm == "" || e.ID == "" || len(e.Relays) == 0 || e.Retry <= 0):
			t.Errorf("accepted: %+v", e)
		case err == nil || errors.Is(err, config.ErrHelp) || errors.Is(err, config.ErrVersion):
		case !errors.As(err, &mistakes):
			t.Errorf("error %v", err)
		default:
			for _, p := range mistakes.Problems {
				if p.File == "args" && p.Line < 1 || p.Text == "" {
					t.Errorf("a mistake without its place: %+v", p)
				}
			}
		}
	})
}

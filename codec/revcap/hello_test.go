package revcap

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"roundhouse/codec"
)

// helloRows are parsed and written.
var helloRows = []struct {
	name, body string
	hello      HelloFields
}{
	{"all", "1^books^2.1^8^secret^BOOKS,SHOP^", HelloFields{1, "books", "2.1", 8, "secret", []string{"BOOKS", "SHOP"}}},
	{"least", "1^^^1^^^", HelloFields{Version: 1, Ahead: 1}},
	{"one application", "1^e^^1^t^BOOKS^", HelloFields{1, "e", "", 1, "t", []string{"BOOKS"}}},
	{"later version", "999^e^1^1000^^^", HelloFields{Version: 999, Name: "e", EngineVersion: "1", Ahead: MaxAhead}},
}

func TestHello(t *testing.T) {
	for _, row := range helloRows {
		t.Run(row.name, func(t *testing.T) {
			for _, body := range []string{row.body, row.body + "later^", strings.TrimSuffix(row.body, "^")} {
				if got, err := ParseHello(wire(body)); err != nil || !reflect.DeepEqual(got, row.hello) {
					t.Errorf("%q: %+v, %v; want %+v", body, got, err, row.hello)
				}
			}
			if out := AppendHello([]byte("x"), row.hello); string(out) != "x"+framed("HELLO^0^"+row.body) {
				t.Errorf("written as %q, want x%q", out, framed("HELLO^0^"+row.body))
			}
		})
	}
}

// TestTruncatedHello: every part of a hello that is not empty is one, with less in it.
func TestTruncatedHello(t *testing.T) {
	whole := wire(helloRows[0].body)
	for i := 1; i < len(whole); i++ {
		if h, err := ParseHello(whole[:i]); err != nil && !strings.HasSuffix(string(whole[:i]), ",") || !strings.HasPrefix("books", h.Name) {
			t.Errorf("%q: %+v, %v", whole[:i], h, err)
		}
	}
	for body, want := range map[string]HelloFields{
		"1":         {Version: 1, Ahead: 1},
		"1^e":       {Version: 1, Name: "e", Ahead: 1},
		"1^e^2^0":   {Version: 1, Name: "e", EngineVersion: "2", Ahead: 1},
		"1^e^2^^to": {Version: 1, Name: "e", EngineVersion: "2", Ahead: 1, Token: "to"},
	} {
		if got, err := ParseHello(wire(body)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v; want %+v", body, got, err, want)
		}
	}
}

func TestHelloLimits(t *testing.T) {
	apps := func(n, size int) string {
		return strings.Join(slices.Repeat([]string{strings.Repeat("a", size)}, n), ",")
	}
	long := func(n int) string { return strings.Repeat("n", n) }
	for body, want := range map[string]error{
		"":                                      codec.ErrMalformed,
		"^e^":                                   codec.ErrMalformed,
		"0^e^":                                  codec.ErrMalformed,
		"x^e^":                                  codec.ErrMalformed,
		"-1^e^":                                 codec.ErrMalformed,
		"1.0^e^":                                codec.ErrMalformed,
		"1000^e^":                               codec.ErrMalformed,
		"1^" + long(MaxName) + "^":              nil,
		"1^" + long(MaxName+1) + "^":            codec.ErrTooLarge,
		"1^e^" + long(MaxName) + "^":            nil,
		"1^e^" + long(MaxName+1) + "^":          codec.ErrTooLarge,
		"1^e^^999^":                             nil,
		"1^e^^1000^":                            nil,
		"1^e^^1001^":                            codec.ErrTooLarge,
		"1^e^^999999999^":                       codec.ErrTooLarge,
		"1^e^^1000000000^":                      codec.ErrMalformed,
		"1^e^^-1^":                              codec.ErrMalformed,
		"1^e^^x^":                               codec.ErrMalformed,
		"1^e^^1^" + long(MaxToken):              nil,
		"1^e^^1^" + long(MaxToken+1):            codec.ErrTooLarge,
		"1^e^^1^^" + apps(MaxApplications, 1):   nil,
		"1^e^^1^^" + apps(MaxApplications+1, 1): codec.ErrTooLarge,
		"1^e^^1^^" + apps(1, MaxName):           nil,
		"1^e^^1^^" + apps(1, MaxName+1):         codec.ErrTooLarge,
		"1^e^^1^^" + apps(MaxApplications, MaxName):   nil,
		"1^e^^1^^" + apps(MaxApplications+1, MaxName): codec.ErrTooLarge,
		"1^e^^1^^A,":   codec.ErrMalformed,
		"1^e^^1^^,A":   codec.ErrMalformed,
		"1^e^^1^^A,,B": codec.ErrMalformed,
	} {
		h, err := ParseHello(wire(body))
		if !errors.Is(err, want) || err != nil && !reflect.DeepEqual(h, HelloFields{}) {
			t.Errorf("%.40q, %d bytes: %+v, %v; want %v", body, len(body), h, err, want)
		}
	}
}

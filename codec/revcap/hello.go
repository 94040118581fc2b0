package revcap

import (
	"strconv"
	"strings"

	"roundhouse/codec/frame"
)

// Limits of a hello.
const (
	// MaxAhead is the most requests that an engine may ask for ahead.
	MaxAhead = 1000
	// MaxName is the longest name, engine version and application, in bytes.
	MaxName = 256
	// MaxToken is the longest token, in bytes.
	MaxToken = 4096
	// MaxApplications is how many applications an engine may serve.
	MaxApplications = 256
)

// HelloFields is how an engine introduces itself.
type HelloFields struct {
	Version       int // of the protocol, >= 1
	Name          string
	EngineVersion string
	Ahead         int      // how many requests it takes before it has answered; >= 1
	Token         string   // of an engine that dials in
	Applications  []string // that an engine that dials in serves
}

// ParseHello reads the body of a hello. Fields at the end may be missing, and 0 requests ahead are the same as 1. What a later
// version adds is ignored. Errors: codec.ErrMalformed; codec.ErrTooLarge, a limit is passed.
func ParseHello(body []byte) (h HelloFields, err error) {
	var field [6][]byte
	rest := body
	for i := range field {
		field[i], rest, _ = frame.Cut(rest)
	}
	version, ok := number(field[0], 3)
	if !ok || version == 0 {
		return h, malformed("hello: protocol version of %d bytes is not 1 to 999", len(field[0]))
	}
	ahead := uint64(1)
	if len(field[3]) > 0 {
		if ahead, ok = number(field[3], 9); !ok {
			return h, malformed("hello: requests ahead, %d bytes, are not 1 to 9 digits", len(field[3]))
		}
	}
	for _, limit := range [...]struct {
		what      string
		size, max int
	}{
		{"hello: length of the name", len(field[1]), MaxName},
		{"hello: length of the engine version", len(field[2]), MaxName},
		{"hello: requests ahead", int(ahead), MaxAhead},
		{"hello: length of the token", len(field[4]), MaxToken},
	} {
		if limit.size > limit.max {
			return h, tooLarge(limit.what, limit.size, limit.max)
		}
	}
	applications, err := parseApplications(field[5])
	if err != nil {
		return h, err
	}
	return HelloFields{
		Version: int(version), Name: string(field[1]), EngineVersion: string(field[2]),
		Ahead: max(int(ahead), 1), Token: string(field[4]), Applications: applications,
	}, nil
}

func parseApplications(field []byte) ([]string, error) {
	const longest = MaxApplications * (MaxName + 1) // before they are split
	switch {
	case len(field) == 0:
		return nil, nil
	case len(field) > longest:
		return nil, tooLarge("hello: length of the applications", len(field), longest)
	}
	names := strings.Split(string(field), ",")
	if len(names) > MaxApplications {
		return nil, tooLarge("hello: number of applications", len(names), MaxApplications)
	}
	for _, name := range names {
		switch {
		case name == "":
			return nil, malformed("hello: an application without a name")
		case len(name) > MaxName:
			return nil, tooLarge("hello: length of an application", len(name), MaxName)
		}
	}
	return names, nil
}

// AppendHello appends a hello. No value may hold a delimiter, and no application a comma.
func AppendHello(dst []byte, h HelloFields) []byte {
	start := len(dst)
	dst = beginEvent(dst, Hello, 0)
	dst = appendField(dst, strconv.Itoa(h.Version))
	dst = appendField(dst, h.Name)
	dst = appendField(dst, h.EngineVersion)
	dst = appendField(dst, strconv.Itoa(h.Ahead))
	dst = appendField(dst, h.Token)
	dst = appendField(dst, strings.Join(h.Applications, ","))
	return finish(dst, start, 0)
}

package config

import (
	"errors"
	"strings"
	"time"
)

// Enabler is the command line of an outbound enabler.
type Enabler struct {
	// Who it is: the ids of its farm and of its back-end server, both case-sensitive. Not empty.
	Farm, ID string
	// The secret of that server. Empty: it has none.
	Token string
	// The back-end server that it serves.
	Backend BackendAddr
	// The relay servers, or the load balancer before them, to ask for the list of relays: tried in turn. At least one.
	Relays []RelayAddr
	// As log.verbosity of the server: 0 errors only, to 5.
	Verbosity int
	// How long to wait after a failure before the next attempt. 1 s or more.
	Retry time.Duration

	// File that the log is written to; empty: standard error.
	LogFile string
	// Whether LogFile is emptied first instead of being appended to.
	LogTruncate bool
	// text, json or auto, as log.format of the server.
	LogFormat string
	// Size from which on LogFile is put away under the name yymmddnn.olg and begun anew; 0: never.
	LogSize int64
	// Whether nothing is written to the terminal but errors: -q. Whether it is, at low verbosity as well: -dl.
	Quiet, LogToTerminal bool
	// Only check the command line.
	Check bool
	// Stop the enabler that runs for Farm and ID, or the only one there is, instead of being one: -s.
	Stop bool
	// Run in the background: -ud.
	Daemon bool

	// auto, http or ws: how lanes are opened.
	Transport string
	// Adapter addresses to present, as 01-23-45-67-89-ab; empty: those of the machine.
	MACs []string
	// Most requests at a time (-jl) and idle back-end connections to keep (-jsl) and to have at most (-jsh).
	MaxJunction, SpareLow, SpareHigh int
	// Most bytes of bodies that are held in memory: -cm.
	MemoryBytes int64
	// Address for /metrics, /healthz and /readyz; empty: none.
	AdminListen string
}

// What ParseEnabler returns when the command line asks for something else than a start.
var (
	ErrHelp    = errors.New("config: help is asked for")
	ErrVersion = errors.New("config: the version is asked for")
)

// EnablerUsage is the help of rsoe.
const EnablerUsage = `rsoe serves a back-end server to the clients of a relay, by connections that it opens itself.

usage: rsoe -f FARM -id ID -cr "host=...;port=..." [-cs "host=...;port=..."] [-t TOKEN] [-v 0..5] [-d SECONDS] [@FILE]

  -f FARM      farm that the back-end server belongs to
  -id ID       its name in the farm
  -cr STRING   a relay server, or the load balancer before the relays; may be given several times:
               host (localhost), port (80, or 443 with https=1), url_suffix (/srv/iarelayserver), https (0 or 1),
               trusted_certificates (PEM file), certificate_name
  -cs STRING   the back-end server (host=localhost;port=80): host, port, https, trusted_certificates, certificate_name
  -t TOKEN     its secret
  -v LEVEL     0 errors only (default), 1 sessions, 2 requests, 3 packets, 4 debugging, 5 every byte
  -d SECONDS   how long to wait before the next attempt to connect (5)
  -o FILE      append the log to a file; -ot FILE empties it first
  -log FORMAT  auto (default), text or json
  -check       check the command line and end
  -version     print the version and end
  @NAME        read more options from the environment variable NAME, or else from the file NAME

Exit codes: 0, 1 runtime, 2 usage, 3 ended by a second signal, 78 configuration.
`

const commandLine = "command line"

// ParseEnabler reads the command line of rsoe, without the name of the program.
//
// env returns the value of an environment variable, readFile the content of a file; both are for @NAME only.
// The error is ErrHelp, ErrVersion, or an *Error with every mistake; the warnings are complete in any case.
func ParseEnabler(args []string, env func(string) string, readFile func(string) ([]byte, error)) (*Enabler, []Warning, error) {
	p := &enablerParser{problems: new(problems), env: env, readFile: readFile}
	p.e = &Enabler{LogFormat: "auto", Transport: "auto", MaxJunction: 1000, SpareLow: 10, SpareHigh: 50, MemoryBytes: 64 << 20, Retry: 5 * time.Second, Backend: BackendAddr{Host: "localhost", Port: 80}}
	words := make([]word, len(args))
	for i, a := range args {
		words[i] = word{text: a, at: where{file: commandLine}}
	}
	p.expand(words)
	p.options()
	if p.special != nil {
		return nil, p.warnings, p.special
	}
	p.finish()
	if err := p.err(); err != nil {
		return nil, p.warnings, err
	}
	return p.e, p.warnings, nil
}

// enablerParser reads one command line.
type enablerParser struct {
	*problems
	env      func(string) string
	readFile func(string) ([]byte, error)
	e        *Enabler

	words      []word         // what is left of the expanded command line
	open       []string       // the @NAME that is being read, after those that name it
	expanded   int            // files and variables so far
	relayGiven bool           // there was a -cr, right or wrong
	spare      map[string]int // -jl, -jsl and -jsh, as far as they were given
	special    error          // ErrHelp or ErrVersion
}

// rsoeOption is one option of the command line.
type rsoeOption struct {
	flag   bool   // it has no value
	later  bool   // it has no effect yet
	secret bool   // its value is not shown
	want   string // what would be right
	set    func(p *enablerParser, o word, value string) bool
}

// options handles the expanded command line.
func (p *enablerParser) options() {
	for len(p.words) > 0 {
		w := p.words[0]
		p.words = p.words[1:]
		o, known := rsoeOptions[w.text]
		switch {
		case w.failed:
			continue
		case !known && (w.quoted || !isOption(w.text)): // not shown: it may be a part of a token
			p.fail(w.at, "argument without an option before it: quote values that hold blanks")
			continue
		case !known:
			p.fail(w.at, "option %q: unknown; rsoe -h lists them", w.text)
			continue
		}
		var value word
		if !o.flag {
			if len(p.words) == 0 {
				p.fail(w.at, "option %q: no value: %s", w.text, o.want)
				continue
			}
			value = p.words[0]
			p.words = p.words[1:]
		}
		if value.failed {
			continue
		}
		if o.set != nil && !o.set(p, w, value.text) {
			shown := quote("", value.text)
			if o.secret {
				shown = mask
			}
			p.fail(w.at, "option %q: value %s: %s", w.text, shown, o.want)
		} else if o.later {
			p.warn(w.at, "option %q: has no effect yet", w.text)
		}
	}
}

// isOption tells whether a word looks like an option.
func isOption(s string) bool {
	return strings.HasPrefix(s, "-") && isName(strings.TrimLeft(s, "-"))
}

// finish checks what no single option can know.
func (p *enablerParser) finish() {
	at := where{file: commandLine}
	if p.e.Farm == "" {
		p.fail(at, "option %q: missing: the farm of the back-end server", "-f")
	}
	if p.e.ID == "" {
		p.fail(at, "option %q: missing: the id of the back-end server", "-id")
	}
	if !p.relayGiven {
		p.fail(at, "option %q: missing: where the relay is, as \"host=relay.example.com;port=80\"", "-cr")
	}
	most, low, high := 1000, 10, 50
	for name, n := range map[string]*int{"-jl": &most, "-jsl": &low, "-jsh": &high} {
		if given, ok := p.spare[name]; ok {
			*n = given
		}
	}
	if len(p.spare) > 0 && (low > high || high > most) {
		p.fail(at, "options \"-jsl\", \"-jsh\", \"-jl\": values %d, %d, %d: each at least the one before", low, high, most)
	}
}

// rsoeOptions has every option of the original and ours.
var rsoeOptions = map[string]rsoeOption{
	"-f":   {want: "the farm's id, printable ASCII", set: setID(func(e *Enabler) *string { return &e.Farm })},
	"-id":  {want: "the back-end server's id, printable ASCII", set: setID(func(e *Enabler) *string { return &e.ID })},
	"-t":   {want: "a token of printable ASCII", secret: true, set: setToken},
	"-cr":  {secret: true, want: `where the relay is, as "host=relay.example.com;port=80"`, set: setRelay},
	"-cs":  {secret: true, want: `where the back-end server is, as "host=localhost;port=80"`, set: setBackend},
	"-v":   {want: "0 to 5", set: number(0, 5, func(p *enablerParser, n int) { p.e.Verbosity = n })},
	"-d":   {want: "1 to 86400 seconds", set: number(1, 86400, func(p *enablerParser, n int) { p.e.Retry = time.Duration(n) * time.Second })},
	"-o":   {want: "a file", set: logFile(false)},
	"-ot":  {want: "a file", set: logFile(true)},
	"-log": {want: "auto, text or json", set: setLogFormat},

	"-check":   {flag: true, set: func(p *enablerParser, _ word, _ string) bool { p.e.Check = true; return true }},
	"-version": {flag: true, set: special(ErrVersion)}, "--version": {flag: true, set: special(ErrVersion)},
	"-h": {flag: true, set: special(ErrHelp)}, "-help": {flag: true, set: special(ErrHelp)},
	"--help": {flag: true, set: special(ErrHelp)}, "-?": {flag: true, set: special(ErrHelp)},

	"-s":  {flag: true, set: refuse("not supported: end an enabler by sending its process SIGTERM")},
	"-af": {flag: true, set: refuse("not supported: nothing is known about what it did; leave it out")},

	"-dl": {flag: true, later: true}, "-oq": {flag: true, later: true}, "-q": {flag: true, later: true},
	"-qc": {flag: true, later: true}, "-ud": {flag: true, later: true}, "-uc": {flag: true, later: true},
	"-ui": {flag: true, later: true}, "-um": {flag: true, later: true}, "-ux": {flag: true, later: true},

	"-os":        {later: true, want: "a size of 10k or more", set: atLeast(10 << 10)},
	"-cm":        {later: true, want: "a size, as 64m", set: atLeast(0)},
	"-jl":        {later: true, want: "a whole number of 1 or more", set: spare(1)},
	"-jsl":       {later: true, want: "a whole number of 0 or more", set: spare(0)},
	"-jsh":       {later: true, want: "a whole number of 0 or more", set: spare(0)},
	"-mac":       {later: true, want: judgeMACs(""), set: func(_ *enablerParser, _ word, v string) bool { return judgeMACs(v) == "" }},
	"-metrics":   {later: true, want: "an address as 127.0.0.1:9090", set: func(_ *enablerParser, _ word, v string) bool { return isAddress(v) }},
	"-health":    {later: true, want: "an address as 127.0.0.1:9091", set: func(_ *enablerParser, _ word, v string) bool { return isAddress(v) }},
	"-config":    {later: true, want: "a file"},
	"-transport": {later: true, want: "auto, ws, h2 or http", set: isTransport},
}

package config

import (
	"cmp"
	"errors"
	"fmt"
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
	// Proxies on the way to relays whose -cr names none; nil: without -e.
	EnvProxies *EnvProxies
	// As log.verbosity of the server: 0 errors only, to 5.
	Verbosity int
	// Highest verbosity that a client's SAP Passport may ask for, for its own request; 0: passports mean nothing.
	PassportVerbosity int
	// How long to wait after a failure before the next attempt. 1 s or more.
	Retry time.Duration

	// File that the log is written to; empty: standard error.
	LogFile string
	// Whether LogFile is emptied first instead of being appended to.
	LogTruncate bool
	// text, json, rs or auto, as log.format of the server.
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

usage: rsoe -f FARM -id ID -cr "host=...;port=..." [-cs "host=...;port=..."] [-t TOKEN] [-v 0..5] [-d SECONDS] [@NAME]
       rsoe -s [-f FARM -id ID]
       rsoe service install | uninstall | start | stop | status [NAME] ...      see rsoe service -h

  -f FARM      farm that the back-end server belongs to
  -id ID       its name in the farm
  -t TOKEN     its secret
  -mac LIST    adapter addresses to show, as 01-23-45-67-89-ab, with ! between several (those of the machine)
  -cr STRING   a relay server, or the load balancer before the relays; may be given several times:
                 host (localhost), port (80, or 443 with https=1), url_suffix (/srv/iarelayserver), https (0 or 1)
                 http_userid, http_password            basic authentication at the web server before the relay
                 proxy_host, proxy_port, http_proxy_userid, http_proxy_password    a proxy on the way
                 via_balancer=yes      go to all relay servers by this address: a load balancer looks at Ias-Rs-Peer
                 and those of certificates, below
  -cs STRING   the back-end server (host=localhost;port=80): host, port, https
                 unix=PATH                             a socket that takes the place of host and port
                 status_url=PATH                       what is fetched every -d seconds to see whether it is up
                 host_header=preserve|back-end         whose Host it is shown: the client's (preserve) or its own
                 proxy_protocol=0|1|2                  version of the PROXY header that connections begin with (0: none)
                 max_conns=N                           most connections (0: no limit)
                 keepalive, connect_timeout, response_timeout    seconds (0: what the relay says, 10, no limit)
                 and those of certificates
  certificates, with https=1:
                 trusted_certificates=FILE             the roots to trust, PEM (those of the system)
                 certificate_name, certificate_company, certificate_unit   what the other side's certificate must name
                 skip_certificate_name_check=yes       do not look at the name
                 identity=FILE, identity_password      the own certificate and key, PEM
                 tls_type, fips                        accepted, and change nothing
  -e           where -cr names no proxy, go by HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment
  -d SECONDS   how long to wait before the next attempt to connect (5)
  -transport T how lanes are opened: http, ws (WebSocket) or auto (default)
  -jl N        most requests at a time (1000); max_junction of the relay goes before it
  -jsl N       idle connections to the back-end server that are kept, opened ahead (0)
  -jsh N       idle connections to the back-end server that there may be (50)
  -cm SIZE     most bytes of bodies in memory (64m)

  -v LEVEL     0 errors only (default), 1 sessions, 2 requests, 3 packets, 4 debugging, 5 every byte
  -passport N  highest verbosity that a client's SAP Passport may ask for, for its request (0: none)
  -o FILE      append the log to a file; -ot FILE empties it first
  -os SIZE     size from which on the file is put away as yymmddnn.olg and begun anew; 10k or more
  -log FORMAT  auto (default), text, json, or rs (the lines of the original)
  -q           write nothing but errors to the terminal
  -dl          write the log to the terminal as well
  -metrics ADDRESS, -health ADDRESS    serve /metrics, /healthz and /readyz at one address, as 127.0.0.1:9090

  -ud          run in the background
  -s           stop the enabler that runs for -f and -id, or the only one there is
  -check       check the command line and end
  -version     print the version and end
  -config FILE read more options from a TOML file: v = 2, cr = ["host=a", "host=b"], q = true
  @NAME        read more options from the environment variable NAME, or else from the file NAME
  -oq -qc -uc -ui -um -ux              accepted, and change nothing

Exit codes: 0, 1 runtime, 2 usage, 3 ended by a second signal, 78 configuration.
`

const commandLine = "command line"

// ParseEnabler reads the command line of rsoe, without the name of the program.
//
// env returns the value of an environment variable, readFile the content of a file; both are for @NAME only.
// The error is ErrHelp, ErrVersion, or an *Error with every mistake; the warnings are complete in any case.
func ParseEnabler(args []string, env func(string) string, readFile func(string) ([]byte, error)) (*Enabler, []Warning, error) {
	p := &enablerParser{problems: new(problems), env: env, readFile: readFile}
	p.e = defaultEnabler()
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

// defaultEnabler is what an empty command line stands for.
func defaultEnabler() *Enabler {
	return &Enabler{
		Backend:   BackendAddr{Host: "localhost", Port: 80},
		Retry:     5 * time.Second,
		LogFormat: "auto", Transport: "auto",
		MaxJunction: defaultJunctions, SpareLow: defaultSpareLow, SpareHigh: defaultSpareHigh,
		MemoryBytes: 64 << 20,
	}
}

const (
	defaultJunctions = 1000
	defaultSpareLow  = 0 // a plain start opens nothing that nobody asked for: a back end may serve one connection at a time
	defaultSpareHigh = 50
)

// enablerParser reads one command line.
type enablerParser struct {
	*problems
	env      func(string) string
	readFile func(string) ([]byte, error)
	e        *Enabler

	words      []word          // what is left of the expanded command line
	open       []string        // the @NAME that is being read, after those that name it
	expanded   int             // files and variables so far
	relayGiven bool            // there was a -cr, right or wrong
	spare      map[string]int  // -jl, -jsl and -jsh, as far as they were given
	admin      map[string]word // -metrics and -health, as far as they were given
	sized      where           // of -os; the zero value: it was not given
	byEnv      where           // of -e; likewise
	special    error           // ErrHelp or ErrVersion
}

// rsoeOption is one option of the command line.
type rsoeOption struct {
	flag   bool                                              // it has no value
	secret bool                                              // its value is not shown
	more   bool                                              // its value is a file with more options
	want   string                                            // what would be right
	set    func(p *enablerParser, o word, value string) bool // nil: it is accepted and means nothing
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
			p.stray(w)
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
		p.option(w, o, value)
	}
}

// stray reports an argument that belongs to no option, and drops those behind it that are of the same making.
func (p *enablerParser) stray(w word) {
	if w.quoted || !strings.HasPrefix(w.text, "#") {
		p.fail(w.at, "argument without an option before it: quote values that hold blanks")
		return
	}
	p.fail(w.at, "a # begins a comment only at the start of a line")
	for len(p.words) > 0 && w.at.line > 0 && p.words[0].at == w.at {
		p.words = p.words[1:]
	}
}

// option handles one option with its value.
func (p *enablerParser) option(w word, o rsoeOption, value word) {
	switch {
	case value.failed:
	case o.more:
		p.readOptions(w, value.text)
	case o.set != nil && !o.set(p, w, value.text):
		shown := quote("", value.text)
		if o.secret {
			shown = mask
		}
		p.fail(w.at, "option %q: value %s: %s", w.text, shown, o.want)
	}
}

// isOption tells whether a word looks like an option.
func isOption(s string) bool {
	return strings.HasPrefix(s, "-") && isName(strings.TrimLeft(s, "-"))
}

// finish checks what no single option can know.
func (p *enablerParser) finish() {
	at, e := where{file: commandLine}, p.e
	if !e.Stop {
		if e.Farm == "" {
			p.fail(at, "option %q: missing: the farm of the back-end server", "-f")
		}
		if e.ID == "" {
			p.fail(at, "option %q: missing: the id of the back-end server", "-id")
		}
		if !p.relayGiven {
			p.fail(at, "option %q: missing: where the relay is, as \"host=relay.example.com;port=80\"", "-cr")
		}
	} else if (e.Farm == "") != (e.ID == "") {
		p.fail(at, "option %q: both %q and %q, or neither of them", "-s", "-f", "-id")
	}
	if p.sized != (where{}) && e.LogFile == "" {
		p.warn(p.sized, "option %q: means nothing without -o or -ot", "-os")
	}
	if p.byEnv != (where{}) {
		e.EnvProxies = p.envProxies(p.byEnv)
	}
	p.finishSpare(at)
	m, h := p.admin["-metrics"], p.admin["-health"]
	if m.text != "" && h.text != "" && m.text != h.text {
		p.fail(h.at, "option %q: value %q: there is one address for both, and %q has %q", "-health", h.text, "-metrics", m.text)
	}
	e.AdminListen = cmp.Or(m.text, h.text)
}

// finishSpare sets the numbers of junctions. Those that were not given make room for those that were.
func (p *enablerParser) finishSpare(at where) {
	e := p.e
	most, mostGiven := p.spare["-jl"]
	low, lowGiven := p.spare["-jsl"]
	high, highGiven := p.spare["-jsh"]
	if !mostGiven {
		most = max(defaultJunctions, low, high)
	}
	if !highGiven {
		high = min(max(defaultSpareHigh, low), most)
	}
	if !lowGiven {
		low = min(defaultSpareLow, high)
	}
	if low > high || high > most {
		p.fail(at, "options \"-jsl\", \"-jsh\", \"-jl\": values %d, %d, %d: each at least the one before", low, high, most)
	}
	e.MaxJunction, e.SpareLow, e.SpareHigh = most, low, high
}

// rsoeOptions has every option of the original and ours.
var rsoeOptions = map[string]rsoeOption{
	"-f":   {want: "the farm's id, printable ASCII", set: setID(func(e *Enabler) *string { return &e.Farm })},
	"-id":  {want: "the back-end server's id, printable ASCII", set: setID(func(e *Enabler) *string { return &e.ID })},
	"-t":   {want: "a token of printable ASCII", secret: true, set: setToken},
	"-mac": {want: wantMACs, set: setMACs},
	"-cr":  {secret: true, want: `where the relay is, as "host=relay.example.com;port=80"`, set: setRelay},
	"-cs":  {secret: true, want: `where the back-end server is, as "host=localhost;port=80"`, set: setBackend},

	"-e": {flag: true, set: func(p *enablerParser, o word, _ string) bool {
		p.byEnv = o.at
		return true
	}},
	"-d":         {want: "1 to 86400 seconds", set: number(1, 86400, func(p *enablerParser, n int) { p.e.Retry = time.Duration(n) * time.Second })},
	"-transport": {want: "auto, http or ws", set: setOneOf(transports, func(e *Enabler) *string { return &e.Transport })},
	"-jl":        {want: fmt.Sprintf("1 to %d", mostJunctions), set: spare(1)},
	"-jsl":       {want: fmt.Sprintf("0 to %d", mostJunctions), set: spare(0)},
	"-jsh":       {want: fmt.Sprintf("0 to %d", mostJunctions), set: spare(0)},
	"-cm":        {want: "a size of 1m or more", set: setSize(1<<20, func(p *enablerParser, _ word, n int64) { p.e.MemoryBytes = n })},

	"-v":        {want: "0 to 5", set: number(0, 5, func(p *enablerParser, n int) { p.e.Verbosity = n })},
	"-passport": {want: "0 to 5", set: number(0, 5, func(p *enablerParser, n int) { p.e.PassportVerbosity = n })},
	"-o":        {want: "a file", set: logFile(false)},
	"-ot":       {want: "a file", set: logFile(true)},
	"-os":       {want: "a size of 10k or more", set: setSize(leastLog, func(p *enablerParser, o word, n int64) { p.e.LogSize, p.sized = n, o.at })},
	"-log":      {want: wordList(logFormats), set: setOneOf(logFormats, func(e *Enabler) *string { return &e.LogFormat })},
	"-q":        setFlag(func(e *Enabler) *bool { return &e.Quiet }),
	"-dl":       setFlag(func(e *Enabler) *bool { return &e.LogToTerminal }),
	"-metrics":  {want: "an address as 127.0.0.1:9090", set: setAdmin},
	"-health":   {want: "an address as 127.0.0.1:9090", set: setAdmin},

	"-ud":      setFlag(func(e *Enabler) *bool { return &e.Daemon }),
	"-s":       setFlag(func(e *Enabler) *bool { return &e.Stop }),
	"-check":   setFlag(func(e *Enabler) *bool { return &e.Check }),
	"-version": {flag: true, set: special(ErrVersion)}, "--version": {flag: true, set: special(ErrVersion)},
	"-h": {flag: true, set: special(ErrHelp)}, "-help": {flag: true, set: special(ErrHelp)},
	"--help": {flag: true, set: special(ErrHelp)}, "-?": {flag: true, set: special(ErrHelp)},

	// About windows, of which there are none.
	"-oq": {flag: true}, "-qc": {flag: true}, "-uc": {flag: true}, "-ui": {flag: true}, "-um": {flag: true}, "-ux": {flag: true},

	"-config": {want: "a TOML file", more: true},
	"-af":     {flag: true, set: refuse("not supported: nothing is known about what it did; leave it out")},
}

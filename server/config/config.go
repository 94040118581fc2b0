// Package config turns files, environment and flags into one Config, and the command line of rsoe into an Enabler.
//
// Sources are read in this order, a later one replacing what an earlier one set: Default, a TOML file, an rs.config, an
// eserver.cfg, an rtserver.cm, the environment, assignments of the command line. Farms and servers of all files are added up.
//
// A mistake is a Problem with its file and line; Load collects all of them before it gives up. A Warning has the same
// shape and changes nothing. No secret is ever part of either, nor of what Dump prints.
//
// A Config is made before the server runs and read only afterwards: any goroutine may read it.
package config

import (
	"net/netip"
	"runtime/debug"
	"time"
)

// Config is everything that a server reads at its start. Start from Default: the zero Config is not valid.
//
// The comment of a field is its manual, and the reference in docs/configuration.md is made of it. The tag toml is the
// field's name in a file, unit tells what a number stands for: bytes, port or verbosity.
type Config struct {
	Relay  Relay  `toml:"relay"`
	Engine Engine `toml:"engine"`
	Router Router `toml:"router"`
	Access Access `toml:"access"`
	Admin  Admin  `toml:"admin"`
	Log    Log    `toml:"log"`
	Limits Limits `toml:"limits"`

	// Number of event loops. 0: as many as GOMAXPROCS. At most 1024.
	Loops int `toml:"loops"`
	// How long running requests may take to finish after the first SIGTERM or SIGINT. 0: they are cut at once.
	DrainTimeout time.Duration `toml:"drain_timeout"`
	// How long requests, lanes and upgraded connections of this process may go on when SIGUSR2 has put a new one in its place. 0: as long as
	// they want.
	HandoverTimeout time.Duration `toml:"handover_timeout"`
	// How long everything goes on after the first SIGTERM or SIGINT while /readyz says that the server is not ready: as long as load
	// balancers need to see that, so that nothing new comes when the listeners close. A new process, started by SIGUSR2, needs none.
	DrainDelay time.Duration `toml:"drain_delay"`
	// How long connections that wait for a request may still bring one after the first SIGTERM or SIGINT: it is answered, and the
	// connection closed. 0: they are closed at once, which loses what is on its way.
	DrainGrace time.Duration `toml:"drain_grace"`

	// Demo is set by Load when no file was given: serve the demonstration. It is no key of a file.
	Demo bool `toml:"-"`
}

// Relay is the relay door: clients on one side, the enablers of back-end servers on the other, both on the same listeners.
type Relay struct {
	// Addresses to listen on, as host:port; an empty host is every address, port 0 a free one.
	// Not set in any file that configures the relay: 127.0.0.1:8080. An empty list: the door stays closed.
	Listen []string `toml:"listen"`
	// URL paths under which clients reach a farm, as PREFIX/FARM/PATH. At least one.
	ClientPrefixes []string `toml:"client_prefixes"`
	// URL paths under which enablers open their lanes. At least one, none of them also a client prefix.
	ServerPrefixes []string `toml:"server_prefixes"`
	// Networks (192.0.2.0/24) or addresses whose X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host and Forwarded are believed.
	// Empty: nobody's.
	TrustedProxies []netip.Prefix `toml:"trusted_proxies"`

	// From the first byte of a request until its head is complete; further bytes do not extend it. More than 0.
	HeaderTimeout time.Duration `toml:"header_timeout"`
	// How long a client's connection may wait for its next request, or take nothing of its answer. More than 0.
	IdleTimeout time.Duration `toml:"idle_timeout"`
	// From the end of a request until the head of its response, then 504. 0: no limit.
	ResponseTimeout time.Duration `toml:"response_timeout"`
	// Slowest request body that is borne, in bytes a second, measured once body_grace has passed; then 408. 0: any.
	BodyMinRate int `toml:"body_min_rate" unit:"bytes"`
	// How long a request body may take before its rate is judged. 0: judged at once.
	BodyGrace time.Duration `toml:"body_grace"`
	// Bytes of one request or response that may be on their way over a lane without having been credited. 4 KiB to 1 GiB.
	StreamWindow int `toml:"stream_window" unit:"bytes"`
	// Interval of pings on a lane; a lane silent for three of them is closed. More than 0.
	Heartbeat time.Duration `toml:"heartbeat"`

	// Longest request line in bytes, then 414. At least 64.
	RequestLine int `toml:"request_line" unit:"bytes"`
	// Longest head of a request in bytes, request line included, then 431. At least request_line.
	Head int `toml:"head" unit:"bytes"`
	// Most fields in a head, then 431. At least 1.
	Fields int `toml:"fields"`
	// Longest trailer section in bytes, then 400. 0: no trailer fields at all.
	TrailerBytes int `toml:"trailer_bytes" unit:"bytes"`
	// Longest request body in bytes, then 413. 0: no limit.
	MaxRequestBody int64 `toml:"max_request_body" unit:"bytes"`

	// Where one record a request is written: a file, which is appended to, - for standard error, or log: as lines of the log.
	// Empty: nowhere, but with log.format = "rs", or log.verbosity of 1 or more in an rs.config, as log.
	AccessLog string `toml:"access_log"`
	// Free text about this relay for its status page. At most 2048 bytes.
	Description string `toml:"description"`

	// Listeners that speak TLS.
	TLS RelayTLS `toml:"tls"`
	// Who is believed what.
	Trust RelayTrust `toml:"trust"`
	// What the status pages show.
	Status RelayStatus `toml:"status"`
	// How enablers hold their lanes.
	Lane RelayLane `toml:"lane"`

	// The relay servers of the farm, this one included, that enablers are told to open lanes to.
	Servers []RelayServer `toml:"server"`
	// What clients address.
	Farms []Farm `toml:"farm"`
	// Who may serve a farm.
	Backends []Backend `toml:"backend"`
}

// RelayTLS are the relay's listeners that speak TLS. All its files are read again at a reload, and when they have changed.
type RelayTLS struct {
	// Addresses to listen on, as relay.listen; cert and key are needed. Empty: none.
	Listen []string `toml:"listen"`
	// File of the certificate, and of those between it and its root, in PEM.
	Cert string `toml:"cert"`
	// File of its private key, in PEM.
	Key string `toml:"key"`
	// File of the root certificates that clients' and enablers' own certificates must lead to, in PEM. Empty: none is asked for.
	ClientCA string `toml:"client_ca"`
	// Whether a connection without a certificate is refused. No: one that is presented must be right all the same.
	RequireClientCert bool `toml:"require_client_cert"`
}

// RelayTrust says who is believed what.
type RelayTrust struct {
	// Networks or addresses of load balancers that begin each connection with a PROXY header, version 1 or 2, which names the client.
	// From them it is demanded, from others a connection that begins so is no HTTP. Empty: nobody's.
	ProxyProtocol []netip.Prefix `toml:"proxy_protocol"`
	// Secret that signs session ids, the same at all relay servers of the farm, 16 bytes or more of random text. Empty: made of the tokens, so that it is the same
	// where the configuration is; where there is no token, made at random by each relay server for itself, when it starts.
	AffinityKey string `toml:"affinity_key" unit:"secret"`
	// Whether an enabler may show over plain HTTP what others could use again: its token in clear, or the signature of an earlier release. No: only over TLS.
	PlainTokens bool `toml:"plain_tokens"`
	// Which enablers of farms and servers that are not configured are let in: off, token:SECRET, or GLOB=SECRET;GLOB=SECRET of the
	// names of farms, where * is any text and ? one character. Such a farm is there as long as its enablers are, and ten minutes more.
	AutoConfig string `toml:"auto_config" unit:"secret"`
}

// RelayStatus says what the status pages show.
type RelayStatus struct {
	// Whether pages for clients name farms and servers. No: they only tell whether what was asked for is available.
	Public bool `toml:"public"`
	// How often a page reloads itself. 0: never.
	Refresh time.Duration `toml:"refresh"`
	// URL, http or https, that is told by a POST with JSON when an enabler or its back end comes up or goes down. Empty: none.
	Webhook string `toml:"webhook" unit:"secret"`
}

// RelayLane says how enablers hold their lanes.
type RelayLane struct {
	// Bytes of padding after each burst on a lane, for proxies that pass on full buffers only. 0: none. At most 1 MiB.
	PadSize int `toml:"pad_size" unit:"bytes"`
	// How long requests wait for a lane after SIGUSR2 has put a new process in the place of one that had lanes. 0: they do not.
	HandoverWait time.Duration `toml:"handover_wait"`
	// For how long after the start /readyz?farm=ID answers 503 until every enabled server of the farm has had lanes to every loop, so that a load
	// balancer sends no client whose own server is still on its way. After that one server is enough. 0: it always is.
	StartWait time.Duration `toml:"start_wait"`
}

// Admin is the listener for health, metrics, tables and orders. Without a token it asks nobody for a password: keep it on loopback.
type Admin struct {
	// Address to listen on, as host:port; port 0 is a free one. Empty: no such listener.
	Listen string `toml:"listen"`
	// Secret that everything but /healthz and /readyz asks for: Authorization: Bearer TOKEN, or the password that a browser asks its user for.
	// At most 2048 bytes of printable ASCII without blanks. Empty: nobody is asked.
	Token string `toml:"token" unit:"secret"`
	// Whether the listeners of the relay door serve /admin/iarelayserver and /mon/iarelayserver, and their forms on IIS, as well. Only with a
	// token of 16 bytes or more.
	Public bool `toml:"public"`
	// Whether metrics of back-end servers have the label server. No: one number stands for all servers of a farm, which keeps metrics few.
	ServerLabel bool `toml:"server_label"`
}

// Log says what the program writes about itself, to standard error.
type Log struct {
	// error, warn, info or debug. Empty: what verbosity asks for.
	Level string `toml:"level"`
	// text, json, rs (the lines of the original), or auto: text on a terminal and JSON otherwise.
	Format string `toml:"format"`
	// File that the log is written to instead. Empty: standard error.
	File string `toml:"file"`
	// Size from which on the file is put away under the name yymmddnn.olg and begun anew: 10 KiB or more. 0: never.
	MaxSize int64 `toml:"max_size" unit:"bytes"`
	// Form of the record that is written of each relayed request to relay.access_log: line, rsr (the columns of the original, named by a first
	// line) or json.
	Records string `toml:"records"`
	// 0 errors only, 1 sessions, 2 requests, 3 packets, 4 debugging, 5 every byte, payloads included.
	Verbosity int `toml:"verbosity" unit:"verbosity"`
	// Highest verbosity that a client's SAP Passport (the field SAP-PASSPORT) may ask for, for its own request. 0: passports mean nothing.
	PassportMaxVerbosity int `toml:"passport_max_verbosity" unit:"verbosity"`
}

// Limits hold for the whole process.
type Limits struct {
	// Most connections at a time; one more is refused and counted. 0: what the descriptor limit allows.
	MaxConnections int `toml:"max_connections"`
	// Bytes of bodies in flight, all connections together; above it new requests get 503. 0: a quarter of GOMEMLIMIT, or
	// of the machine's memory where that is not set.
	MemoryBytes int64 `toml:"memory_bytes" unit:"bytes"`
	// Most requests of clients that are relayed at a time; one more gets 503. 0: no limit.
	MaxRequests int `toml:"max_requests"`
}

// DefaultListen is where the relay door opens when it is configured and nobody says where.
const DefaultListen = "127.0.0.1:8080"

// Default returns the configuration of the demonstration, less its farm, its engine and the listeners of the router: every field has the
// default of its manual.
func Default() *Config {
	return &Config{
		Relay: Relay{
			Listen: []string{DefaultListen},
			ClientPrefixes: []string{ // the Apache form, then IIS 11 to 17
				"/cli/iarelayserver",
				"/ias_relay_server/client/rs_client.dll",
				"/rs16/client/rs_client.dll",
				"/rs16.5/client/rs.dll",
				"/rs17/client/rs.dll",
			},
			ServerPrefixes: []string{
				"/srv/iarelayserver",
				"/ias_relay_server/server/rs_server.dll",
				"/rs16/server/rs_server.dll",
				"/rs16.5/server/rs.dll",
				"/rs17/server/rs.dll",
			},
			HeaderTimeout:   10 * time.Second,
			IdleTimeout:     60 * time.Second,
			ResponseTimeout: 120 * time.Second,
			BodyMinRate:     500,
			BodyGrace:       10 * time.Second,
			StreamWindow:    256 << 10,
			Heartbeat:       15 * time.Second,
			RequestLine:     8 << 10,
			Head:            32 << 10,
			Fields:          100,
			TrailerBytes:    8 << 10,
			Trust:           RelayTrust{PlainTokens: true},
			Lane:            RelayLane{HandoverWait: 10 * time.Second, StartWait: 10 * time.Second},
		},
		Engine:       defaultEngine(),
		Router:       defaultRouter(),
		Access:       defaultAccess(),
		Admin:        Admin{Listen: "127.0.0.1:8081", ServerLabel: true},
		Log:          Log{Format: "auto", Records: "line", Verbosity: 1},
		DrainTimeout: 30 * time.Second,
		DrainGrace:   time.Second,
	}
}

// MemoryLimit returns what MemoryBytes stands for on a machine with machineBytes of memory, in bytes.
func (l Limits) MemoryLimit(machineBytes int64) int64 {
	if l.MemoryBytes > 0 {
		return l.MemoryBytes
	}
	if limit := debug.SetMemoryLimit(-1); limit > 0 && limit < machineBytes {
		machineBytes = limit
	}
	return machineBytes / 4
}

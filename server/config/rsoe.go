package config

import "time"

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
	// How long to wait after a failure before the next attempt. More than 0.
	Retry time.Duration

	// File that the log is written to; empty: standard error.
	LogFile string
	// Whether LogFile is emptied first instead of being appended to.
	LogTruncate bool
	// text, json or auto, as log.format of the server.
	LogFormat string
	// Only check the command line.
	Check bool
}

// TLS is what both connection strings say about encryption.
type TLS struct {
	// Whether to speak HTTPS.
	HTTPS bool
	// PEM file of the root certificates to trust; empty: those of the system.
	TrustedCertificates string
	// Name that the certificate of the other side must carry; empty: the host connected to.
	CertificateName string
}

// BackendAddr is where the back-end server listens: -cs.
type BackendAddr struct {
	TLS
	Host string
	Port int
}

// RelayAddr is where a relay server listens: -cr.
type RelayAddr struct {
	TLS
	Host string
	Port int
	// Path of the relay's server side, without a slash at its end.
	URLSuffix string
}

// Package bench holds the programs that measure whole servers. Nothing in it is a timed test: a number is read, never asserted.
//
//	bench/relay    the HTTP relay beside nginx, HAProxy, an OpenSSH reverse tunnel, frp and chisel, in turns in one run
//	bench/engine   the engine door beside RoadRunner's pool, nginx with php-fpm and nginx with uWSGI, and the memory of waiting requests
//	bench/router   the router door beside nats-server, with one generator for all, nats.go and our own client; memory of idle clients
//	bench/fanout   the router door with a slow subscriber, a million subscriptions, and clients that come back at once
//	bench/idle     bytes of memory that one idle client connection costs
//	bench/slow     fast clients while slow readers hold large bodies; 1 GiB down and up with its hash compared
//	bench/harness  what they share: processes, ports, /proc readers, wrk, the origin, one starter a contender
//	bench/peers    programs that peers need to be measured, each a Go module of its own
//
// Each program starts what it needs on loopback ports that it picks free, in a temporary directory, and ends exactly the
// processes that it started, also on Ctrl-C. RESULTS.md says how to reproduce its figures.
package bench

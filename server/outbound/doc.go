// Package outbound is the outbound enabler: it runs beside a back-end server, opens lanes to every relay server of a farm, and
// has the requests that come over them answered by the back end.
//
// An Enabler fetches the list of relay servers (peers.go) and keeps one lane for each loop of each of them (lanes.go), coming
// back after any failure with a jittered pause. What a lane carries is a stream per request (stream.go); a stream borrows a
// connection to the back end (backend.go) from the pool of its loop (pool.go), and gives it back when the exchange ended
// cleanly. A session may be bound to a connection, which moves between the loops with it (socket.go). How many requests and
// connections there are is limited for all loops together (limit.go). What becomes of each request is counted and recorded
// (stats.go, record.go). A monitor looks after the back end and tells the relays when it is away (monitor.go).
//
// A shard is what one loop owns: its lanes, its streams and its connections to the back end. The relay's lane i runs on
// loop i modulo the number of ours, so an exchange never changes loops.
package outbound

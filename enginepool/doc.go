// Package enginepool decides which engine process takes which request, and when engines are started, retired and killed. It
// touches no socket, process or clock: events go in with the time as an argument, and what is to be done comes out as calls of
// a Host.
//
// The nouns: an Engine is one process, or one that has dialled in; a Signature says for whom it has logged in; a Line is all that
// there is for one signature: engines and waiting requests; a slot is the right to have one more pooled engine. A request that wants
// an engine is a Waiter.
//
// A Pool has a Shard for each event loop. An engine and a waiter belong to one shard, whose loop alone touches them, so a request
// whose shard has an idle engine crosses no loop. What shards must know of each other stands in atomics: of each line and shard,
// whether an engine idles there and since when the oldest request waits. From them follows:
//
//   - A shard without an idle engine asks one that has (Want), and gets the engine itself, connection and all: Host.Move.
//   - An engine that comes free on a shard goes to another one whose oldest request has waited longer than its own by more than
//     the fairness (1 ms): requests of a line are served in the order of their coming, to within that. While requests are short, a
//     shard that has engines itself may fall behind by as much as they wait anyway.
//   - A line that may not start an engine has as many idle engines of other lines stopped as it needs. When none idles for StealAfter,
//     the next engine that comes free goes, and the slot is kept for the line: Pool.starved.
//   - A slot is reserved before a process is started and given back when it has been reaped, so there are never more pooled
//     engines than MaxEngines.
//
// The life of an engine (ladder.go):
//
//	starting -> login -> startup -> idle <-> active, timer
//	any of them -> shutdown -> logoff -> terminating -> killed -> gone
//	active -> breaking -> terminating
//
// Each phase has a deadline, after which the next step of the ladder follows: no engine stays where it is for ever.
//
// Where what is:
//
//	pool.go, line.go, limits.go   Pool, Line and Limits, which any goroutine may use
//	slots.go                      who may have a slot
//	pause.go                      lines that are paused
//	shard.go, life.go, tick.go    Shard: what the user tells of requests, of engines and of the time
//	host.go                       what comes out, and what shards tell each other
//	engine.go, ladder.go          Engine, and the steps of its life
//	term.go, clock.go, tally.go   how long it stays, its deadline, what it counts among
//	roster.go, external.go        the engines of a shard, and those of them that no line has
//	bay.go, seek.go               bay, a line's part of a shard: what it does with engines, and for those who wait
//	queue.go, ring.go             who waits in it, and its idle engines
//	trade.go, room.go             engines of other shards, and slots of other lines
//
// An Engine knows its Shard (the one that it is on), and a bay its own for ever. A small struct that is a part of an Engine, a bay or a
// Shard has the rules of one matter, with a pointer back to what it is a part of.
//
// Sources: seed "engine server"; the rules about slots, waiting and stopping complete it.
package enginepool

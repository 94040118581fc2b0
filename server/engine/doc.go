// Package engine is the engine door: clients with requests in length-framed messages on one side, engine processes on the other.
//
// The life of a client's connection: open (door.go) makes a client (client.go, frames.go), whose frames are commands. A login (login.go) finds the
// client's line in the pool, or starts an engine that is the client's own. Execute and Call make a call (call.go), which waits in the
// pool for an engine, runs on it, and ends. In the block modes the client's answer collects the outcome into one reply (answer.go); in
// character mode, and for a call with events, client and engine talk in a dialogue (dialogue.go), which outlives the connection when
// zombies are kept (zombie.go). Control commands, with negative codes, need no login (control.go).
//
// The life of an engine: the pool decides, the shard does (host.go): a process is started in a goroutine (process.go), its end of a
// socket pair becomes a connection like any other, whose session is an engine (engine.go). A phantom (phantom.go) and the server's own
// procedures (run.go) are calls without a client.
//
// A shard (shard.go) is what one loop owns. A client, its call and the engine that runs it are on one loop for the length of the call: the
// pool moves engines, and the door moves a client that comes back to its engine.
//
// What the frames hold is in codec/oes for clients and codec/revcap for engines.
package engine

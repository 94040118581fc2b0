// Package server puts a roundhouse together: loops, doors, admin listener. Start here to find your way.
//
// The life of a connection at the relay door: loop accepts it and gives it to one of its loops; relay reads a request, finds
// its farm, and sends it over a lane to an outbound enabler, which has dialled in from beside the back end; the answer comes
// back over the same lane. See the package comments of relay, laneio and outbound, in this order, and of loop for what lies
// beneath them.
//
// At the engine door loop accepts a client, engine reads its frames, and enginepool gives each request an engine: a process whose
// connection belongs to a loop, too. See the package comments of engine and enginepool.
//
// At the router door loop accepts a client, of our own protocol or of NATS, router reads its messages and gives each to the outputs of those who
// have subscribed to its subject, on all loops; package access knows who may. See the package comments of router, codec/message,
// codec/natswire and routing/subject.
//
// The mesh between servers is still to come: it gets a package beside router, and a field of Server.
package server

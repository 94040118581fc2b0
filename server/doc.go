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
// The router door, and the mesh between servers, are still to come: each gets a package beside relay, and a field of Server.
package server

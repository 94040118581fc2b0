// Package relay is the relay door: it takes HTTP requests of clients and has them answered by back-end servers behind
// firewalls, over the lanes that outbound enablers have opened.
//
// The life of a connection: a client (client.go) reads a request head; the URL names a farm (route.go), the roster of the loop
// picks a back-end server of it that has a lane here, and an exchange (exchange.go) begins: one stream on that lane. The body
// goes out under credit (upload.go), the answer comes back packet by packet (download.go), and the client reads its next
// request. A connection whose URL names the server side is an enabler's (enabler.go): it moves to the loop that its lane
// belongs to and becomes one half of a lane (lane.go).
//
// A shard is what one loop owns: its clients, its lanes, its exchanges, its scratch memory and its counters. A request never
// leaves its loop, so there is no lock on its way. Only counters are read from elsewhere.
//
// Everything that is sent on is written anew by codec/http1; what it refuses is answered and the connection closed.
package relay

// Package loop runs connections on non-blocking event loops. It is the only package that imports gnet, and it hides what
// gnet leaves to its users.
//
// The nouns: a Group is all loops; a Loop is one goroutine in epoll_wait with the connections that it owns; a Conn is one
// connection; a Session is the protocol state that a door hangs on a Conn. A Conn, its Session and their timers belong to one
// Loop, whose callbacks alone touch them, without a lock. Everybody else uses Loop.Post.
//
// gnet reads; this package writes. gnet hands over what it could not send to a buffer that nobody can see into, tells nobody
// when that buffer empties, and throws it away when the peer ends its side. So a Conn writes to its socket itself, keeps what
// the socket did not take (output.go), and watches for room with a second epoll instance per loop (room.go). That makes watermarks
// exact, close-after-flush and half-closed peers possible, and leaves the event mask of gnet's epoll to Pause and Resume.
//
// The parts of a Conn, each a type and a file of that name: arrival (until it is on its loop), socket, input, output, peerEnd
// (the peer has ended its side), ending (we close), and the session, guarded against its panics (contain.go). The parts of a
// Loop: turn (what callbacks leave to be done), mailbox, room, and the wheel of its timers.
//
// A turn: events of one epoll round run callbacks. What a callback wrote goes out when it returns; what it wrote to a
// connection with SetBatch goes out when the round that follows is done, so that a connection shared by many (a lane) gets
// one system call for all of them.
package loop

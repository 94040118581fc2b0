package server

// tryRouter is how to try subjects.
func (s *Server) tryRouter() string {
	addrs, nats := s.RouterAddrs(), s.NATSAddrs()
	if len(addrs) == 0 || len(nats) == 0 {
		return ""
	}
	at := " --server tcp:" + addrs[0].String()
	host, port := splitAddr(nats[0].String())
	return "Messages, in three terminals; the last speaks the protocol of NATS, as every NATS client does (subject demo.hello is /demo/hello):\n\n" +
		"  bin/roundhouse sub" + at + " '/demo/...'\n" +
		"  bin/roundhouse pub" + at + " /demo/hello 'good morning'\n" +
		"  bash -c 'exec 3<>/dev/tcp/" + host + "/" + port + `; printf "PUB demo.hello 2\r\nhi\r\nPING\r\n" >&3; head -n 3 <&3'` + "\n\n"
}

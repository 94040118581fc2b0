package server

import "roundhouse/server/admin"

// sources is what the admin listener shows of the server.
func (s *Server) sources() admin.Sources {
	return admin.Sources{}
}

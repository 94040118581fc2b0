// Package ntf has the names that the main function of nats.go's tests uses of the package it stands in for: there a service that
// makes servers on demand, here one server that runs for as long as the tests do. The tests ask it for nothing but a greeting.
package ntf

import (
	"context"

	client "github.com/synadia-io/orbit.go/ntf-client"
)

// Options are those of the original; all are ignored.
type Options struct {
	AdvertiseHost string
}

// Service is a running server. Close it.
type Service struct{ server *client.Standalone }

// New starts a server of the program under test and waits until it is ready.
func New(_ context.Context, _ Options) (*Service, error) {
	server, err := client.NewStandalone()
	if err != nil {
		return nil, err
	}
	return &Service{server}, nil
}

// Port returns the port on localhost where the server listens.
func (s *Service) Port() int { return s.server.Port() }

// Close stops the server and waits for its end.
func (s *Service) Close() { s.server.Close() }

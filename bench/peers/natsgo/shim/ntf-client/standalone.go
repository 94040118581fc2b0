package ntf

import "os"

// Standalone is a server without a test. One goroutine at a time may use it.
type Standalone struct{ node *node }

// NewStandalone starts a server and waits until it is ready. Close it.
func NewStandalone(options ...CreateOption) (*Standalone, error) {
	var s settings
	s.apply(options)
	n, err := newNode(s)
	if err != nil {
		return nil, err
	}
	server := &Standalone{n}
	if err := n.start(); err != nil {
		server.Close()
		return nil, err
	}
	return server, nil
}

// WithLameDuck makes the server take its time to stop, so that LameDuck can be seen. The original has no such option.
func WithLameDuck() CreateOption { return func(s *settings) { s.slow = true } }

// Port returns the port on localhost where the server listens.
func (s *Standalone) Port() int { return s.node.port }

// TLS returns what clients need, nil without TLS.
func (s *Standalone) TLS() *TLSMaterial { return s.node.tls }

// Restart stops the server and starts it again on the same port.
func (s *Standalone) Restart() error {
	if err := s.node.stop(); err != nil {
		return err
	}
	return s.node.start()
}

// LameDuck tells the server to stop gently, and does not wait.
func (s *Standalone) LameDuck() error {
	return s.node.process.cmd.Process.Signal(s.node.program.lameDuck())
}

// Log returns the end of what the server has written since its last start.
func (s *Standalone) Log() string { return s.node.logTail() }

// Close stops the server. What goes wrong is ignored: nobody needs it any more, and it ends with this process in any case.
func (s *Standalone) Close() {
	_ = s.node.stop()
	_ = os.RemoveAll(s.node.dir)
}

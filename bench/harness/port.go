package harness

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

// FreePort returns a loopback port that nobody listens on. It lies below the range from which the kernel takes the ports of
// outgoing connections, of which a load program opens many: none of them can take it before the contender does.
func FreePort() (int, error) {
	const low, high, tries = 20000, 32000, 200
	for range tries {
		port := low + rand.IntN(high-low)
		ln, err := net.Listen("tcp", Address(port))
		if err != nil {
			continue
		}
		if err := ln.Close(); err != nil {
			return 0, fmt.Errorf("harness: %w", err)
		}
		return port, nil
	}
	return 0, errors.New("harness: no free port")
}

// Address is the loopback address with a port.
func Address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// WaitListening waits until the process accepts connections on the port.
func WaitListening(ctx context.Context, p *Process, port int) error {
	return WaitFor(ctx, 10*time.Second, p.Name+" listening", func() error {
		if err := p.Ended(); err != nil {
			return err
		}
		return dialOnce(port)
	})
}

func dialOnce(port int) error {
	c, err := net.DialTimeout("tcp", Address(port), time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

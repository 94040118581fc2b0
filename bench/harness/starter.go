package harness

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// Starter brings up one kind of contender.
type Starter struct {
	Name  string
	Needs []string // programs that must be on PATH
	Start func(ctx context.Context, l *Lab, originPort int) (*Contender, error)
}

// ErrMissing is returned when a program that a contender needs is not installed.
var ErrMissing = errors.New("harness: not on PATH")

// Run brings the contender up and waits until it answers probe. Errors: ErrMissing, or what went wrong.
func (s Starter) Run(ctx context.Context, l *Lab, originPort int, probe Body) (*Contender, error) {
	for _, program := range s.Needs {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%w: %s", ErrMissing, program)
		}
	}
	c, err := s.Start(ctx, l, originPort)
	if err != nil {
		return nil, err
	}
	if err := c.waitReady(ctx, probe); err != nil {
		return nil, err
	}
	return c, nil
}

// Starters returns all contenders but the origin itself, in the order of their turns.
func Starters(products *Products) []Starter {
	return []Starter{
		{Name: "nginx", Needs: []string{"nginx"}, Start: startNginxProxy},
		{Name: "haproxy", Needs: []string{"haproxy"}, Start: startHAProxy},
		products.Starter(),
		{Name: "ssh", Needs: []string{sshdPath, "ssh", "ssh-keygen"}, Start: startSSH},
		frp("frp-http", true, true),
		frp("frp-tcp", false, true),
		frp("frp-tcp-nomux", false, false),
		{Name: "chisel", Needs: []string{"chisel"}, Start: startChisel},
	}
}

// FindStarter returns the starter of that name.
func FindStarter(products *Products, name string) (Starter, error) {
	var names []string
	for _, s := range Starters(products) {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Starter{}, fmt.Errorf("harness: no contender %q; there are %s", name, strings.Join(names, ", "))
}

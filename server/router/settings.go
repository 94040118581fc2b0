package router

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"roundhouse/codec/natswire"
	"roundhouse/routing/subject"
	"roundhouse/server/config"
)

// settings are what a reload, or a command at run time, replaces. They are never changed.
type settings struct {
	whole       *config.Config
	cfg         *config.Router // that of whole
	natsProject *project
	natsLimits  natswire.Limits
	rates       rates
	sweep       time.Duration // between looks at all peers
}

func (d *Door) newSettings(whole *config.Config) (*settings, error) {
	cfg := &whole.Router
	p, err := d.project(cfg.NATS.Project)
	if err != nil {
		return nil, fmt.Errorf("router.nats.project: %w", err)
	}
	return &settings{
		whole: whole, cfg: cfg, natsProject: p,
		natsLimits: natswire.Limits{Line: cfg.NATS.MaxControlLine, Payload: cfg.NATS.MaxPayload},
		rates:      rates{cfg.Client.TokenRate, cfg.Client.MaxTokens, cfg.Client.BurstInterval},
		sweep:      sweepOf(cfg),
	}, nil
}

// sweepOf is often enough for the shortest time that is kept.
func sweepOf(cfg *config.Router) time.Duration {
	shortest := 4 * longestSweep
	for _, t := range []time.Duration{
		cfg.Client.ConnectTimeout, cfg.Client.ReadTimeout, cfg.Client.KeepAliveTimeout, cfg.Client.SendTimeout,
		cfg.NATS.AuthTimeout, cfg.NATS.PingInterval, cfg.NATS.WriteDeadline,
	} {
		if t > 0 {
			shortest = min(shortest, t)
		}
	}
	return max(shortest/4, shortestSweep)
}

// uniqueSubject is the name of this server: %n stands for the host and %p for the process.
func uniqueSubject(cfg *config.Router) (string, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	name := strings.NewReplacer("%n", strings.Map(plain, host), "%p", strconv.Itoa(os.Getpid())).Replace(cfg.UniqueSubject)
	b, err := subject.Canonical(nil, cfg.DefaultSubjectPrefix, []byte(name))
	if err != nil {
		return "", fmt.Errorf("router.unique_subject: %q: %w", name, err)
	}
	return string(b), nil
}

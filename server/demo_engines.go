package server

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"roundhouse/enginepool/sdk/examples"
	"roundhouse/server/config"
)

// withEngines returns cfg with the engines of the demonstration: this program as an echo engine and, for web mode, one in Python where that
// is installed.
func (d *demo) withEngines(cfg *config.Config) (*config.Config, error) {
	own, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("server: demonstration: %w", err)
	}
	with := *cfg
	with.Engine.Types = []config.EngineType{
		{Name: "default", Command: quoteArg(own) + " engine echo"},
		{Name: "chat", Command: quoteArg(own) + " engine chat"},
	}
	with.Engine.Modes = []config.EngineMode{{Mode: "1", EngineType: "chat"}}
	python, err := exec.LookPath("python3")
	if err != nil {
		return &with, nil // then without it
	}
	if d.dir, err = os.MkdirTemp("", "roundhouse-demo-"); err != nil {
		return nil, fmt.Errorf("server: demonstration: %w", err)
	}
	file := filepath.Join(d.dir, "engine.py")
	if err := os.WriteFile(file, examples.Python, 0o644); err != nil {
		return nil, fmt.Errorf("server: demonstration: %w", err)
	}
	with.Engine.Types = append(with.Engine.Types, config.EngineType{Name: "python", Command: quoteArg(python) + " " + quoteArg(file)})
	with.Engine.Modes = append(with.Engine.Modes, config.EngineMode{Mode: "2", EngineType: "python", Procedure: "UPPER"})
	return &with, nil
}

// quoteArg writes an argument so that it is one when a command line is split.
func quoteArg(arg string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "{", "{{").Replace(arg) + `"`
}

// tryEngines is how to try the engines.
func (s *Server) tryEngines() string {
	addrs := s.EngineAddrs()
	if len(addrs) == 0 {
		return ""
	}
	call := "  bin/roundhouse call --addr " + addrs[0].String()
	text := "Engines, processes that answer length-framed requests:\n\n" +
		call + " hello                    an echo engine, one of a pool\n" +
		call + " --mode 1                 an engine of your own, and a dialogue with it\n"
	if s.demo.dir != "" {
		text += call + " --mode 2 hello           an engine in Python\n"
	}
	return text + "\n"
}

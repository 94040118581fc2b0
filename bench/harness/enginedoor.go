package harness

import (
	"context"
	"fmt"
)

// A queue policy, limits and times not named are the defaults.
const doorConf = `[engine]
listen = ["%[1]s"]
[engine.pool]
max_engines = %[2]d
[[engine.type]]
name = "default"
command = "%[3]s"
[admin]
listen = "%[4]s"
`

// engineKind says in what language the engines of a door are.
type engineKind int

const (
	engineGo engineKind = iota
	enginePython
)

// pythonEngine is the example for authors of engines, from the root of the module.
const pythonEngine = "enginepool/sdk/examples/engine.py"

// door returns what starts roundhouse with an engine door.
func (o *PoolOptions) door(name string, kind engineKind, ahead int) func(context.Context, *Lab) (*Pool, error) {
	return func(ctx context.Context, l *Lab) (*Pool, error) {
		if err := o.Build(ctx, l); err != nil {
			return nil, err
		}
		command, err := o.engineCommand(ctx, kind, ahead)
		if err != nil {
			return nil, err
		}
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		adminPort, err := FreePort()
		if err != nil {
			return nil, err
		}
		conf, err := l.WriteFile(name+".toml", fmt.Sprintf(doorConf, Address(port), o.Engines, command, Address(adminPort)))
		if err != nil {
			return nil, err
		}
		argv := []string{o.Roundhouse, "serve", "-c", conf}
		for _, s := range o.Set {
			argv = append(argv, "--set", s)
		}
		p, err := l.Start(name, argv...)
		if err != nil {
			return nil, err
		}
		c := Contender{Name: name, URL: "http://" + Address(adminPort) + "/", Procs: []*Process{p}}
		return &Pool{Contender: c, Protocol: ProtocolEngine, Port: port}, WaitListening(ctx, p, port)
	}
}

// engineCommand returns the command line of an engine. No path of ours has a blank.
func (o *PoolOptions) engineCommand(ctx context.Context, kind engineKind, ahead int) (string, error) {
	switch {
	case o.Hold:
		return o.Roundhouse + " engine hang", nil
	case kind == enginePython:
		python, err := findPython()
		if err != nil {
			return "", err
		}
		script, err := moduleFile(ctx, pythonEngine)
		return python + " " + script, err
	case ahead > 1:
		return fmt.Sprintf("%s engine echo --ahead %d", o.Roundhouse, ahead), nil
	default:
		return o.Roundhouse + " engine echo", nil
	}
}

package fuzz

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"roundhouse/server/config"
)

// FuzzCommands parses a text of commands. What is found wrong has a place in the text; a command that is written and parsed again is the
// same; and an option that it sets is shown in a form that sets the same.
func FuzzCommands(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		commands, problems := config.ParseCommands(text)
		lines := strings.Split(text, "\n")
		for _, p := range problems {
			if p.File != "" || p.Text == "" || p.Line < 1 || p.Line > len(lines) || p.Col < 1 || p.Col > len(lines[p.Line-1])+1 {
				t.Errorf("a problem without its place: %+v", p)
			}
		}
		var all strings.Builder
		last := 1
		for i, c := range commands {
			if c.Line < last || c.Line > len(lines) {
				t.Errorf("%q stands in line %d", c, c.Line)
			}
			last = c.Line
			commands[i].Line = i + 1
			all.WriteString(c.String() + "\n")
		}
		if again, problems := config.ParseCommands(all.String()); !reflect.DeepEqual(again, commands) || len(problems) > 0 {
			t.Errorf("got %q, %v\nwant %q\nfrom %q", again, problems, commands, all.String())
		}
		for _, c := range commands {
			checkOption(t, c)
		}
	})
}

// checkOption takes c for a setopt. An option that is refused stays as it was.
func checkOption(t *testing.T, c config.Command) {
	t.Helper()
	name, values, err := c.Option()
	if err != nil || name == "" {
		return
	}
	cfg := config.Default()
	if _, err := config.SetOption(cfg, name, values); err != nil {
		if !reflect.DeepEqual(cfg, config.Default()) {
			t.Errorf("%s: refused (%v), and changed", c, err)
		}
		return
	}
	shown, err := config.ShowOption(cfg, name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.EqualFold(name, "Proxy_Password") {
		return // shown as a mask
	}
	end := strings.LastIndex(shown, " (")
	for !strings.Contains(shown[end:], ", default ") { // a default may have a bracket, too
		end = strings.LastIndex(shown[:end], " (")
	}
	commands, problems := config.ParseCommands("setopt " + shown[:end])
	if len(commands) != 1 || len(problems) > 0 {
		t.Fatalf("%s is shown as %s: %v", c, shown, problems)
	}
	again := config.Default()
	name, values, err = commands[0].Option()
	if err == nil && len(values) > 0 {
		_, err = config.SetOption(again, name, values)
	} else if err == nil {
		again = cfg // UNKNOWN: it may be required not to be unset, and yet be empty
	}
	if err != nil || !reflect.DeepEqual(again, cfg) {
		t.Errorf("%s is shown as %s, which sets something else: %v", c, shown, err)
	}
}

// FuzzLCN parses a logical connection name. One that is written and parsed again is the same, and a name to listen on stands for
// listeners that have an address.
func FuzzLCN(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		name, err := config.ParseLCN(text)
		if err == nil {
			again, err := config.ParseLCN(name.String())
			if err != nil || again != name {
				t.Errorf("%+v is written as %s: %+v, %v", name, name, again, err)
			}
		}
		r := config.Router{Listen: []string{text}, DefaultProtocols: []string{"local", "tcp", "tls"}}
		all, listenErr := r.Listeners(func(string) string { return "" })
		if (listenErr == nil) != (len(all) > 0) {
			t.Errorf("%d listeners, %v", len(all), listenErr)
		}
		for _, l := range all {
			if l.Network != "unix" && l.Network != "tcp" || l.Address == "" {
				t.Errorf("no address: %+v", l)
			}
			if again, err := config.ParseLCN(l.Name); err != nil || again.Protocol == "" || again.Node == "" {
				t.Errorf("its name is not complete: %+v, %v", l, err)
			}
		}
	})
}

// FuzzRTServer reads an rtserver.cm that may source another file. Whatever is found wrong has a place and a text, and what is right is the
// same after it went through a dump, but for the secrets, which a dump masks.
func FuzzRTServer(f *testing.F) {
	f.Fuzz(func(t *testing.T, text, sourced []byte, strict bool) {
		cfg, warnings, err := load(config.Sources{RTServer: "rtserver.cm", Strict: strict}, map[string][]byte{"rtserver.cm": text, "a.cm": sourced})
		var mistakes *config.Error
		if err != nil && (!errors.As(err, &mistakes) || len(mistakes.Problems) == 0 || cfg != nil) {
			t.Fatalf("config %v, error %v", cfg, err)
		}
		found := warnings
		if mistakes != nil {
			found = append(found, mistakes.Problems...)
		}
		for _, p := range found {
			if p.File != "rtserver.cm" && p.File != "a.cm" || p.Text == "" || (p.Line > 0) != (p.Col > 0) || p.Line > 2+bytes.Count(append(text, sourced...), []byte("\n")) {
				t.Errorf("a problem without its place: %+v", p)
			}
		}
		if err == nil {
			cfg.Router.Server.ProxyPassword = ""
			checkDump(t, cfg)
		}
	})
}

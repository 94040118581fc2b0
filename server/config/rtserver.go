package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// cmReader obeys the commands of an rtserver.cm and of what it sources. The text is UTF-8, or else ISO 8859-1.
//
// A command that is spelt wrong is a mistake. An option or a command that there is not, and a value that is not right, are warnings, or
// mistakes where Strict asks for it: the old value stays. Only a wrong driver of security is always a mistake: without it every door is open.
type cmReader struct {
	*loader
	open  []string // the file that is being read, after those that source it
	files int      // read so far
	steps int      // commands obeyed so far
	// What was subscribed to, and where.
	subscriptions []RouterSubscription
	places        []origin
}

const maxSteps = 100_000 // commands of all files

// loadRTServer reads the files for all servers, for the user, and the one at path, in this order.
func (l *loader) loadRTServer(path string) {
	if !l.from.has("router") {
		l.from["router"] = origin{where{path, 1, 1}, "router"}
	}
	if !l.from.has("router.listen") {
		l.cfg.Router.Listen = slices.Clone(connNames)
		l.from["router.listen"] = origin{where{path, 1, 1}, "Conn_Names"}
	}
	r := &cmReader{loader: l}
	if home := l.env("RTHOME"); home != "" {
		r.readIfThere(filepath.Join(home, "standard", "rtserver.cm"))
	}
	if home := l.env("HOME"); home != "" && filepath.Join(home, "rtserver.cm") != filepath.Clean(path) {
		r.readIfThere(filepath.Join(home, "rtserver.cm"))
	}
	r.read(path, where{})
	r.loadDriver()
	for i, s := range r.subscriptions {
		n := len(l.cfg.Router.Subscriptions)
		l.cfg.Router.Subscriptions = append(l.cfg.Router.Subscriptions, s)
		l.from[fmt.Sprintf("router.subscription[%d]", n)] = r.places[i]
	}
}

// env returns a variable of the environment, or "".
func (l *loader) env(name string) string {
	for _, pair := range l.Environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// loadDriver reads what belongs to the driver of security that the files have asked for.
func (r *cmReader) loadDriver() {
	const key = "access.directory"
	asked, home := r.from["access.driver"], r.env("RTHOME")
	if asked.name != "Sm_Security_Driver" || r.cfg.Access.Driver == "" || home == "" {
		return
	}
	r.readIfThere(filepath.Join(home, "standard", "sd"+r.cfg.Access.Driver+".cm"))
	if !r.from.has(key) {
		r.cfg.Access.Directory, r.from[key] = filepath.Join(home, "acl"), asked
	}
}

func (r *cmReader) readIfThere(path string) {
	text, err := r.ReadFile(path)
	switch {
	case err == nil:
		r.obeyAll(path, text)
	case !errors.Is(err, fs.ErrNotExist):
		r.fail(where{file: path}, "cannot read %q: %v", path, err)
	}
}

func (r *cmReader) read(path string, at where) {
	if text, ok := r.loader.read(path, at); ok {
		r.obeyAll(path, text)
	}
}

// obeyAll obeys the commands of one file.
func (r *cmReader) obeyAll(path string, text []byte) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	s := string(text)
	if !utf8.Valid(text) {
		s = fromLatin1(text)
	}
	commands, found := ParseCommands(s)
	for _, p := range found {
		r.fail(where{path, p.Line, p.Col}, "%s", p.Text)
	}
	r.open = append(r.open, path)
	for _, c := range commands {
		at := where{path, c.Line, 1}
		expanded, err := r.cfg.Router.Expand(c)
		if err != nil {
			r.wrong(at, err)
		}
		for _, c := range expanded {
			if r.steps++; r.steps == maxSteps {
				r.fail(at, "more than %d commands in all files", maxSteps)
			}
			if r.steps < maxSteps {
				r.obey(c, at)
			}
		}
	}
	r.open = r.open[:len(r.open)-1]
}

// wrong reports what the original goes on after.
func (r *cmReader) wrong(at where, err error) {
	text := strings.TrimPrefix(err.Error(), "config: ")
	if r.Strict {
		r.fail(at, "%s", text)
	} else {
		r.warn(at, "%s", text)
	}
}

func (r *cmReader) obey(c Command, at where) {
	var err error
	router := &r.cfg.Router
	switch name := c.Name(); name {
	case "setopt":
		err = r.setopt(c, at)
	case "unsetopt":
		for _, option := range c.Args() {
			if err := r.setOption(option, nil, at); err != nil {
				r.wrong(at, err)
			}
		}
	case "source":
		r.source(c, at)
	case "subscribe":
		err = r.subscribe(c, at)
	case "unsubscribe":
		err = r.unsubscribe(c)
	case "echo":
		r.echo(c.Text())
	case "alias":
		err = router.SetAlias(c)
	case "unalias":
		err = router.UnsetAlias(c)
	case "connect", "disconnect":
		r.warn(at, "command %q: not available yet: links to servers are made after the files are read; use Server_Names", name)
	case "help", "helpopt", "quit", "route", "stats", "version", "setnopt", "unsetnopt":
		r.warn(at, "command %q: has no effect in a file", name)
	case "sh":
		r.warn(at, "command %q: the server runs no commands of the system", name)
	default:
		err = fmt.Errorf("command %s: no such command of a server", quote("", c.Words[0]))
	}
	if err != nil {
		r.wrong(at, err)
	}
}

func (r *cmReader) echo(line string) {
	if r.Echo != nil {
		r.Echo(line)
	}
}

func (r *cmReader) setopt(c Command, at where) error {
	name, values, err := c.Option()
	switch {
	case err != nil:
		return err
	case name == "" && r.Echo == nil: // a long list for nobody
		return nil
	case name == "":
		for _, o := range optionTable {
			line, _ := ShowOption(r.cfg, o.name) // it is known
			r.echo(line)
		}
		return nil
	case values == nil:
		line, err := ShowOption(r.cfg, name)
		if err == nil {
			r.echo(line)
		}
		return err
	}
	return r.setOption(name, values, at)
}

// setOption sets or, without values, unsets an option.
func (r *cmReader) setOption(name string, values []string, at where) error {
	_, err := SetOption(r.cfg, name, values) // what has no effect is told of later
	row, unknown := findOption(name)
	switch {
	case unknown == nil && err != nil && row.name == "Sm_Security_Driver":
		r.fail(at, "%s", strings.TrimPrefix(err.Error(), "config: "))
		return nil
	case err != nil:
		return err
	}
	r.from[row.path] = origin{at, row.name}
	if row.name == "Trace_Level" {
		r.from["log.level"] = r.from[row.path]
	}
	return nil
}

// source obeys another file, relative to the one that names it.
func (r *cmReader) source(c Command, at where) {
	if len(c.Words) != 2 {
		r.fail(at, "command %q: write source FILE", "source")
		return
	}
	path := c.Words[1]
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(r.open[len(r.open)-1]), path)
	}
	r.files++
	switch {
	case slices.Contains(r.open, path):
		r.fail(at, "source %q: that file sources this one", path)
	case len(r.open) > maxIncludeDepth:
		r.fail(at, "source %q: at most %d files deep", path, maxIncludeDepth)
	case r.files == maxIncludes:
		r.fail(at, "source %q: at most %d files in all", path, maxIncludes)
	case r.files < maxIncludes: // what is above has been reported once
		r.read(path, at)
	}
}

// Subscriptions takes c for "subscribe PROJECT SUBJECT..." or "unsubscribe PROJECT SUBJECT..." and returns what it names.
func (c Command) Subscriptions() ([]RouterSubscription, error) {
	if len(c.Words) < 3 {
		return nil, fmt.Errorf("config: command %q: write %s PROJECT SUBJECT", c.Name(), c.Name())
	}
	project := c.Words[1]
	if want := judgeProject(project); want != "" {
		return nil, fmt.Errorf("config: command %q: project %s: %s", c.Name(), quote("", project), want)
	}
	var all []RouterSubscription
	for _, subject := range c.Words[2:] {
		if want := judgeSubject(subject, true); want != "" {
			return nil, fmt.Errorf("config: command %q: subject %s: %s", c.Name(), quote("", subject), want)
		}
		all = append(all, RouterSubscription{project, subject})
	}
	return all, nil
}

func (r *cmReader) subscribe(c Command, at where) error {
	if len(c.Words) == 1 {
		for _, s := range r.subscriptions {
			r.echo(s.Project + " " + s.Subject)
		}
		return nil
	}
	all, err := c.Subscriptions()
	for _, s := range all {
		if !slices.Contains(r.subscriptions, s) {
			r.subscriptions = append(r.subscriptions, s)
			r.places = append(r.places, origin{at, "subscribe"})
		}
	}
	return err
}

func (r *cmReader) unsubscribe(c Command) error {
	all, err := c.Subscriptions()
	for _, s := range all {
		i := slices.Index(r.subscriptions, s)
		if i < 0 {
			return fmt.Errorf("command %q: nothing is subscribed to %s in project %s", "unsubscribe", quote("", s.Subject), quote("", s.Project))
		}
		r.subscriptions, r.places = slices.Delete(r.subscriptions, i, i+1), slices.Delete(r.places, i, i+1)
	}
	return err
}

package config

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Sources says where a Config comes from.
type Sources struct {
	// TOML, RSConfig, EServer and RTServer are paths of files; empty: there is none. Without any, the demonstration is configured, unless
	// Environ or Set have an element of a list, as a farm.
	TOML, RSConfig, EServer, RTServer string
	// Environ holds NAME=value pairs, as os.Environ returns them; those that start with ROUNDHOUSE_ count.
	Environ []string
	// Set holds key=value pairs, as relay.listen=:8080 or relay.farm[0].id=F; lists are cut at commas.
	Set []string
	// ExpandEnv makes ${NAME} and ${NAME:-DEFAULT} in the values of an rs.config stand for variables of Environ; that of a secret does only
	// if there is nothing else in it. One that is not set, or is empty, is a mistake without a default.
	ExpandEnv bool
	// Strict makes an unknown property of an rs.config, key of an eserver.cfg or option of an rtserver.cm a mistake instead of a warning, and
	// so a wrong value of an option. With Look, it also refuses files with secrets that everybody may read.
	Strict bool
	// ReadFile reads a file; nil: from the disk, at most MaxFile bytes.
	ReadFile func(path string) ([]byte, error)
	// Look looks at what the Config names outside of itself, such as files, whether other mistakes have been found or not; nil: nobody does.
	Look func(cfg *Config, f Findings)
	// Echo gets each line that commands of an rtserver.cm print; nil: they go nowhere.
	Echo func(line string)
}

// Load reads all sources and checks the outcome.
//
// The error is nil or an *Error with every mistake of every source; the Config is nil then, the warnings are not.
func Load(s Sources) (*Config, []Warning, error) {
	if s.ReadFile == nil {
		s.ReadFile = readFile
	}
	l := &loader{problems: new(problems), Sources: s, cfg: Default(), from: origins{}, secrets: map[string]where{}, outside: map[string]bool{}}
	l.cfg.Demo = s.TOML == "" && s.RSConfig == "" && s.EServer == "" && s.RTServer == "" && !l.namesElements()
	if l.cfg.Demo {
		l.addDemo()
	}
	if s.TOML != "" {
		l.loadTOML(s.TOML)
	}
	if s.RSConfig != "" {
		l.loadRSConfig(s.RSConfig)
	}
	if s.EServer != "" {
		l.loadEServer(s.EServer)
	}
	if s.RTServer != "" {
		l.loadRTServer(s.RTServer)
	}
	l.loadEnviron()
	l.loadSet()
	if l.unread { // what would be missing is in that file
		return nil, l.warnings, l.err()
	}
	l.markZeros()
	l.chooseDoors()
	l.chooseLevel()
	l.chooseRecords()
	l.normalRelay()
	l.addFarms()
	l.cfg.Engine.Encoding = normalEncoding(l.cfg.Engine.Encoding)
	l.requireEngine()
	l.checkPreset()

	c := &checker{problems: l.problems, cfg: l.cfg, from: l.from}
	c.check()
	if s.Look != nil {
		l.checkReadable()
		s.Look(l.cfg, Findings{c})
	}
	if err := l.err(); err != nil {
		return nil, l.warnings, err
	}
	return l.cfg, l.warnings, nil
}

// loader fills cfg and remembers where each value came from.
type loader struct {
	*problems
	Sources
	cfg         *Config
	from        origins
	secrets     map[string]where // the first secret of each file
	outside     map[string]bool  // paths of secrets that an rs.config takes from variables
	asksRecords bool             // an rs.config asks for a verbosity of 1 or more
	modern      *origin          // where Preset=modern stands, if it does
	unread      bool             // a file could not be read
}

// addDemo configures the farm and the router of the demonstration. The enabler in the same process reads its token from the Config.
func (l *loader) addDemo() {
	farm, backend := DefaultFarm(), DefaultBackend()
	farm.ID, farm.Description = "demo", "the demonstration"
	backend.Farm, backend.ID, backend.Token = farm.ID, "demo", rand.Text()
	l.cfg.Relay.Farms = []Farm{farm}
	l.cfg.Relay.Backends = []Backend{backend}
	l.cfg.Router.Listen, l.cfg.Router.NATS.Listen = []string{DefaultRouterListen}, []string{DefaultNATSListen}
}

// chooseDoors closes the doors of which nothing was said, when files were given.
func (l *loader) chooseDoors() {
	if l.cfg.Demo {
		return
	}
	file := cmp.Or(l.TOML, l.RSConfig, l.EServer, l.RTServer)
	for _, door := range []struct {
		prefix   string
		listen   *[]string
		byItself string
		keys     []string // any of these says where to listen
	}{
		{"relay", &l.cfg.Relay.Listen, DefaultListen, []string{"relay.listen", "relay.tls.listen"}},
		{"engine", &l.cfg.Engine.Listen, DefaultEngineListen, []string{"engine.listen", "engine.listen_utf8", "engine.listen_tls"}},
		{"router", &l.cfg.Router.Listen, DefaultRouterListen, []string{"router.listen", "router.nats.listen"}},
	} {
		switch {
		case l.from.has(door.keys[0]):
		case slices.ContainsFunc(door.keys, l.from.has):
			*door.listen = nil // it was said where else
		case l.from.mentions(door.prefix):
			*door.listen = []string{door.byItself}
			l.warn(where{}, "field %q: not set: listening on %s", door.keys[0], door.byItself)
		default:
			*door.listen = nil
			l.from[door.keys[0]] = origin{where{file: file}, door.keys[0]}
		}
	}
}

// chooseLevel takes the level of the log from router.log.trace_level where log.level is not set.
func (l *loader) chooseLevel() {
	if level, ok := traceLevels[l.cfg.Router.Log.TraceLevel]; ok && l.cfg.Log.Level == "" {
		l.cfg.Log.Level = level
	}
}

// chooseRecords has a record of each request in the log where nothing is said about records and the log is one of the original's:
// its own record, unless another form is asked for.
func (l *loader) chooseRecords() {
	if !l.from.has("relay.access_log") && (l.cfg.Log.Format == "rs" || l.asksRecords && l.cfg.Log.Verbosity >= 1) {
		l.cfg.Relay.AccessLog = "log"
		if l.cfg.Log.Format == "rs" && !l.from.has("log.records") {
			l.cfg.Log.Records = "rsr"
		}
	}
}

// normalRelay writes what is the same in upper and lower case in the latter.
func (l *loader) normalRelay() {
	for i := range l.cfg.Relay.Farms {
		lowerAll(l.cfg.Relay.Farms[i].Hosts)
	}
	for i := range l.cfg.Relay.Backends {
		lowerAll(l.cfg.Relay.Backends[i].MAC)
	}
}

// addFarms adds farms that back-end servers name and nobody has configured, where auto_config lets their enablers in.
func (l *loader) addFarms() {
	r := &l.cfg.Relay
	known := map[string]bool{}
	for _, f := range r.Farms {
		known[f.ID] = true
	}
	for i, b := range r.Backends {
		if b.Farm == "" || known[b.Farm] || len(r.Trust.AutoKeys(b.Farm)) == 0 {
			continue
		}
		known[b.Farm] = true
		f := DefaultFarm()
		f.ID = b.Farm
		r.Farms = append(r.Farms, f)
		at := l.from.at(fmt.Sprintf("relay.backend[%d].farm", i))
		l.warn(at.where, "field %q: value %s: not configured: it is there, with defaults, because auto_config would let it in", at.name, quote("", b.Farm))
	}
}

// requireEngine reports an engine door behind which there will never be an engine. In the demonstration the server brings its own.
func (l *loader) requireEngine() {
	e := &l.cfg.Engine
	if l.cfg.Demo || !l.cfg.engineOpen() || len(e.Types) > 0 || len(e.DialIn.Listen) > 0 {
		return
	}
	if l.EServer != "" {
		l.fail(where{file: l.EServer}, "field %q: missing: the engine door opens, and nothing says how an engine is started; "+
			"write Engine_default=COMMAND LINE, or let engines connect by EngineListen and EngineToken", "Engine_default")
		return
	}
	at := l.from.at("engine.listen").where
	if at.file == "" {
		at.file = l.TOML
	}
	l.fail(at, "field %q: missing: the engine door opens, and nothing says how an engine is started; "+
		"write [[engine.type]] with name = \"default\" and command = \"...\", or let engines connect by engine.dial_in.listen", "engine.type")
}

// markZeros notes the keys of [[engine.mode]] that were set to what they would be anyway.
func (l *loader) markZeros() {
	for i := range l.cfg.Engine.Modes {
		m := &l.cfg.Engine.Modes[i]
		m.zeros = 0
		for f := range fieldsOf(reflect.ValueOf(m).Elem()) {
			if l.from.has(fmt.Sprintf("engine.mode[%d].%s", i, f.name)) && f.value.IsZero() {
				m.zeros |= 1 << f.index
			}
		}
	}
}

// read returns the content of a file, or reports why there is none.
func (l *loader) read(path string, at where) ([]byte, bool) {
	text, err := l.ReadFile(path)
	if err == nil {
		return text, true
	}
	if at.file == "" {
		at.file = path
	}
	l.unread = true
	l.fail(at, "cannot read %q: %v", path, withoutPath(err))
	return nil, false
}

// set assigns s to the field at path and remembers the place, or reports what would be right.
func (l *loader) set(f field, path string, s scalar, from origin) {
	if want := assign(f.value, f.unit, s); want != "" {
		l.fail(from.where, "field %q: value %s: %s", from.name, quote(f.unit, s.text), want)
		return
	}
	l.from[path] = from
	if f.unit == "secret" {
		l.noteSecret(path, s.text, from.where)
	}
}

func (l *loader) loadEnviron() {
	lists, elements := listsOf(l.cfg), []elementValue(nil)
	keys := map[string]field{}
	for _, k := range keysOf(l.cfg) {
		keys[k.env()] = k
	}
	for _, pair := range l.Environ {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		at := where{file: "environment"}
		if k, ok := keys[name]; ok {
			l.set(k, k.name, scalar{text: value}, origin{at, name})
		} else if e, ok := elementOfVariable(lists, name); ok {
			elements = append(elements, elementValue{e, value, origin{at, name}})
		} else { // no mistake: orchestrators invent such names for a service that is called roundhouse
			l.warn(at, "field %q: no such key", name)
		}
	}
	l.setElements(elements)
}

func (l *loader) loadSet() {
	lists, elements := listsOf(l.cfg), []elementValue(nil)
	for _, pair := range l.Set {
		name, value, found := strings.Cut(pair, "=")
		at := where{file: "--set"}
		f, ok := l.key(name)
		e, isElement := elementOfKey(lists, name)
		switch {
		case !ok && !isElement:
			l.fail(at, "field %q: no such key; those of lists have a number, as relay.farm[0].id", name)
		case !found:
			l.fail(at, "field %q: no value: write %s=VALUE", name, name)
		case isElement:
			elements = append(elements, elementValue{e, value, origin{at, name}})
		default:
			l.set(f, name, scalar{text: value}, origin{at, name})
		}
	}
	l.setElements(elements)
}

// key finds a key by its dotted name.
func (l *loader) key(name string) (field, bool) {
	return find(reflect.ValueOf(l.cfg).Elem(), name)
}

// find finds a value in a table by its dotted name.
func find(table reflect.Value, name string) (field, bool) {
	parts := strings.Split(name, ".")
	for i, part := range parts {
		f, ok := lookup(table, part)
		leaf := f.value.IsValid() && f.value.Kind() != reflect.Struct
		switch {
		case !ok || leaf && isTables(f.value) || leaf != (i == len(parts)-1):
			return field{}, false
		case leaf:
			return f, true
		}
		table = f.value
	}
	return field{}, false
}

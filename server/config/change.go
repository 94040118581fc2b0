package config

// Change returns cfg with another value for one key, which is written as in Sources.Set; cfg stays as it is. The error is an *Error with
// every mistake of the outcome.
func Change(cfg *Config, key, value string) (*Config, error) {
	next := *cfg // lists are replaced, never changed
	l := &loader{problems: new(problems), Sources: Sources{Set: []string{key + "=" + value}}, cfg: &next, from: origins{}}
	l.loadSet()
	(&checker{problems: l.problems, cfg: &next, from: l.from}).check()
	if err := l.err(); err != nil {
		return nil, err
	}
	return &next, nil
}

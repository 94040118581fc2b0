package config

import (
	"errors"
	"slices"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// readOptions puts the options of a TOML file in the place of -config FILE. A key is an option without its dash:
//
//	v  = 2                     an option and its value
//	q  = true                  one without a value
//	cr = ["host=a", "host=b"]  one that is given several times
func (p *enablerParser) readOptions(o word, file string) {
	text, err := p.readFile(file)
	if err != nil {
		p.fail(o.at, "option %q: cannot read %q: %v", o.text, file, withoutPath(err))
		return
	}
	found := len(p.errors)
	doc := blankSyntaxErrors(p.problems, file, text)
	var whole map[string]any // as in loadTOML
	var decodeErr *toml.DecodeError
	if err := toml.Unmarshal(doc, &whole); errors.As(err, &decodeErr) {
		line, col := decodeErr.Position()
		p.fail(where{file, line, col}, "no TOML, or a key twice")
	} else if err != nil {
		p.fail(where{file: file}, "no TOML")
	}
	r := newTOMLReader(nil, file, doc)
	var words []word
	broken := len(p.errors) > found
	for !broken && r.NextExpression() {
		words = append(words, p.optionWords(r, r.Expression())...)
	}
	p.words = slices.Concat(words, p.words)
}

// optionWords returns the words that one line of the file stands for. No value is shown: it may be a secret.
func (p *enablerParser) optionWords(r *tomlReader, e *unstable.Node) []word {
	keys := e.Key()
	keys.Next()
	at := r.where(keys.Node())
	name := "-" + string(keys.Node().Data)
	option, known := rsoeOptions[name]
	switch {
	case e.Kind != unstable.KeyValue || !keys.IsLast():
		p.fail(at, "option %q: no tables: write name = value", name)
		return nil
	case !known || option.more:
		p.fail(at, "option %q: unknown; rsoe -h lists them", name)
		return nil
	}
	var words []word
	add := func(v *unstable.Node) {
		text := string(v.Data)
		switch {
		case option.flag && v.Kind == unstable.Bool && text == "true":
			words = append(words, word{text: name, at: at})
		case option.flag && v.Kind == unstable.Bool:
		case !option.flag && (v.Kind == unstable.String || v.Kind == unstable.Integer):
			words = append(words, word{text: name, at: at}, word{text: text, at: at, quoted: true})
		case option.flag:
			p.fail(at, "option %q: true or false", name)
		default:
			p.fail(at, "option %q: a text in quotes, a number, or a list of them: %s", name, option.want)
		}
	}
	if v := e.Value(); v.Kind == unstable.Array {
		for items := v.Children(); items.Next(); {
			add(items.Node())
		}
	} else {
		add(v)
	}
	return words
}

// Package engines holds the engines that ship with the server, for tests and for trying it out: roundhouse engine NAME.
//
//	echo      returns its arguments as they came, without the last delimiter
//	upper     the same in capitals
//	slow      first argument a duration, as 200ms: waits so long, ends early at a break and at the deadline
//	ask       asks "Name? " and returns "Hello <answer>"
//	flood     first argument a number of bytes: sends them as chunks of data; second argument "one": as one output
//	crash     ends its process without an answer; "late": after it has begun; a number n: at every n-th request, else echo
//	leak      first argument MiB: allocates and touches so much and keeps it
//	hang      ignores a break until the connection ends; "term": ignores that and SIGTERM too, for five minutes
//	garbage   writes bytes that are no frame
//	print     writes to standard output and standard error, then echo
//	commands  first argument n: runs the command \06n, with the other arguments, and returns the server's answer
//	chat      data, information and questions in turn, until the answer is "bye" or empty
//	mix       any of these by its first argument, which the others follow
//
// Each refuses the login of the user "refused".
package engines

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/enginepool/sdk"
)

const (
	chunk   = 64 << 10 // bytes of a piece of data that flood sends
	crashes = 70       // exit code of crash
)

// behaviour is what one engine does. args are its arguments, raw.
type behaviour struct {
	quick bool // answers at once
	run   func(s *state, c *sdk.Context, args []byte) ([]byte, error)
}

// state is what an engine keeps from one request to the next. It belongs to the goroutine that runs handlers.
type state struct {
	requests int
	leaked   [][]byte
}

var behaviours = map[string]behaviour{
	"echo":     {true, echo},
	"upper":    {true, upper},
	"slow":     {false, slow},
	"ask":      {false, ask},
	"flood":    {false, flood},
	"crash":    {true, crash},
	"leak":     {false, leak},
	"hang":     {false, hang},
	"garbage":  {true, garbage},
	"print":    {true, printed},
	"commands": {false, commands},
	"chat":     {false, chat},
}

const mix = "mix"

// Names returns the names of all engines, sorted.
func Names() []string {
	names := append(slices.Collect(maps.Keys(behaviours)), mix)
	slices.Sort(names)
	return names
}

// New makes an engine; false: there is none of this name. Each has its own state.
func New(name string) (sdk.Engine, bool) {
	s := &state{}
	e := sdk.Engine{Name: name, Version: "1", Login: login}
	if name == mix {
		e.Manual = true // crash must be able to end without a word
		e.Handler = s.mix
		return e, true
	}
	b, ok := behaviours[name]
	if !ok {
		return sdk.Engine{}, false
	}
	e.Quick = b.quick
	e.Handler = func(c *sdk.Context) ([]byte, error) {
		s.requests++
		return b.run(s, c, c.Args)
	}
	return e, true
}

func login(l sdk.Login) error {
	if l.User == "refused" {
		return &sdk.Error{Code: "LOGIN", Text: "user refused is refused"}
	}
	return nil
}

func (s *state) mix(c *sdk.Context) ([]byte, error) {
	s.requests++
	name, args, _ := frame.Cut(c.Args)
	b, ok := behaviours[string(name)]
	if !ok {
		return nil, &sdk.Error{Code: "UNKNOWN", Text: fmt.Sprintf("no engine of this name: %s", strings.Join(Names(), ", "))}
	}
	if !b.quick {
		c.Begin()
	}
	return b.run(s, c, args)
}

// arg returns argument i of args.
func arg(args []byte, i int) string {
	for range i {
		_, args, _ = frame.Cut(args)
	}
	field, _, _ := frame.Cut(args)
	return string(field)
}

// count returns argument i as a number that is not negative.
func count(args []byte, i int) (int, error) {
	n, err := strconv.Atoi(arg(args, i))
	if err != nil || n < 0 {
		return 0, &sdk.Error{Code: "ARGUMENT", Text: fmt.Sprintf("argument %d is not a number", i+1)}
	}
	return n, nil
}

func echo(_ *state, _ *sdk.Context, args []byte) ([]byte, error) {
	return bytes.TrimSuffix(args, []byte{frame.Delimiter}), nil
}

func upper(s *state, c *sdk.Context, args []byte) ([]byte, error) {
	out, err := echo(s, c, args)
	return bytes.ToUpper(out), err
}

func slow(_ *state, c *sdk.Context, args []byte) ([]byte, error) {
	d, err := time.ParseDuration(arg(args, 0))
	if err != nil {
		return nil, &sdk.Error{Code: "ARGUMENT", Text: "the first argument is a duration, as 200ms"}
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return []byte("slept " + d.String()), nil
	case <-c.Done():
		return nil, c.Err()
	}
}

func ask(_ *state, c *sdk.Context, _ []byte) ([]byte, error) {
	name, err := c.Ask("Name? ")
	return []byte("Hello " + name), err
}

func flood(_ *state, c *sdk.Context, args []byte) ([]byte, error) {
	n, err := count(args, 0)
	if err != nil {
		return nil, err
	}
	if arg(args, 1) == "one" {
		return pattern(min(n, sdk.MaxOutput)), nil
	}
	piece := pattern(min(n, chunk))
	for sent := 0; sent < n; sent += len(piece) {
		if err := c.Err(); err != nil {
			return nil, err
		}
		if err := c.Data(piece[:min(len(piece), n-sent)]); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// pattern is n bytes: the letters, over and over.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(i%chunk%26)
	}
	return b
}

func crash(s *state, c *sdk.Context, args []byte) ([]byte, error) {
	switch first := arg(args, 0); first {
	case "":
		os.Exit(crashes)
	case "late":
		c.Begin()
		os.Exit(crashes)
	}
	n, err := count(args, 0)
	if err != nil {
		return nil, err
	}
	if n > 0 && s.requests%n == 0 {
		os.Exit(crashes)
	}
	return echo(s, c, args)
}

func leak(s *state, _ *sdk.Context, args []byte) ([]byte, error) {
	const mib = 1 << 20
	n, err := count(args, 0)
	if err != nil {
		return nil, err
	}
	for range n {
		b := make([]byte, mib)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		s.leaked = append(s.leaked, b)
	}
	return fmt.Appendf(nil, "%d MiB", len(s.leaked)), nil
}

func hang(_ *state, c *sdk.Context, args []byte) ([]byte, error) {
	if arg(args, 0) == "term" {
		signal.Ignore(syscall.SIGTERM)
		<-time.After(5 * time.Minute)
		return nil, errors.New("hung for five minutes")
	}
	<-c.Gone()
	return nil, sdk.ErrGone
}

func garbage(_ *state, c *sdk.Context, _ []byte) ([]byte, error) {
	return nil, c.RawForTest([]byte("Warning: this is no frame\n"))
}

func printed(s *state, c *sdk.Context, args []byte) ([]byte, error) {
	fmt.Println("printed to standard output")
	fmt.Fprintln(os.Stderr, "printed to standard error")
	return echo(s, c, args)
}

func commands(_ *state, c *sdk.Context, args []byte) ([]byte, error) {
	n, err := count(args, 0)
	if err != nil {
		return nil, err
	}
	var more []string
	for _, rest, _ := frame.Cut(args); len(rest) > 0; {
		var field []byte
		field, rest, _ = frame.Cut(rest)
		more = append(more, string(field))
	}
	answer, err := c.Command(n, more...)
	return []byte(answer), err
}

func chat(_ *state, c *sdk.Context, _ []byte) ([]byte, error) {
	if err := c.Data([]byte("Welcome. Say bye to end.\r\n")); err != nil {
		return nil, err
	}
	for turn := 1; ; turn++ {
		if err := c.Info(fmt.Sprintf("turn %d", turn)); err != nil {
			return nil, err
		}
		said, err := c.Ask("> ")
		if err != nil {
			return nil, err
		}
		if said = strings.TrimSpace(said); said == "" || said == "bye" {
			c.SetStatus(fmt.Sprintf("%d turns", turn))
			return []byte("Good bye.\r\n"), nil
		}
		if err := c.Data([]byte("You said: " + said + "\r\n")); err != nil {
			return nil, err
		}
	}
}

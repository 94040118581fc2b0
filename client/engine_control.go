package client

import (
	"context"
	"fmt"
	"strings"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
)

// Marks between the rows and the columns of a list.
const (
	fieldMark = "\xfe"
	valueMark = "\xfd"
)

const (
	timesPrefix = "Startup: "
	timesLayout = "2006-01-02 15:04:05"
)

// Control commands need no login. Where they take a password, it is the control password of the server's configuration.

// List returns the engines of the server, a row each. The columns are: * for the caller's own, name, category, state, application, user,
// procedure, client's address, started, last activity, requests served, seconds in the current request, process, memory in MiB, mode,
// location, queue length. A server of another make may have others.
func (c *Conn) List(ctx context.Context) ([][]string, error) {
	body, err := c.control(ctx, oes.List, "1")
	if err != nil || len(body) == 0 {
		return nil, err
	}
	var rows [][]string
	for row := range strings.SplitSeq(string(body), fieldMark) {
		rows = append(rows, strings.Split(row, valueMark))
	}
	return rows, nil
}

// ListHTML returns the engines of the server as a table in HTML.
func (c *Conn) ListHTML(ctx context.Context) (string, error) {
	body, err := c.control(ctx, oes.List)
	return string(body), err
}

// Times returns when the server started and what time it has now. Both are in the zone of the server, which it does not tell: they are
// returned as if it were UTC.
func (c *Conn) Times(ctx context.Context) (started, now time.Time, err error) {
	body, err := c.control(ctx, oes.Times)
	if err != nil {
		return time.Time{}, time.Time{}, err
	}
	text := strings.TrimPrefix(string(body), timesPrefix)
	first, second, _ := strings.Cut(text, "; Current")
	started, err = time.Parse(timesLayout, strings.TrimSpace(first))
	if err == nil {
		now, err = time.Parse(timesLayout, strings.TrimLeft(second, ": "))
	}
	if err != nil {
		return time.Time{}, time.Time{}, fmt.Errorf("client: times of the server: %v", err)
	}
	return started, now, nil
}

// StopIdle stops idle engines: all that serve anyone, or those that a selector names. It returns what the server says.
func (c *Conn) StopIdle(ctx context.Context, password string, selectors ...string) (string, error) {
	body, err := c.control(ctx, oes.StopIdle, append([]string{password}, selectors...)...)
	return string(body), err
}

// StopAll is StopIdle for busy engines too: their calls fail.
func (c *Conn) StopAll(ctx context.Context, password string, selectors ...string) (string, error) {
	body, err := c.control(ctx, oes.StopAll, append([]string{password}, selectors...)...)
	return string(body), err
}

// Admin sends a verb of administration, such as QUEUE or RECYCLE, and returns what the server says.
func (c *Conn) Admin(ctx context.Context, password, verb string, args ...string) (string, error) {
	body, err := c.control(ctx, oes.Admin, append([]string{password, verb}, args...)...)
	return string(body), err
}

// Subcommand is something that a phantom does.
type Subcommand struct {
	Code   int // 3 execute, 4 call, 19 an answer that is kept for the next question
	Params []string
}

// Phantom starts an engine without a client, which logs in, does the subcommands in their order and ends. The mode of the credentials
// does not matter. It returns what the server says when the engine has logged in.
func (c *Conn) Phantom(ctx context.Context, cr Credentials, does ...Subcommand) (string, error) {
	cr.Mode = Mode(oes.PhantomMode.String())
	all := append([]Subcommand{{oes.Login, cr.fields()}}, does...)
	fields := make([]string, len(all))
	for i, sub := range all {
		parts := make([][]byte, len(sub.Params))
		for j, param := range sub.Params {
			if parts[j] = []byte(param); !frame.Clean(parts[j]) {
				return "", fmt.Errorf("%w: bytes 0x%02x and 0x%02x cannot be in a parameter of a phantom",
					ErrParameter, frame.Delimiter, frame.SubDelimiter)
			}
		}
		fields[i] = string(oes.AppendSubcommand(nil, sub.Code, parts...))
	}
	body, err := c.control(ctx, oes.Phantom, fields...)
	return string(body), err
}

// control sends a command that is no call: cancelled, it is not broken but waited for.
func (c *Conn) control(ctx context.Context, code int, fields ...string) ([]byte, error) {
	command, err := appendCommand(code, fields)
	if err != nil {
		return nil, err
	}
	if err := c.acquire(ctx); err != nil {
		return nil, err
	}
	defer c.release()
	return (&call{link: c.link}).run(ctx, command)
}

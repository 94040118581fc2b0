package client

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
)

// Mode is how a connection talks to its engines.
type Mode string

// The modes. In the two with Push the server does not wait for the client before it sends more output.
const (
	DefaultMode Mode = ""    // what the server is configured for, as a rule JD3
	JD3         Mode = "-1"  // the procedure gets code and parameters in one string; any free engine serves a call
	Block       Mode = "0"   // the procedure gets each parameter as an argument; any free engine serves a call
	Char        Mode = "1"   // an engine of its own, and a dialogue during each call
	Web         Mode = "2"   // as Block, for pages
	JD3Push     Mode = "-1+" // JD3; matters for CallEvents
	CharPush    Mode = "1+"  // Char
)

// Credentials are the fields of a login. An empty one leaves the choice to the server.
type Credentials struct {
	User, Password, Application string
	Mode                        Mode
	Server                      string // the name of an engine to share, or to come back to: see Session.Resume
	Procedure                   string // what is called on the engine
	UpFlags                     string // a number; negative: refuse the login rather than wait for an engine
	DownFlags                   string // a number; 0 leaves the engine running when the connection ends
	Location                    string // the engine's directory
}

// fields returns the credentials as they stand on the wire.
func (cr Credentials) fields() []string {
	return []string{cr.User, cr.Password, cr.Application, string(cr.Mode), cr.Server, cr.Procedure, cr.UpFlags, cr.DownFlags, cr.Location}
}

// Session is what the server said about a login.
type Session struct {
	Server  string            // version and name of the server
	Details map[string]string // everything that it said about the engine, by name
	Expires string            // when the licence or lease ends; empty: never

	// These are some of the details.
	Engine  string // the engine's name
	PID     int    // its process; 0 when it was not said
	Mode    Mode   // the mode that the connection has
	Resume  string // as Credentials.Server of a later login: comes back to this engine, when the server keeps it
	Resumed bool   // the login came back to an engine: Resume the call with Conn.Resume
}

// state is what a login decides.
type state struct {
	loggedIn bool
	mode     oes.Mode
	push     bool
}

// Login logs in. In char mode a second login goes to another application on the same engine. After an error the connection is not
// logged in; it stays open when the error is a ServerError, and is closed when ctx ends first: the server might be waiting for an engine.
func (c *Conn) Login(ctx context.Context, cr Credentials) (Session, error) {
	mode, push, ok := oes.ParseMode([]byte(cr.Mode))
	if cr.Mode == DefaultMode {
		mode, ok = oes.JD3, true
	}
	if !ok || mode == oes.PhantomMode {
		return Session{}, fmt.Errorf("%w: mode %q", ErrParameter, cr.Mode)
	}
	command, err := appendCommand(oes.Login, cr.fields())
	if err != nil {
		return Session{}, err
	}
	if err := c.acquire(ctx); err != nil {
		return Session{}, err
	}
	defer c.release()
	c.state.Store(&state{})
	body, err := (&call{link: c.link, hasty: true}).run(ctx, command)
	if err != nil {
		return Session{}, err
	}
	s := parseSession(body)
	if m, p, ok := oes.ParseMode([]byte(s.Mode)); ok {
		mode, push = m, push || p
	}
	c.state.Store(&state{true, mode, push})
	return s, nil
}

// loggedIn returns what the login decided, or ErrNotLoggedIn.
func (c *Conn) loggedIn() (state, error) {
	if s := c.state.Load(); s.loggedIn {
		return *s, nil
	}
	return state{}, ErrNotLoggedIn
}

// parseSession reads three fields; the second has pairs, as engine=E1;pid=4711.
func parseSession(body []byte) Session {
	server, rest, _ := frame.Cut(body)
	details, rest, _ := frame.Cut(rest)
	expires, _, _ := frame.Cut(rest)
	s := Session{Server: string(server), Expires: string(expires), Details: map[string]string{}}
	for pair := range strings.SplitSeq(string(details), ";") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			s.Details[strings.TrimSpace(name)] = value
		}
	}
	s.Engine = s.Details["engine"]
	s.Mode = Mode(s.Details["mode"])
	s.Resumed = s.Details["resumed"] == "1"
	if pid, err := strconv.Atoi(s.Details["pid"]); err == nil {
		s.PID = pid
	}
	if s.Resume = s.Engine; s.Details["resume"] != "" {
		s.Resume += "#" + s.Details["resume"]
	}
	return s
}

// Logoff says goodbye, so that the server need not guess, and closes the connection.
func (c *Conn) Logoff(ctx context.Context) error {
	if err := c.acquire(ctx); err != nil {
		return err
	}
	defer func() {
		c.release()
		_ = c.Close() // always nil
	}()
	if _, err := c.loggedIn(); err != nil {
		return nil
	}
	_, err := (&call{link: c.link, hasty: true}).run(ctx, oes.AppendCommand(nil, oes.Logoff))
	c.state.Store(&state{})
	return err
}

// appendCommand makes a frame of strings, none of which may hold a delimiter.
func appendCommand(code int, fields []string) ([]byte, error) {
	size := 0
	for _, field := range fields {
		if strings.IndexByte(field, frame.Delimiter) >= 0 {
			return nil, fmt.Errorf("%w: byte 0x%02x ends a parameter and cannot be in it", ErrParameter, frame.Delimiter)
		}
		size += len(field) + 1
	}
	if payload := size + len("-999") + 1; payload > frame.MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrParameter, payload, frame.MaxSize)
	}
	if len(fields) == 0 {
		return oes.AppendCommand(nil, code), nil
	}
	joined := strings.Join(fields, string(rune(frame.Delimiter))) // one field to the codec, with the delimiters of all but the last
	return oes.AppendCommand(make([]byte, 0, frame.HeaderLen+size+len("-999")+1), code, []byte(joined)), nil
}

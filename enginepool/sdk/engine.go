// Package sdk is for authors of engines in Go: programs that the server starts, or that dial in, and that answer its calls.
//
//	func main() {
//		err := sdk.Serve(context.Background(), sdk.Engine{
//			Name: "hello", Version: "1",
//			Handler: func(c *sdk.Context) ([]byte, error) { return []byte("Hello " + c.Arg(0)), nil },
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//	}
//
// An engine works on one request at a time, in the order in which they came. What its handler returns completes the request;
// an error, or a panic, ends it too, and the engine goes on. An answer is sent together with those before it as soon as the next
// request is not there yet; Data, Info, Processing and Ask send at once.
//
// The server gives a request of which it has heard nothing to another engine when this one dies. Therefore it is told of each
// request before the handler runs, which costs a write. Engine.Quick and Engine.Manual do without.
//
// Goroutines: one reads, so that a handler sees the client's break, and one, the caller's, runs handlers. A quick engine has the
// caller's only. Protocol: package revcap.
package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"roundhouse/codec/revcap"
)

// Handler does one request. What it returns is the output, of which no more is needed after the next request has begun. An *Error
// gives the server a code and a text, any other error its text.
type Handler func(*Context) ([]byte, error)

// Engine is what an author writes.
type Engine struct {
	// Name and Version are for the server's tables and logs.
	Name, Version string
	// Ahead is how many requests the engine takes before it has answered. 0 and 1: one at a time. A few, as 8, save most of the
	// waking up of both processes when requests are short.
	Ahead int

	// Quick is for handlers that answer at once. They run on the goroutine that reads: a request costs a part of one read and
	// one write. They do not see a break, unless in Ask. The server is not told that a request was begun, as with Manual; answers
	// wait for each other, so that all requests of one read can be run twice when the engine dies among them.
	Quick bool
	// Manual leaves it to the handler to tell the server, by Context.Begin, that the request must not be run by another engine
	// any more. Whatever else it sends says so too.
	Manual bool

	Handler Handler
	// Login is called before the first request, and again when the engine is to work for somebody else; an error refuses. nil:
	// all are welcome.
	Login func(Login) error
	// Logoff, if not nil, is called when the server needs the engine no more: after the last request.
	Logoff func()
}

// Login says who the engine works for.
type Login struct {
	User, Password, Application, Mode, Procedure, Flags, Location string
}

// Error ends a request as PROC_ERROR.
type Error struct {
	Code string // for programs; may be empty
	Text string // for people
}

func (e *Error) Error() string {
	if e.Code == "" {
		return e.Text
	}
	return e.Code + ": " + e.Text
}

var (
	// ErrBroken ends what waits when the client has sent a break, and requests that were broken before they began.
	ErrBroken = &Error{Code: "BREAK", Text: "Broken by the client"}
	// ErrGone is what remains of a request when the server has gone, or the engine is to end.
	ErrGone = errors.New("sdk: the connection with the server has ended")
	// ErrNoServer means that the program was not started by the server.
	ErrNoServer = errors.New("sdk: ENGINE_FD is not set: an engine is started by the server")
)

// failure is what err tells the server.
func failure(err error) (code, text string) {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Code, e.Text
	case errors.Is(err, context.DeadlineExceeded):
		return "TIMEOUT", "Deadline exceeded"
	}
	return "", err.Error()
}

// check finds the author's mistakes. The strings are what goes into the hello.
func (e Engine) check(token string, applications []string) error {
	hello := e.Name + e.Version + token + strings.Join(applications, "")
	switch {
	case e.Handler == nil:
		return errors.New("sdk: an engine without a handler")
	case e.Ahead < 0 || e.Ahead > revcap.MaxAhead:
		return fmt.Errorf("sdk: %d requests ahead, 0 to %d are possible", e.Ahead, revcap.MaxAhead)
	case strings.Contains(hello, "\x01"):
		return errors.New("sdk: byte 1 in a name, version, token or application")
	case slices.ContainsFunc(applications, func(a string) bool { return a == "" || strings.Contains(a, ",") }):
		return fmt.Errorf("sdk: applications %q: names without commas are needed", applications)
	}
	return nil
}

// cause is why a served engine ended: nothing, when ctx did not end it.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

package pubsub

import (
	"context"
	"errors"
	"fmt"

	"roundhouse/codec/message"
)

// OwnServer is the target of Control and Command that is the server to which the client is connected.
const OwnServer = "/_server"

// Control sends a command, or several with semicolons between them, to a server, OwnServer or its unique subject, or to clients, by
// any subject. It does not wait. Errors: those of Publish.
func (c *Conn) Control(ctx context.Context, target, command string) error {
	return c.PublishMsg(ctx, control(target, command))
}

// Command is Control for a server: it waits for what the command prints. It is for servers only: clients do not answer. Errors: those
// of Request.
func (c *Conn) Command(ctx context.Context, target, command string) (output string, err error) {
	answer, err := c.RequestMsg(ctx, control(target, command))
	if err != nil {
		return "", err
	}
	return string(answer.Data), nil
}

func control(target, command string) *Msg {
	if target == "_server" { // it has no prefix
		target = OwnServer
	}
	return &Msg{Subject: target, Type: message.TypeControl, Fields: message.AppendStr(nil, command)}
}

// StopServer stops the server to which the client is connected, and what else stop says. It returns what the server answers. Errors: a
// ServerError when it refuses, ErrClosed, ErrDisconnected, that of ctx.
func (c *Conn) StopServer(ctx context.Context, stop message.StopType) error {
	if err := c.lockFor(ctx, 0); err != nil {
		return err
	}
	if c.out.link == nil {
		c.mu.Unlock()
		return ErrDisconnected
	}
	if c.stopResult != nil {
		c.mu.Unlock()
		return errors.New("pubsub: the server is being stopped already")
	}
	result := make(chan error, 1)
	c.stopResult = result
	c.out.append(func(dst []byte) []byte { return message.AppendStopCall(dst, stop) })
	c.mu.Unlock()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		c.mu.Lock()
		if c.stopResult == result {
			c.stopResult = nil
		}
		c.mu.Unlock()
		return context.Cause(ctx)
	}
}

// stopped handles the answer to StopServer.
func (l *link) stopped(m *message.Message) error {
	c := l.conn
	var r message.StopResult
	if err := message.ParseStopResult(m, &r); err != nil {
		return fmt.Errorf("pubsub: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopResult == nil {
		return nil
	}
	var err error
	if r.Code != message.CodeOK {
		err = &ServerError{Code: r.Code, Text: r.Text}
	}
	c.stopResult <- err
	c.stopResult = nil
	return nil
}

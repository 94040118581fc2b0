package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"roundhouse/client/pubsub"
	"roundhouse/cmd/process"
	"roundhouse/codec/frame"
	"roundhouse/codec/message"
)

// routerFlags are those of every command that is a client of the router door.
type routerFlags struct {
	servers       []string
	project, user string
	tls           bool
	ca            string
}

func (f *routerFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.servers, "server", []string{"tcp:127.0.0.1:5101"},
		"`server` to connect to, as tcp:host:port, tls:host:port or host:port; several are tried in random order")
	flags.StringVar(&f.project, "project", "rtworks", "`name` of the project")
	flags.StringVar(&f.user, "user", "", "`name` of a user; the password is "+passwordVariable+" of the environment")
	flags.BoolVar(&f.tls, "tls", false, "speak TLS")
	flags.StringVar(&f.ca, "ca", "", "speak TLS, with the `file` of the authorities that sign certificates of servers, in PEM, in place of the system's")
}

// run connects, calls f and disconnects. ctx ends with a signal; f then returns nil when that is a right end for it.
func (f *routerFlags) run(cmd *cobra.Command, environ []string, do func(ctx context.Context, c *pubsub.Conn) error) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	o := pubsub.Options{Servers: f.servers, Project: f.project, User: f.user, Ident: "roundhouse"}
	o.Callbacks.Disconnect = func(err error) { fmt.Fprintln(cmd.ErrOrStderr(), err) }
	o.Callbacks.Reconnect = func(server string) { fmt.Fprintln(cmd.ErrOrStderr(), "connected to", server) }
	o.Callbacks.Error = func(err error) { fmt.Fprintln(cmd.ErrOrStderr(), err) }
	err := f.secure(&o)
	if err == nil && f.user != "" {
		o.Password, err = readPassword("", environ)
	}
	var c *pubsub.Conn
	if err == nil {
		c, err = pubsub.Connect(ctx, o)
	}
	if err == nil {
		err = do(ctx, c)
		_ = c.Close() // always nil
	}
	if err != nil {
		return &exitError{process.ExitRuntime, err}
	}
	return nil
}

func (f *routerFlags) secure(o *pubsub.Options) error {
	if !f.tls && f.ca == "" {
		return nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return err
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s: no certificate in it", f.ca)
		}
	}
	o.TLS = cfg
	return nil
}

// msgFlags say what messages to publish are like.
type msgFlags struct {
	typeName, reply, balance string
}

func (f *msgFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.typeName, "type", "jms_bytes", "`name` or number of the message type. Of jms_bytes the data are bytes, of any other its fields\n"+
		"as in a text message file: \"ready\" of info, { temp 88.5 } of numeric_data")
	flags.StringVar(&f.balance, "balance", "none", "which subscribers get it: `none` (all), round_robin or sorted (one)")
}

var balances = map[string]message.Balance{"none": message.BalanceNone, "round_robin": message.RoundRobin, "sorted": message.Sorted}

// check finds mistakes before anything is published.
func (f *msgFlags) check() error {
	if _, ok := balances[f.balance]; !ok {
		return fmt.Errorf("--balance %s: it is none, round_robin or sorted", f.balance)
	}
	if _, known := message.TypeByName(f.typeName); !known {
		if _, err := strconv.ParseInt(f.typeName, 10, 32); err != nil {
			return fmt.Errorf("--type %s: no such type; a number can be given", f.typeName)
		}
	}
	return nil
}

// message makes a message of flags that check has passed.
func (f *msgFlags) message(name, data string) (*pubsub.Msg, error) {
	m := &pubsub.Msg{Subject: name, Reply: f.reply, Balance: balances[f.balance]}
	if strings.EqualFold(f.typeName, message.TypeJMSBytes.String()) {
		m.Data = []byte(data)
		return m, nil
	}
	in := message.NewReader(strings.NewReader(f.typeName+" /x "+data), nil, frame.MaxSize)
	var one, more message.Message
	if err := in.Read(&one); err != nil {
		t, _ := message.TypeByName(f.typeName) // a number has the grammar of no type, too
		return nil, fmt.Errorf("data of type %s, %s: %w", f.typeName, t.Grammar(), err)
	}
	m.Type = one.Type
	m.Fields = append([]byte{}, one.Fields...)
	if err := in.Read(&more); err == nil {
		return nil, fmt.Errorf("data of type %s: more than one message", f.typeName)
	}
	return m, nil
}

// payload shows what a message holds on one line: data as they are but for what would not be text, fields as in a text message file.
func payload(m *pubsub.Msg) string {
	if isData(m) {
		return oneLine(m.Data)
	}
	return strings.TrimSuffix(string(m.AppendText(nil, nil)), "\n")
}

// isData tells whether a message is bytes rather than typed fields.
func isData(m *pubsub.Msg) bool {
	if m.Type != message.TypeJMSBytes {
		return false
	}
	f, ok := m.Field(0)
	return ok && f.Kind == message.Binary && f.Name == nil && len(m.Data) == len(f.Value)
}

// oneLine shows bytes as text; what cannot be shown is escaped as \xHH.
func oneLine(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1, r < ' ' && r != '\t', r == 0x7f:
			fmt.Fprintf(&out, `\x%02x`, b[0])
		case !strconv.IsPrint(r) && r != '\t':
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.Write(b[:n])
		}
		b = b[n:]
	}
	return out.String()
}

var errTimeout = errors.New("no answer in time")

// pause waits, or returns an error when ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

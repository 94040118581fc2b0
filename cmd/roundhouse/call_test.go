package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"roundhouse/client"
	"roundhouse/cmd/process"
	"roundhouse/codec/frame"
)

func wire(s string) string { return strings.NewReplacer("^", "\x01", "~", "\x02").Replace(s) }

// serveScript plays the server of one connection and returns its address. A step that starts with > is wanted from the client, one with <
// is sent, ! sends this process an interrupt, and . waits until the client closes. ^ stands for the delimiter.
func serveScript(t *testing.T, steps ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var played sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		played.Wait()
	})
	played.Go(func() { // ends with the script, or with the listener
		nc, err := l.Accept()
		if err != nil {
			t.Errorf("no client came: %v", err)
			return
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(time.Minute))
		for i, step := range steps {
			if err := playStep(nc, step[:1], wire(step[1:])); err != nil {
				t.Errorf("step %d, %s: %v", i, step, err)
				return
			}
		}
	})
	return l.Addr().String()
}

func playStep(nc net.Conn, kind, payload string) error {
	switch kind {
	case "<":
		_, err := fmt.Fprintf(nc, "%08d%s", len(payload), payload)
		return err
	case "!":
		return syscall.Kill(os.Getpid(), syscall.SIGINT)
	case ".":
		rest, err := io.ReadAll(nc)
		if len(rest) > 0 {
			return fmt.Errorf("the client sent %q", rest)
		}
		return err
	}
	var header [frame.HeaderLen]byte
	if _, err := io.ReadFull(nc, header[:]); err != nil {
		return err
	}
	size, _, err := frame.ParseHeader(header[:], 1<<16)
	if err != nil {
		return err
	}
	got := make([]byte, size)
	if _, err = io.ReadFull(nc, got); err == nil && string(got) != payload {
		err = fmt.Errorf("the client sent %q", got)
	}
	return err
}

// runCall is run, with an input.
func runCall(t *testing.T, environ []string, in io.Reader, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	root := newRoot(environ)
	root.SetArgs(append([]string{"call"}, args...))
	root.SetIn(in)
	root.SetOut(&o)
	root.SetErr(&e)
	err := root.ExecuteContext(t.Context())
	var ended *exitError
	switch {
	case errors.As(err, &ended):
		if code = ended.code; ended.err != nil {
			fmt.Fprintln(&e, ended.err)
		}
	case err != nil:
		code = process.ExitUsage
		fmt.Fprintln(&e, err)
	}
	return code, o.String(), e.String()
}

const (
	blockLogin = ">1^u^p^A^0^^^^^^"
	charLogin  = ">1^u^p^A^1^^^^^^"
	timesReply = "0^Startup: 2024-01-02 03:04:05; Current 2024-01-02 04:05:06^"
	loginOK    = "<00^oed 1.0 MAIN^engine=E1^^"
)

func TestCall(t *testing.T) {
	file := write(t, "password", "p\r\nnot this\n")
	for name, row := range map[string]struct {
		args    string // by blanks, a _ stands for one
		environ []string
		in      string
		script  []string
		code    int
		out     string
		err     string
	}{
		"execute": {args: "-u u -p p -a A LIST_VOC", script: []string{blockLogin, loginOK, ">3^LIST VOC^", "<00^HELLO^", ">2^", "<00^", "."}, out: "HELLO"},
		"call, every flag": {
			args:   "-u u -p p -a A -m 2 --server E9 --procedure P --up-flags -65 --down-flags 0 --location /srv --call ADD -1 -x",
			script: []string{">1^u^p^A^2^E9^P^-65^0^/srv^", loginOK, ">4^ADD^-1^-x^", "<00^any\xff^bytes^", ">2^", "<00^"},
			out:    wire("any\xff^bytes"),
		},
		"password of the environment": {
			args: "-u u -a A X", environ: []string{"ROUNDHOUSE_PASSWORD=p"},
			script: []string{blockLogin, loginOK, ">3^X^", "<00^^", ">2^", "<00^"},
		},
		"password of a file": {
			args: "-u u -a A --password-file " + file + " X", environ: []string{"ROUNDHOUSE_PASSWORD=q"},
			script: []string{blockLogin, loginOK, ">3^X^", "<00^^", ">2^", "<00^"},
		},
		"password of the command line": {
			args: "-u u -a A -p p --password-file " + file + ".none X", environ: []string{"ROUNDHOUSE_PASSWORD=q"},
			script: []string{blockLogin, loginOK, ">3^X^", "<00^^", ">2^", "<00^"},
		},
		"failed": {
			args: "-u u -p p -a A X", script: []string{blockLogin, loginOK, ">3^X^", "<11^Processing error^half^", ">2^", "<00^"},
			code: 1, out: "half", err: "Processing error\n",
		},
		"login failed": {args: "-u u -p p -a A X", script: []string{blockLogin, "<11^Invalid user^", "."}, code: 1, err: "Invalid user\n"},
		"char": {
			args: "-u u -p p -a A -m 1 X", in: "Bob\nnobody reads this",
			script: []string{charLogin, loginOK, ">3^X^", "<02^one ^", ">18^", "<05^50%^", ">18^", "<019^Name? ^", ">19^Bob^", "<00^two^fine^", ">2^", "<00^"},
			out:    "one Name? two", err: "50%\nfine\n",
		},
		"char, no answer": {
			args:   "-u u -p p -a A -m 1 --call X",
			script: []string{charLogin, loginOK, ">4^X^", "<019^Name? ^", ">100^", "<11^Broken^", ">2^", "<00^"},
			code:   1, out: "Name? ", err: "the input ended before a question was answered\n",
		},
		"JD3 with events": {
			args: "-u u -p p -a A -m -1 --events X", in: "Bob",
			script: []string{">1^u^p^A^-1^^^^^^", "<0^oed^mode=-1^^", ">400^X^", "<19^Name? ^", ">19^Bob^", "<0^a^b^", ">2^", "<0^"},
			out:    wire("Name? a^b"),
		},
		"timeout": {
			args:   "-u u -p p -a A --timeout 1s X",
			script: []string{blockLogin, loginOK, ">3^X^", ">100^", "<11^Broken^", ">-5^", "<" + timesReply, ">2^", "<00^"},
			code:   1, err: "not done within 1s\n",
		},
		"interrupt": {
			args:   "-u u -p p -a A X",
			script: []string{blockLogin, loginOK, ">3^X^", "!", ">100^", "<11^Broken^", ">-5^", "<" + timesReply, ">2^", "<00^"},
			code:   1, err: "Broken\n",
		},
		"interrupted login": {args: "-u u -p p -a A X", script: []string{blockLogin, "!", "."}, code: 1, err: "ended by interrupt"},
		"list": {
			args: "--list --times", script: []string{">-1^1^", "<00^*\xfdE1\xfdevil\x1b[2J\xfe\xfdE2^", ">-5^", "<" + timesReply, "."},
			out: "*\tE1\tevil?[2J\n\tE2\nstarted 2024-01-02 03:04:05\nnow     2024-01-02 04:05:06\n",
		},
		"denied":          {args: "--list", script: []string{">-1^1^", "<1^Access Denied^"}, code: 1, err: "Access Denied\n"},
		"lost":            {args: "-u u -p p -a A X", script: []string{blockLogin, loginOK, ">3^X^"}, code: 1, err: "client: connection broken: EOF\n"},
		"nothing to call": {code: 2, err: "nothing to call"},
		"list of what":    {args: "--list X", code: 2, err: "take no parameters"},
		"no such file":    {args: "--password-file " + file + ".none X", code: 1, err: "no such file"},
		"no such mode":    {args: "-m 7 X", script: []string{"."}, code: 1, err: "mode \"7\""},
		"no such flag":    {args: "--nothing X", code: 2, err: "unknown flag"},
	} {
		t.Run(name, func(t *testing.T) {
			args := strings.Fields(row.args)
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "_", " ")
			}
			if row.script != nil {
				args = append([]string{"--addr", serveScript(t, row.script...)}, args...)
			}
			code, out, errOut := runCall(t, row.environ, strings.NewReader(row.in), args...)
			if code != row.code || out != row.out || !strings.Contains(errOut, row.err) || row.err == "" && errOut != "" {
				t.Errorf("exit code %d, %q, %q", code, out, errOut)
			}
		})
	}
}

// TestCallDialogue has the lines of an input as commands; the exit code is that of the last.
func TestCallDialogue(t *testing.T) {
	for name, row := range map[string]struct {
		in     string
		script []string
		code   int
		out    string
		err    string
	}{
		"two commands and a question": {
			in:     "WHO\r\nASK\nBob",
			script: []string{">3^WHO^", "<02^me\n^", ">18^", "<00^^", ">3^ASK^", "<019^Name? ^", ">19^Bob^", "<00^Hello Bob\n^", ">2^", "<00^", "."},
			out:    "me\nName? Hello Bob\n",
		},
		"one fails": {
			in: "A\n\nB\n", script: []string{">3^A^", "<11^no luck^half^", ">3^^", "<00^^", ">3^B^", "<00^b^", ">2^", "<00^"},
			out: "halfb", err: "no luck\n",
		},
		"the last one fails": {in: "A\n", script: []string{">3^A^", "<11^no luck^", ">2^", "<00^"}, code: 1, err: "no luck\n"},
		"interrupt": {
			in: "A\nB\n", script: []string{">3^A^", "!", ">100^", "<11^Broken^", ">-5^", "<" + timesReply, ">3^B^", "<00^b^", ">2^", "<00^"},
			out: "b", err: "Broken\n",
		},
		"lost": {in: "A\nB\n", script: []string{">3^A^"}, code: 1, err: "client: connection broken: EOF\n"},
	} {
		t.Run(name, func(t *testing.T) {
			addr := serveScript(t, append([]string{charLogin, loginOK}, row.script...)...)
			code, out, errOut := runCall(t, nil, strings.NewReader(row.in), "--addr", addr, "-u", "u", "-p", "p", "-a", "A", "-m", "1")
			if code != row.code || out != row.out || errOut != row.err {
				t.Errorf("exit code %d, %q, %q", code, out, errOut)
			}
		})
	}
}

// prompts is the error output of a person, and tells of each prompt.
type prompts struct {
	bytes.Buffer
	seen chan struct{}
}

func (p *prompts) Write(b []byte) (int, error) {
	if string(b) == "> " {
		p.seen <- struct{}{}
	}
	return p.Buffer.Write(b)
}

// TestCallBetweenCommands has interrupts while nothing runs: two in a row end the dialogue, and so does one SIGTERM.
func TestCallBetweenCommands(t *testing.T) {
	for name, row := range map[string]struct {
		signals []os.Signal
		hints   int
	}{
		"twice":     {[]os.Signal{syscall.SIGINT, syscall.SIGINT}, 2},
		"terminate": {[]os.Signal{syscall.SIGTERM}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := client.Dial(t.Context(), serveScript(t, charLogin, loginOK, ">3^A^", "<00^^", ">2^", "<00^"), client.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			login := client.Credentials{User: "u", Password: "p", Application: "A", Mode: client.Char}
			if _, err := conn.Login(t.Context(), login); err != nil {
				t.Fatal(err)
			}
			typed, keyboard := io.Pipe()
			defer keyboard.Close()
			input := newLines(typed)
			defer input.close()
			signals := make(chan os.Signal)
			errOut := &prompts{seen: make(chan struct{}, 10)}
			c := &caller{callFlags: &callFlags{login: login}, conn: conn, input: input, out: io.Discard, errOut: errOut, signals: signals, terminal: true}
			ended := make(chan error, 1)
			go func() { ended <- c.dialogue(context.Background()) }() // ends by the signals
			<-errOut.seen
			signals <- syscall.SIGINT
			<-errOut.seen
			fmt.Fprintln(keyboard, "A")
			for _, s := range row.signals {
				<-errOut.seen
				signals <- s
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if err := conn.Logoff(t.Context()); err != nil {
				t.Error(err)
			}
			if n := strings.Count(errOut.String(), "again"); n != row.hints || !strings.HasPrefix(errOut.String(), "> ") {
				t.Errorf("%q", errOut.String())
			}
		})
	}
}

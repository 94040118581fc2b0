package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"roundhouse/client/pubsub"
)

// serverLog is a log that a test can look into.
type serverLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *serverLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// wait waits until the log has what an expression describes, and returns its last group.
func (l *serverLog) wait(t *testing.T, expression string) string {
	t.Helper()
	e := regexp.MustCompile(expression)
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if m := e.FindStringSubmatch(l.text()); m != nil {
			return m[len(m)-1]
		}
		select {
		case <-deadline:
			t.Fatalf("no %s in\n%s", expression, l.text())
		case <-tick.C:
		}
	}
}

// rtserverFiles are files of all three levels, in a directory each.
func rtserverFiles(t *testing.T, texts map[string]string) (environ []string, local string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"RTHOME=" + filepath.Join(dir, "rt"), "HOME=" + filepath.Join(dir, "home")}, filepath.Join(dir, "local", "rtserver.cm")
}

// serveFiles runs roundhouse serve with an rtserver.cm and returns its log and what ends it and returns the exit code.
func serveFiles(t *testing.T, environ []string, local string, more ...string) (log *serverLog, end func() int) {
	t.Helper()
	log = new(serverLog)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() { // ends with ctx, or when the server does
		root := newRoot(environ)
		root.SetArgs(append([]string{"serve", "--rtserver", local, "--set", "admin.listen=", "--set", "drain_grace=0s"}, more...))
		root.SetOut(io.Discard)
		root.SetErr(log)
		code := 0
		if err := root.ExecuteContext(ctx); err != nil {
			code = 1
		}
		done <- code
	}()
	end = sync.OnceValue(func() int { cancel(); return <-done })
	t.Cleanup(func() { end() })
	return log, end
}

// TestServeRTServer: three levels of rtserver.cm, bad options, SIGHUP, and commands at run time.
func TestServeRTServer(t *testing.T) {
	environ, local := rtserverFiles(t, map[string]string{
		"rt/standard/rtserver.cm": "setopt conn_names tcp:_any:1 // replaced\nsetopt client_max_buffer 1001\nsetopt client_max_tokens 1001\nsetopt client_drain_subjects 1001\n",
		"home/rtserver.cm":        "setopt client_max_buffer 1002000\nsetopt client_max_tokens 1002\n",
		"local/rtserver.cm": "setopt conn_names tcp:localhost:0\nsetopt client_max_buffer 1003000\nsetopt enable_control_msgs _all\n" +
			"setopt no_such_option 1\nsetopt max_client_conns many\nsource more/more.cm\necho from the file\n",
		"local/more/more.cm": "setopt client_token_rate 5000000\n",
	})
	log, end := serveFiles(t, environ, local)
	addr := log.wait(t, `msg"?[=:]"?listening.*door"?[=:]"?router.*addr"?[=:]"?([0-9.]+:\d+)`)
	for _, words := range []string{`rtserver.cm.*line"?[=:]4.*no such option`, `rtserver.cm.*line"?[=:]5.*Max_Client_Conns.*many`, "from the file"} {
		log.wait(t, words)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := routerClient(t, addr)
	show := func(command string) string {
		t.Helper()
		out, err := c.Command(ctx, pubsub.OwnServer, command)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	const options = "setopt client_max_buffer; setopt client_max_tokens; setopt client_drain_subjects; setopt client_token_rate; setopt max_client_conns"
	values := func(buffer, tokens, drain, rate, conns string) {
		t.Helper()
		got := show(options)
		for i, line := range strings.Split(got, "\n") {
			if want := []string{buffer, tokens, drain, rate, conns}[i]; strings.Fields(line)[1] != want {
				t.Errorf("%s; want %s", line, want)
			}
		}
	}
	values("1003000", "1002", "1001", "5000000", "200")
	show("setopt client_drain_subjects 7; setopt trace_level DEBUG")
	show("echo seen in detail")
	log.wait(t, "DEBUG.*seen in detail")
	show("unsetopt trace_level; setopt trace_level warning")
	show("echo not logged")

	messages := filepath.Join(filepath.Dir(local), "in.msg")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(local, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGHUP) // cannot fail
	}
	put("setopt conn_names tcp:localhost:0, tcp:localhost:1\nsetopt enable_control_msgs setopt\nsetopt client_token_rate 0\nsetopt client_max_buffer x\nsetopt log_in_client " + messages + "\n")
	log.wait(t, "the configuration was read again.*router.listen")
	log.wait(t, `line"?[=:]4.*Client_Max_Buffer`)
	values("1002000", "1002", "1001", "0", "200") // what a command has set is gone with the old files
	if got := show("stats; setopt log_in_client"); got != "stats: not enabled (enable_control_msgs)\nLog_In_Client "+messages+" (string, default UNKNOWN)" {
		t.Error(got)
	}
	put("setopt enable_control_msgs \"\n") // spelt wrong: nothing changes
	log.wait(t, "was not read again")
	show("setopt client_max_buffer")
	if code := end(); code != 0 || strings.Contains(log.text(), "not logged") {
		t.Errorf("exit code %d\n%s", code, log.text())
	}
	text, err := os.ReadFile(messages)
	if err != nil || bytes.Count(text, []byte("control /_server \"setopt client_max_buffer")) != 2 {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestServeRTServerRefuses: what keeps the server from starting.
func TestServeRTServerRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"setopt conn_names tcp:localhost:0\nsetopt sm_security_driver none":                                "Sm_Security_Driver",
		"setopt conn_names tcp:localhost:0\nsetopt sm_security_driver basic\nsetopt log_in_client /none/x": "access.directory|cannot|no such|acl",
		"setopt conn_names tcp:localhost:0\nsetopt log_in_client /none/x":                                  "message file: open /none/x: no such file",
		"setopt conn_names \"tcp:localhost:0":                                                              "quoted text that does not end",
		"setopt conn_names tcp:192.0.2.1:1":                                                                "cannot assign|192.0.2.1",
	} {
		environ, local := rtserverFiles(t, map[string]string{"local/rtserver.cm": text})
		code, errOut := runServe(t, environ, local)
		if code == 0 || !regexp.MustCompile(want).MatchString(errOut) {
			t.Errorf("%s: exit code %d, %s", text, code, errOut)
		}
	}
	// A name as node:port is a warning with a hint, and then nothing is left to listen on but what is there by itself.
	environ, local := rtserverFiles(t, map[string]string{"local/rtserver.cm": "setopt conn_names hub1:5101\nsetopt conn_names tcp:localhost:0\n"})
	log, end := serveFiles(t, environ, local)
	log.wait(t, "hub1:5101.*tcp:hub1:5101")
	log.wait(t, `listening`)
	if code := end(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// runServe is run with serve, for a configuration that it does not start with.
func runServe(t *testing.T, environ []string, local string) (code int, errOut string) {
	t.Helper()
	var out bytes.Buffer
	code = run([]string{"serve", "--rtserver", local, "--set", "admin.listen="}, environ, &out, &out)
	return code, out.String()
}

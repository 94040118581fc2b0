package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"roundhouse/cmd/process"
	"roundhouse/codec/frame"
	"roundhouse/codec/revcap"
	"roundhouse/enginepool/sdk/engines"
)

func TestEngineCommandLine(t *testing.T) {
	t.Setenv("ENGINE_FD", "")
	t.Setenv("ENGINE_STDIO", "")
	for args, want := range map[string]string{
		"engine":                         "accepts 1 arg",
		"engine none":                    `invalid argument "none"`,
		"engine echo":                    "ENGINE_FD is not set",
		"engine echo --apps A":           "go with --dial",
		"engine echo --tls":              "go with --dial",
		"engine echo --ahead x":          "invalid argument",
		"engine echo --token-file /none": "go with --dial",
	} {
		var out, errOut bytes.Buffer
		if code := run(strings.Fields(args), nil, &out, &errOut); code != process.ExitUsage || !strings.Contains(errOut.String(), want) {
			t.Errorf("%s: code %d, %q; want %q", args, code, &errOut, want)
		}
	}
	var out, errOut bytes.Buffer
	if code := run([]string{"engine", "--help"}, nil, &out, &errOut); code != 0 || !strings.Contains(out.String(), strings.Join(engines.Names(), ", ")) {
		t.Errorf("help: code %d, %q", code, &out)
	}
	for _, args := range []string{"engine echo --dial 127.0.0.1:0", "engine echo --dial 127.0.0.1:0 --token-file /none", "engine echo --dial nowhere --tls"} {
		if code := run(strings.Fields(args), nil, &out, &errOut); code != process.ExitRuntime {
			t.Errorf("%s: code %d", args, code)
		}
	}
}

// TestEngineDialsIn: the hello has what the flags say, a call is answered, a logoff ends it.
func TestEngineDialsIn(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() }) // so that Accept ends
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code := make(chan int, 1)
	var errOut bytes.Buffer
	go func() { // ended by the logoff or the connection's end; waited for below
		args := []string{"engine", "upper", "--dial", listener.Addr().String(), "--token-file", token, "--apps", "A,B", "--ahead", "8", "--name", "shouter"}
		code <- run(args, nil, &errOut, &errOut)
	}()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	ev := readEvent(t, conn)
	hello, err := revcap.ParseHello(ev.Body)
	if err != nil || hello.Name != "shouter" || hello.Ahead != 8 || hello.Token != "secret" || !slices.Equal(hello.Applications, []string{"A", "B"}) {
		t.Errorf("hello %+v, %v", hello, err)
	}
	orders := append(revcap.AppendCallHead(nil, revcap.Call, 1, revcap.KindClient, "P", 0, 4), "abc\x01"...)
	if _, err := conn.Write(revcap.AppendOrder(orders, revcap.Logoff, 0)); err != nil {
		t.Fatal(err)
	}
	if ev := readEvent(t, conn); ev.Status != revcap.Completed || string(ev.Body) != "ABC" {
		t.Errorf("%v %q", ev.Status, ev.Body)
	}
	if got := <-code; got != 0 {
		t.Errorf("code %d: %s", got, &errOut)
	}
}

// readEvent reads one event, which is all that comes.
func readEvent(t *testing.T, conn net.Conn) revcap.Event {
	t.Helper()
	var in []byte
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		in = append(in, buf[:n]...)
		size, head, frameErr := frame.ParseHeader(in, frame.MaxSize)
		switch {
		case frameErr != nil:
			t.Fatal(frameErr)
		case head > 0 && len(in) == head+size:
			ev, _, err := revcap.ParseEvent(in[head:], size)
			if err != nil {
				t.Fatal(err)
			}
			return ev
		case err != nil:
			t.Fatalf("%v with %q", err, in)
		}
	}
}

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestMain lets the test program be a worker too.
func TestMain(m *testing.M) {
	if os.Getenv("ROADRUNNER_WORKER") != "" {
		if err := run([]string{"worker"}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestServe(t *testing.T) {
	t.Setenv("ROADRUNNER_WORKER", "1")
	for name, argv := range map[string][]string{"go": {os.Args[0]}, "python": {"python3", "worker.py"}} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(argv[0]); err != nil {
				t.Skip(err)
			}
			exchange(t, argv)
		})
	}
}

func exchange(t *testing.T, argv []string) {
	p, err := newPool(2, argv)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Destroy(t.Context())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() { _ = serve(ln, p) }() // ends with the listener; nobody waits for it
	c, err := net.DialTimeout("tcp", ln.Addr().String(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 100, smallReply, smallReply + 1, 64 << 10, 3 << 20} {
		want := fmt.Appendf(nil, "%08d%s", size, bytes.Repeat([]byte("0123456789"), size/10+1)[:size])
		// The front reads a request before it writes: both ends could block on a big one otherwise.
		if _, err := c.Write(want); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes: the answer differs", size)
		}
	}
}

func TestReadHeaderRejects(t *testing.T) {
	for _, head := range []string{"00000000", "-0000001", "0000 001", "99999999"} {
		c, s := net.Pipe()
		go func() { _, _ = io.WriteString(c, head) }() // ends with the pipe
		if err := answer(s, nil); err == nil || err == io.EOF {
			t.Errorf("%q: %v", head, err)
		}
		c.Close()
		s.Close()
	}
}

package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roundhouse/client"
	"roundhouse/server/config"
)

const largeOutput = 64 << 20

// floodSum is the hash of n bytes as the engine flood sends them, between what a reply of web mode has around them.
func floodSum(n int) string {
	h := sha256.New()
	h.Write([]byte("00\x01"))
	piece := make([]byte, 64<<10)
	for i := range piece {
		piece[i] = 'a' + byte(i%26)
	}
	for ; n > 0; n -= len(piece) {
		h.Write(piece[:min(n, len(piece))])
	}
	h.Write([]byte{1})
	return hex.EncodeToString(h.Sum(nil))
}

// slowReader hashes what it gets, and waits a little after each so many bytes.
type slowReader struct {
	hash.Hash
	every, n int
}

func (s *slowReader) Write(b []byte) (int, error) {
	if s.n += len(b); s.every > 0 && s.n > s.every {
		s.n = 0
		idleFor(5 * time.Millisecond)
	}
	return s.Hash.Write(b)
}

// TestEngine18LargeOutput sends 64 MiB to a client that reads fast and to one that reads slowly. The memory of the server stays flat.
func TestEngine18LargeOutput(t *testing.T) {
	want := floodSum(largeOutput)
	for _, row := range []struct {
		name   string
		one    string // output in one piece, or empty: in chunks of data
		every  int
		mostMB int64
	}{
		{"one, fast", "one^", 0, 24}, {"one, slow", "one^", 512 << 10, 24},
		{"chunks, fast", "", 0, 40}, {"chunks, slow", "", 512 << 10, 40}, // they are kept in a file until the reply's length is known
	} {
		t.Run(row.name, func(t *testing.T) {
			s := startEngineChild(t, programCommand(t, "flood"), "")
			pid := s.cmd.Process.Pid
			c := dialEngines(t, s.addr)
			c.mustLogin("1^u^p^APP^2^^^^^^")
			c.talk("3^10^one^", "00^abcdefghij^")
			before := rss(t, pid)
			var most atomic.Int64
			stop := sample(2*time.Millisecond, func() { most.Store(max(most.Load(), rss(t, pid))) })
			c.send(fmt.Sprintf("3^%d^%s", largeOutput, row.one))
			h := &slowReader{Hash: sha256.New(), every: row.every}
			n, err := c.readAll(h)
			stop()
			if got := hex.EncodeToString(h.Sum(nil)); err != nil || got != want || n != largeOutput+4 {
				t.Errorf("%d bytes, %v, right content: %v", n, err, got == want)
			}
			grown := (most.Load() - before) >> 20
			t.Logf("the server had %d MiB before and %d MiB more at most", before>>20, grown)
			if grown > row.mostMB {
				t.Errorf("the server took %d MiB more, %d MiB allowed", grown, row.mostMB)
			}
			c.talk("3^10^one^", "00^abcdefghij^")
			entries, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "no file is left open", func() bool {
				for _, e := range entries {
					if to, _ := os.Readlink(e); strings.Contains(to, "deleted") {
						return false
					}
				}
				return true
			})
		})
	}
}

// TestEngine18SlowClient has a client not read: its engine waits, another one serves everybody else, and then all of the output comes.
func TestEngine18SlowClient(t *testing.T) {
	const size = 6 << 20
	for _, row := range []struct{ name, mode, one string }{{"one", "2", "one^"}, {"chunks", "2", ""}, {"push", "1+", ""}} {
		t.Run(row.name, func(t *testing.T) {
			command := programCommand(t, "mix")
			s := startEngines(t, func(cfg *config.Config) {
				withEngine(cfg, command)
				cfg.Engine.Pool.MaxEngines = 2
			})
			slow := s.login(row.mode)
			slow.send(fmt.Sprintf("3^flood^%d^%s", size, row.one))
			if b, err := slow.in.Peek(8); err != nil {
				t.Fatal(b, err)
			}
			web := block
			web.Mode = client.Web
			others := []*client.Conn{connect(t, s.addr, web), connect(t, s.addr, web)}
			began := time.Now()
			for range 200 {
				for _, c := range others {
					answers(t, c, "quick", "echo", "quick")
				}
			}
			t.Logf("400 requests of others beside it took %v", time.Since(began).Round(time.Millisecond))
			if row.mode == "2" {
				n, err := slow.readAll(&bytes.Buffer{})
				if n != size+4 || err != nil {
					t.Errorf("%d bytes, %v", n, err)
				}
			} else {
				readPushed(t, slow, size)
			}
			web.Mode = client.Block
			answers(t, connect(t, s.addr, web), "again", "echo", "again")
			if row.mode == "2" {
				slow.talk("3^echo^again^", "00^again^")
			}
		})
	}
}

// readPushed reads pieces of output until the end of the call.
func readPushed(t *testing.T, c *engineClient, size int) {
	t.Helper()
	n := 0
	for {
		got := c.read()
		switch {
		case strings.HasPrefix(got, "02^"):
			n += len(got) - len("02^^")
			continue
		case strings.HasPrefix(got, "018^"):
			continue
		case strings.HasPrefix(got, "00^"):
			n += len(strings.TrimSuffix(strings.TrimPrefix(got, "00^"), "^"))
		default:
			t.Fatalf("%.100q", got)
		}
		break
	}
	if n != size {
		t.Errorf("%d bytes of %d", n, size)
	}
}

// TestEngine18Boundary has replies of sizes at which something changes: they leave the engine free for the next request, also when their
// client does not read at once.
func TestEngine18Boundary(t *testing.T) {
	command := programCommand(t, "mix")
	s := startEngines(t, func(cfg *config.Config) {
		withEngine(cfg, command)
		cfg.Engine.Pool.MaxEngines = 1
	})
	other := connect(t, s.addr, block)
	for _, one := range []string{"one^", ""} {
		for _, size := range []int{0, 1, 16<<10 - 1, 16 << 10, 16<<10 + 1, 64 << 10, 256 << 10, 300_000, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3 << 20} {
			lazy := s.login("2")
			lazy.send(fmt.Sprintf("3^flood^%d^%s", size, one))
			if size <= 16<<10 { // the system takes it, so that the engine is free before it is read
				answers(t, other, "next", "echo", "next")
			}
			h := sha256.New()
			if n, err := lazy.readAll(h); err != nil || hex.EncodeToString(h.Sum(nil)) != floodSum(size) {
				t.Errorf("%d bytes: %d, %v", size, n, err)
			}
			answers(t, other, "next", "echo", "next")
			lazy.talk("3^echo^next^", "00^next^")
		}
	}
}

// TestEngine18Leaves leaves in the middle of a large reply: its engine is free again.
func TestEngine18Leaves(t *testing.T) {
	for _, one := range []string{"one^", ""} {
		t.Run("flood "+one, func(t *testing.T) {
			command := programCommand(t, "mix")
			s := startEngines(t, func(cfg *config.Config) {
				withEngine(cfg, command)
				cfg.Engine.Pool.MaxEngines = 1
			})
			for range 5 {
				c := s.login("2")
				c.send(fmt.Sprintf("3^flood^%d^%s", 6<<20, one))
				if b, err := c.in.Peek(8); err != nil {
					t.Fatal(b, err)
				}
				c.close()
			}
			answers(t, connect(t, s.addr, block), "well", "echo", "well")
		})
	}
}

// TestEngine18TooLarge sends more than a frame can hold.
func TestEngine18TooLarge(t *testing.T) {
	s := startEngineChild(t, programCommand(t, "flood"), "")
	c := dialEngines(t, s.addr)
	c.mustLogin("1^u^p^APP^2^^^^^^")
	c.talk("3^110000000^", "11^Reply too large^", "3^10^", "00^abcdefghij^")
}

// TestEngine19Prints has an engine write where programs write: that is in the log, with its name, and breaks nothing.
func TestEngine19Prints(t *testing.T) {
	command := programCommand(t, "print")
	s := startEngines(t, func(cfg *config.Config) { withEngine(cfg, command) })
	c := connect(t, s.addr, block)
	for range 20 {
		answers(t, c, "a", "a")
	}
	s.logged("engine says", "engine=E0001", "stream=stdout", `line="printed to standard output"`)
	s.logged("engine says", "engine=E0001", "stream=stderr", `line="printed to standard error"`)
}

// TestEngine19Stdio talks to engines over their standard input and output: one that prints there is ended, and the log says why.
func TestEngine19Stdio(t *testing.T) {
	t.Run("prints", func(t *testing.T) {
		source := example(t, "sh")
		_, source, _ = strings.Cut(source, "exit 2; }\n") // which looks for the descriptor 3
		source = strings.NewReplacer("<&3", "", ">&3", "", "  ECHO)", "  PRINT) echo 'Notice: this is printed'; send 3 \"$rid\" '' printed ;;\n  ECHO)").Replace(source)
		script := filepath.Join(t.TempDir(), "engine.sh")
		rewrite(t, script, source)
		s := startEngines(t, func(cfg *config.Config) {
			withEngine(cfg, "sh "+script)
			cfg.Engine.Process.Transport = "stdio"
		})
		as := func(procedure string) *client.Conn {
			return connect(t, s.addr, client.Credentials{User: "u", Procedure: procedure, Mode: client.Block})
		}
		fails(t, as("PRINT"), lost, "a")
		s.logged("an engine broke the protocol: something else may have written to its channel", "engine=E0001", "Notice: this is printed")
		answers(t, as("ECHO"), "a", "a")
	})
	t.Run("prints by the SDK", func(t *testing.T) {
		command := programCommand(t, "print")
		s := startEngines(t, func(cfg *config.Config) {
			withEngine(cfg, command)
			cfg.Engine.Process.Transport = "stdio"
		})
		answers(t, connect(t, s.addr, block), "a", "a")
		s.logged("engine says", "engine=E0001", "printed to standard output")
	})
	t.Run("does not print", func(t *testing.T) {
		command := programCommand(t, "mix")
		s := startEngines(t, func(cfg *config.Config) {
			withEngine(cfg, command)
			cfg.Engine.Process.Transport, cfg.Engine.Pool.MaxEngines = "stdio", 2
		})
		for _, mode := range []client.Mode{client.Block, client.Web, client.Char} {
			cr := block
			cr.Mode = mode
			c := connect(t, s.addr, cr)
			answers(t, c, "a", "echo", "a")
			if got := output(t, c, "flood", "3000000"); len(got) != 3_000_000 {
				t.Errorf("%d bytes", len(got))
			}
		}
	})
}

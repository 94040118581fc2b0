package engines

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"roundhouse/codec/frame"
	"roundhouse/codec/revcap"
	"roundhouse/enginepool/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

// run starts the engine name in this process and returns the server's end; the test's end waits for the engine's.
func run(t *testing.T, name string) *server {
	t.Helper()
	e, ok := New(name)
	if !ok {
		t.Fatalf("no engine %s", name)
	}
	ours, theirs := net.Pipe()
	if err := ours.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- sdk.ServeConn(context.Background(), theirs, e) }() // ended by ours.Close; waited for by the cleanup
	s := &server{t: t, conn: ours}
	t.Cleanup(func() {
		if err := ours.Close(); err != nil {
			t.Error(err)
		}
		<-ended // its answer may have had nowhere to go
	})
	if ev := s.next(); ev.Status != revcap.Hello {
		t.Fatalf("%v instead of a hello", ev.Status)
	}
	return s
}

// server is the other end of an engine.
type server struct {
	t    *testing.T
	conn net.Conn
	in   []byte
}

func (s *server) call(rid uint64, args ...string) {
	s.t.Helper()
	s.callUntil(rid, 0, args...)
}

func (s *server) callUntil(rid uint64, deadlineMs int64, args ...string) {
	s.t.Helper()
	var raw []byte
	for _, arg := range args {
		raw = frame.AppendField(raw, []byte(arg))
	}
	s.write(append(revcap.AppendCallHead(nil, revcap.Call, rid, revcap.KindClient, "P", deadlineMs, len(raw)), raw...))
}

func (s *server) write(b []byte) {
	s.t.Helper()
	if _, err := s.conn.Write(b); err != nil {
		s.t.Fatal(err)
	}
}

// next reads an event.
func (s *server) next() revcap.Event {
	s.t.Helper()
	buf := make([]byte, 64<<10)
	for {
		size, n, err := frame.ParseHeader(s.in, frame.MaxSize)
		if err != nil {
			s.t.Fatalf("%.100q: %v", s.in, err)
		}
		if n > 0 && len(s.in) >= n+size {
			ev, _, err := revcap.ParseEvent(s.in[n:n+size], size)
			if err != nil {
				s.t.Fatalf("%.100q: %v", s.in, err)
			}
			s.in = s.in[n+size:]
			return ev
		}
		n, err = s.conn.Read(buf)
		if err != nil {
			s.t.Fatal(err)
		}
		s.in = append(s.in, buf[:n]...)
	}
}

// want reads events and compares them, each as "code|text|body".
func (s *server) want(rid uint64, all ...string) {
	s.t.Helper()
	for _, want := range all {
		ev := s.next()
		if got := strings.Join([]string{ev.Status.String(), string(ev.Text), string(ev.Body)}, "|"); got != want || ev.RID != rid {
			s.t.Fatalf("event of %d: %.200q; want of %d: %.200q", ev.RID, got, rid, want)
		}
	}
}

// both runs f with the engine alone and inside mix, whose first argument is the engine's name.
func both(t *testing.T, name string, f func(t *testing.T, s *server, first ...string)) {
	t.Run(name, func(t *testing.T) { f(t, run(t, name)) })
	t.Run("mix/"+name, func(t *testing.T) { f(t, run(t, mix), name) })
}

func TestNames(t *testing.T) {
	if got := strings.Join(Names(), " "); got != "ask chat commands crash echo flood garbage hang leak mix print slow upper" {
		t.Errorf("names: %s", got)
	}
	if _, ok := New("none"); ok {
		t.Error("there is an engine none")
	}
}

func TestLogin(t *testing.T) {
	s := run(t, "echo")
	s.write(revcap.AppendLogin(nil, 1, revcap.Login{User: "refused"}))
	s.want(1, "4|LOGIN|user refused is refused")
	s.write(revcap.AppendLogin(nil, 2, revcap.Login{User: "joe"}))
	s.want(2, "3||")
}

func TestEchoAndUpper(t *testing.T) {
	both(t, "echo", func(t *testing.T, s *server, first ...string) {
		s.call(1, append(first, "a", "", "c")...)
		s.want(1, "3||a\x01\x01c")
		s.call(2, first...)
		s.want(2, "3||")
	})
	both(t, "upper", func(t *testing.T, s *server, first ...string) {
		s.call(1, append(first, "abc")...)
		s.want(1, "3||ABC")
	})
}

func TestSlow(t *testing.T) {
	both(t, "slow", func(t *testing.T, s *server, first ...string) {
		s.call(1, append(first, "1ms")...)
		s.want(1, "0||", "3||slept 1ms")
		s.call(2, append(first, "1h")...)
		s.want(2, "0||")
		s.write(revcap.AppendOrder(nil, revcap.Break, 2))
		s.want(2, "4|BREAK|Broken by the client")
		s.callUntil(3, 10, append(first, "1h")...)
		s.want(3, "0||", "4|TIMEOUT|Deadline exceeded")
		s.call(4, append(first, "long")...)
		s.want(4, "0||", "4|ARGUMENT|the first argument is a duration, as 200ms")
	})
}

func TestAskCommandsAndChat(t *testing.T) {
	both(t, "ask", func(t *testing.T, s *server, first ...string) {
		s.call(1, first...)
		s.want(1, "0||", "10||Name? ")
		s.write(revcap.AppendInput(nil, 1, []byte("Ann")))
		s.want(1, "3||Hello Ann")
	})
	both(t, "commands", func(t *testing.T, s *server, first ...string) {
		s.call(1, append(first, "3", "x", "y")...)
		s.want(1, "0||", "10||\x063x\x01y\x01")
		s.write(revcap.AppendInput(nil, 1, []byte("Phantom started")))
		s.want(1, "3||Phantom started")
		s.call(2, append(first, "77")...)
		s.want(2, "0||", "4||sdk: command 77 is not 0 to 9")
	})
	both(t, "chat", func(t *testing.T, s *server, first ...string) {
		s.call(1, first...)
		s.want(1, "0||", "2||Welcome. Say bye to end.\r\n", "5||turn 1", "10||> ")
		s.write(revcap.AppendInput(nil, 1, []byte("hello\r\n")))
		s.want(1, "2||You said: hello\r\n", "5||turn 2", "10||> ")
		s.write(revcap.AppendInput(nil, 1, []byte("bye")))
		s.want(1, "3|2 turns|Good bye.\r\n")
	})
}

func TestFlood(t *testing.T) {
	both(t, "flood", func(t *testing.T, s *server, first ...string) {
		s.call(1, append(first, "150000")...)
		s.want(1, "0||", "2||"+string(pattern(chunk)), "2||"+string(pattern(chunk)), "2||"+string(pattern(150000-2*chunk)), "3||")
		s.call(2, append(first, "150000", "one")...)
		s.want(2, "0||", "3||"+string(pattern(150000)))
		s.call(3, append(first, "0")...)
		s.want(3, "0||", "3||")
		s.call(4, append(first, "-1")...)
		s.want(4, "0||", "4|ARGUMENT|argument 1 is not a number")
	})
}

func TestLeak(t *testing.T) {
	s := run(t, "leak")
	s.call(1, "2")
	s.want(1, "0||", "3||2 MiB")
	s.call(2, "1")
	s.want(2, "0||", "3||3 MiB")
}

func TestHang(t *testing.T) {
	both(t, "hang", func(t *testing.T, s *server, first ...string) {
		s.call(1, first...)
		s.want(1, "0||")
		s.write(revcap.AppendOrder(nil, revcap.Break, 1))
		s.write(revcap.AppendOrder(nil, revcap.Debug, 1)) // a pipe: taken, so the break has been
		if err := s.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if n, err := s.conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Error("it does not ignore a break")
		}
	})
}

func TestGarbage(t *testing.T) {
	both(t, "garbage", func(t *testing.T, s *server, first ...string) {
		s.call(1, first...)
		buf := make([]byte, 100)
		n, err := s.conn.Read(buf)
		if err != nil || !bytes.HasPrefix(buf[:n], []byte("Warning: ")) {
			t.Errorf("%q, %v", buf[:n], err)
		}
	})
}

func TestMixWithoutName(t *testing.T) {
	s := run(t, mix)
	s.call(1, "none")
	if ev := s.next(); ev.Status != revcap.ProcError || string(ev.Text) != "UNKNOWN" {
		t.Errorf("%v %q %q", ev.Status, ev.Text, ev.Body)
	}
}

// TestProcess needs a process of its own for each row: those that crash, and those that print.
func TestProcess(t *testing.T) {
	if name := os.Getenv("ENGINES_TEST"); name != "" {
		e, _ := New(name)
		if err := sdk.Serve(context.Background(), e); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, row := range []struct {
		engine string
		args   []string
		code   int
		events []string
	}{
		{"crash", nil, crashes, nil},
		{"crash", []string{"late"}, crashes, []string{"0||"}},
		{"crash", []string{"3"}, crashes, []string{"3||3", "3||3"}},
		{mix, []string{"crash"}, crashes, nil},
		{mix, []string{"crash", "late"}, crashes, []string{"0||"}},
		{"print", []string{"a"}, 0, []string{"3||a"}},
	} {
		t.Run(row.engine+strings.Join(row.args, ","), func(t *testing.T) {
			s, cmd := start(t, row.engine)
			for _, want := range row.events {
				s.call(1, row.args...)
				s.want(1, want)
			}
			if row.code == 0 {
				s.write(revcap.AppendOrder(nil, revcap.Logoff, 0))
			} else if len(row.events) != 1 {
				s.call(2, row.args...)
			}
			if n, err := s.conn.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Error("it goes on")
			}
			_ = cmd.Wait() // the code is looked at
			if got := cmd.ProcessState.ExitCode(); got != row.code {
				t.Errorf("exit code %d, want %d", got, row.code)
			}
			printed := cmd.Stdout.(*bytes.Buffer).String() + cmd.Stderr.(*bytes.Buffer).String()
			if row.engine == "print" && (!strings.Contains(printed, "standard output") || !strings.Contains(printed, "standard error")) {
				t.Errorf("printed %q", printed)
			}
		})
	}
}

// start starts this program again as an engine.
func start(t *testing.T, name string) (*server, *exec.Cmd) {
	t.Helper()
	ours, theirs := socketpair(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestProcess$")
	cmd.Env = append(os.Environ(), "ENGINES_TEST="+name, "ENGINE_FD=3")
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stdout, cmd.Stderr = &bytes.Buffer{}, &bytes.Buffer{}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended, if all went well
		_ = cmd.Wait()
	})
	if err := theirs.Close(); err != nil {
		t.Error(err)
	}
	s := &server{t: t, conn: ours}
	if ev := s.next(); ev.Status != revcap.Hello {
		t.Fatalf("%v instead of a hello", ev.Status)
	}
	return s, cmd
}

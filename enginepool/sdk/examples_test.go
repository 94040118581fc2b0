package sdk

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"roundhouse/codec/revcap"
)

// examples are the engines in other languages.
var examples = []struct {
	program, file string
	nul           bool // arguments may hold byte 0
}{
	{"python3", "examples/engine.py", true},
	{"php", "examples/engine.php", true},
	{"sh", "examples/engine.sh", false},
	{"dash", "examples/engine.sh", false},
}

func TestExamples(t *testing.T) {
	for _, row := range examples {
		t.Run(row.program, func(t *testing.T) {
			program, err := exec.LookPath(row.program)
			switch {
			case err != nil && os.Getenv("CI") != "":
				t.Fatal(err)
			case err != nil:
				t.Skip(err)
			}
			t.Run("calls", func(t *testing.T) { exampleCalls(t, startExample(t, program, row.file), row.nul) })
			t.Run("dialogue", func(t *testing.T) { exampleDialogue(t, startExample(t, program, row.file)) })
			t.Run("server goes", func(t *testing.T) { exampleGoes(t, startExample(t, program, row.file)) })
		})
	}
}

// startExample starts an example and logs in.
func startExample(t *testing.T, program, file string) *peer {
	t.Helper()
	p := startProcess(t, exec.CommandContext(t.Context(), program, file), "ENGINE_FD=3")
	if p.hello.Version != 1 || p.hello.Name == "" || p.hello.EngineVersion == "" || p.hello.Ahead != 1 {
		t.Errorf("hello: %+v", p.hello)
	}
	p.write(revcap.AppendLogin(nil, 1, revcap.Login{User: "joe", Password: "secret", Application: "BOOKS", Mode: "0"}))
	p.want(revcap.Completed, 1, "", "")
	return p
}

func exampleCalls(t *testing.T, p *peer, nul bool) {
	large := strings.Repeat("twenty bytes, a line\n", 1000)
	all := [][]string{{"a", "", "c"}, {"a", "b", ""}, {""}, {"é\xff\x02\\ %s $HOME 'q' \"q\" `id` *\n\n"}, {large}}
	if nul {
		all = append(all, []string{"a\x00b", strings.Repeat(large, 20)})
	}
	for i, args := range all {
		rid := uint64(10 + i)
		p.write(call(rid, "ECHO", args...))
		p.want(revcap.Unprocessed, rid, "", "")
		p.want(revcap.Completed, rid, "", strings.Join(args, "\x01"))
	}
	p.write(append(call(90, "UPPER", "abc xyz\n"), call(91, "UPPER", "next")...)) // what is there already is not lost
	p.want(revcap.Unprocessed, 90, "", "")
	p.want(revcap.Completed, 90, "", "ABC XYZ\n")
	p.want(revcap.Unprocessed, 91, "", "")
	p.want(revcap.Completed, 91, "", "NEXT")
	p.write(call(92, "NONE"))
	p.want(revcap.Unprocessed, 92, "", "")
	if ev := p.event(); ev.Status != revcap.ProcError || ev.RID != 92 || len(ev.Text) == 0 || string(ev.Body) != "unknown procedure" {
		t.Errorf("%v of %d, %q %q", ev.Status, ev.RID, ev.Text, ev.Body)
	}
	p.write(revcap.AppendOrder(nil, revcap.Break, 92)) // too late: ignored
	p.write(revcap.AppendOrder(nil, revcap.Debug, 92))
	p.write(revcap.AppendInput(nil, 92, []byte("late")))
	p.write(revcap.AppendOrder(nil, revcap.Logoff, 0))
	p.end(nil)
}

func exampleDialogue(_ *testing.T, p *peer) {
	p.write(call(2, "ASK"))
	p.want(revcap.Unprocessed, 2, "", "")
	p.want(revcap.InfoRequest, 2, "", "Name? ")
	p.write(revcap.AppendInput(nil, 2, []byte("Ann\x01e\x01")))
	p.want(revcap.Completed, 2, "", "Hello Ann\x01e\x01")
	p.write(call(3, "ASK"))
	p.want(revcap.Unprocessed, 3, "", "")
	p.want(revcap.InfoRequest, 3, "", "Name? ")
	p.write(revcap.AppendOrder(nil, revcap.Break, 3))
	p.want(revcap.ProcError, 3, "BREAK", "broken")
	p.write(call(4, "SLOW", "0.01"))
	p.want(revcap.Unprocessed, 4, "", "")
	p.want(revcap.Completed, 4, "", "slept")
	p.write(revcap.AppendOrder(nil, revcap.Break, 4)) // too late
	p.write(call(5, "SLOW", "1000"))
	p.want(revcap.Unprocessed, 5, "", "")
	p.write(revcap.AppendOrder(nil, revcap.Break, 5))
	p.want(revcap.ProcError, 5, "BREAK", "broken")
	p.write(call(6, "ECHO", "still here"))
	p.want(revcap.Unprocessed, 6, "", "")
	p.want(revcap.Completed, 6, "", "still here")
	p.hangUp()
}

// exampleGoes hangs up while the engine works: it ends, and so does all that it has started, since that has its standard error.
func exampleGoes(_ *testing.T, p *peer) {
	p.write(call(2, "SLOW", "1000"))
	p.want(revcap.Unprocessed, 2, "", "")
	p.hangUp()
}

package harness

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const tail = " S 41 7 7 0 -1 4194560 1 2 3 4 54 2 0 0 20 0 1 0 987654 5 6"
	for _, name := range []string{"nginx", "a b", "x) R 9 (y"} {
		got, err := parseStat([]byte("42 (" + name + ")" + tail + "\n"))
		if want := (stat{parent: 41, start: 987654}); err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", name, got, err, want)
		}
	}
	for _, bad := range []string{"", "42 nginx", "42 (nginx) S 41", "42 (nginx) S x" + tail[5:]} {
		if got, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q: got %+v, want an error", bad, got)
		}
	}
}

func TestParseSchedstat(t *testing.T) {
	got, err := parseSchedstat([]byte("565710954 139687 110\n"))
	if err != nil || got != 565710954*time.Nanosecond {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "1 2", "x 2 3"} {
		if got, err := parseSchedstat([]byte(bad)); err == nil {
			t.Errorf("%q: got %v, want an error", bad, got)
		}
	}
}

func TestParseKilobytes(t *testing.T) {
	const text = "Rss:                1764 kB\nPss:                 434 kB\nPss_Anon:            112 kB\n"
	for key, want := range map[string]int64{"Rss": 1764 << 10, "Pss": 434 << 10, "Swap": 0} {
		if got, err := parseKilobytes([]byte(text), key); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", key, got, err, want)
		}
	}
	for _, bad := range []string{"Rss: 12\n", "Rss: 12 MB\n", "Rss: x kB\n"} {
		if got, err := parseKilobytes([]byte(bad), "Rss"); err == nil {
			t.Errorf("%q: got %d, want an error", bad, got)
		}
	}
}

func TestReadersOfThisProcess(t *testing.T) {
	pid := os.Getpid()
	before, err := readCPU(pid)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for cpu := before; cpu-before < 10*time.Millisecond; { // the loop itself is the work
		if cpu, err = readCPU(pid); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("busy for 10 s, but the CPU time stands still")
		}
	}
	rss, err := ReadRSS(pid)
	if err != nil || rss < 1<<20 {
		t.Errorf("RSS = %d, %v", rss, err)
	}
	pss, err := ReadPSS(pid)
	if err != nil || pss < 1<<19 {
		t.Errorf("PSS = %d, %v", pss, err)
	}
	if n, err := CountDescriptors(pid); err != nil || n < 3 {
		t.Errorf("descriptors = %d, %v", n, err)
	}
}

func TestReadersOfEndedProcess(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Skip("no program true here")
	}
	pid := cmd.Process.Pid
	if rss, err := ReadRSS(pid); rss != 0 || err != nil {
		t.Errorf("RSS = %d, %v", rss, err)
	}
	if cpu, err := readCPU(pid); cpu != 0 || err != nil {
		t.Errorf("CPU = %v, %v", cpu, err)
	}
	if tree, err := Descendants(pid); len(tree) != 0 || err != nil {
		t.Errorf("descendants = %v, %v", tree, err)
	}
}

func TestCPUBetween(t *testing.T) {
	before := map[int]time.Duration{1: 5, 2: 7}
	after := map[int]time.Duration{1: 9, 3: 2} // 2 ended, 3 is new
	if got := CPUBetween(before, after); got != 6 {
		t.Errorf("got %d, want 6", got)
	}
}

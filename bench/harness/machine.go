package harness

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// Machine describes what was measured where, as a Markdown list: hardware, kernel, versions, commit, date.
func Machine() string {
	var b strings.Builder
	fmt.Fprintf(&b, "- date: %s\n", time.Now().UTC().Format("2006-01-02 15:04 MST"))
	fmt.Fprintf(&b, "- commit: %s\n", commit())
	fmt.Fprintf(&b, "- cpu: %s, %d usable; kernel %s\n", cpuModel(), runtime.NumCPU(), output("uname", "-r"))
	fmt.Fprintf(&b, "- %s\n", output("go", "version"))
	for _, tool := range [][]string{
		{"nginx", "-v"}, {"haproxy", "-v"}, {"wrk", "-v"}, {"ssh", "-V"}, {"frps", "--version"}, {"chisel", "--version"},
	} {
		fmt.Fprintf(&b, "- %s: %s\n", tool[0], output(tool...))
	}
	return b.String()
}

// output returns the first line that a command prints. Its exit code does not count: `wrk -v` ends with 1.
func output(argv ...string) string {
	if _, err := exec.LookPath(argv[0]); err != nil {
		return "not installed"
	}
	text, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	line, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte("\n"))
	if len(line) == 0 && err != nil {
		return err.Error()
	}
	return string(line)
}

func commit() string {
	hash := output("git", "rev-parse", "--short=12", "HEAD")
	if output("git", "status", "--porcelain") != "" {
		hash += " with uncommitted changes"
	}
	return hash
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

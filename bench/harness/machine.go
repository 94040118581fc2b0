package harness

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Machine describes what was measured where, as a Markdown list: hardware, kernel, versions, commit, date.
func Machine() string {
	return machine([]string{"nginx", "-v"}, []string{"haproxy", "-v"}, []string{"wrk", "-v"}, []string{"ssh", "-V"},
		[]string{"frps", "--version"}, []string{"chisel", "--version"})
}

// ServerMachine is Machine with the versions of what stands before and behind relay servers.
func ServerMachine() string { return machine([]string{"nginx", "-v"}, []string{"haproxy", "-v"}) }

// machine is Machine with the commands that tell the versions of the peers.
func machine(tools ...[]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "- date: %s\n", time.Now().UTC().Format("2006-01-02 15:04 MST"))
	fmt.Fprintf(&b, "- commit: %s\n", commit())
	fmt.Fprintf(&b, "- cpu: %s, %d usable; kernel %s\n", cpuModel(), runtime.NumCPU(), output("uname", "-r"))
	fmt.Fprintf(&b, "- %s\n", output("go", "version"))
	for _, tool := range tools {
		fmt.Fprintf(&b, "- %s: %s\n", filepath.Base(tool[0]), output(tool...))
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

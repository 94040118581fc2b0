package proc

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// RSS returns the resident memory of a process, without its children. It reads a file that costs no disk access.
func RSS(pid int) (bytes int64, err error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0, fmt.Errorf("proc: memory of %d: %w", pid, err)
	}
	f := strings.Fields(string(text)) // proc(5): size, resident, ... in pages
	if len(f) < 2 {
		return 0, fmt.Errorf("proc: memory of %d: statm has %d fields", pid, len(f))
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("proc: memory of %d: %w", pid, err)
	}
	return pages * int64(os.Getpagesize()), nil
}

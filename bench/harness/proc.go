package harness

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// ProcID names a process: its pid, and its start time, which a later owner of the pid would not have.
type ProcID struct {
	PID   int
	start uint64 // clock ticks since boot
}

// stat is what the harness needs of /proc/PID/stat.
type stat struct {
	parent int
	start  uint64
}

// parseStat reads /proc/PID/stat: "pid (name) state ppid ...", start time being field 22. The name may hold blanks and
// brackets, so the fields are counted from the last bracket. Source: proc(5).
func parseStat(text []byte) (stat, error) {
	const firstField, parentField, startField = 3, 4, 22
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return stat{}, fmt.Errorf("harness: stat without a name: %q", text)
	}
	fields := bytes.Fields(text[end+1:])
	if len(fields) <= startField-firstField {
		return stat{}, fmt.Errorf("harness: stat with %d fields after the name", len(fields))
	}
	parent, err := strconv.Atoi(string(fields[parentField-firstField]))
	if err != nil {
		return stat{}, fmt.Errorf("harness: stat: %w", err)
	}
	start, err := strconv.ParseUint(string(fields[startField-firstField]), 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("harness: stat: %w", err)
	}
	return stat{parent: parent, start: start}, nil
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(text)
}

// Descendants returns the process itself and all that it forked and they forked, in no order. A process may come or go while
// the list is made.
func Descendants(root int) ([]ProcID, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("harness: %w", err)
	}
	children := make(map[int][]ProcID)
	var tree []ProcID
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		st, err := readStat(pid)
		if err != nil {
			continue // it ended since the listing
		}
		id := ProcID{PID: pid, start: st.start}
		if pid == root {
			tree = append(tree, id)
		}
		children[st.parent] = append(children[st.parent], id)
	}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i].PID]...)
	}
	return tree, nil
}

// parseSchedstat reads /proc/PID/task/TID/schedstat: its first field is the time on a CPU in nanoseconds.
func parseSchedstat(text []byte) (time.Duration, error) {
	fields := bytes.Fields(text)
	if len(fields) != 3 {
		return 0, fmt.Errorf("harness: schedstat with %d fields", len(fields))
	}
	ns, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("harness: schedstat: %w", err)
	}
	return time.Duration(ns), nil
}

// readCPU sums the CPU time of the living threads of a process. It is in nanoseconds where utime and stime of /proc/PID/stat
// count 10 ms ticks. Threads that ended are left out; none of the contenders ends threads under load.
func readCPU(pid int) (time.Duration, error) {
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, fmt.Errorf("harness: %w", err)
	}
	var sum time.Duration
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the thread ended since the listing
		}
		d, err := parseSchedstat(text)
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

// parseKilobytes finds the line "key:   123 kB" and returns bytes, 0 if there is none: a process that ended has none.
func parseKilobytes(text []byte, key string) (int64, error) {
	for line := range bytes.Lines(text) {
		rest, found := bytes.CutPrefix(line, []byte(key+":"))
		if !found {
			continue
		}
		fields := bytes.Fields(rest)
		if len(fields) != 2 || string(fields[1]) != "kB" {
			return 0, fmt.Errorf("harness: %s: %q", key, rest)
		}
		n, err := strconv.ParseInt(string(fields[0]), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("harness: %s: %w", key, err)
		}
		return n << 10, nil
	}
	return 0, nil
}

// ReadRSS returns the bytes of memory that the process has mapped and present, 0 if it ended.
func ReadRSS(pid int) (int64, error) {
	return readMemory(fmt.Sprintf("/proc/%d/status", pid), "VmRSS")
}

// ReadPSS is ReadRSS with a page that n processes share counted as an nth. It is dearer: the kernel walks all the pages.
func ReadPSS(pid int) (int64, error) {
	return readMemory(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss")
}

func readMemory(path, key string) (int64, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("harness: %w", err)
	}
	return parseKilobytes(text, key)
}

// CountDescriptors returns how many descriptors a process has open.
func CountDescriptors(pid int) (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0, fmt.Errorf("harness: %w", err)
	}
	return len(entries), nil
}

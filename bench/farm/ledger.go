package main

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ledger counts for each request how often it has come to one back end. It is a file that is mapped into memory, by the back end and by
// this program: what stands in it survives a kill -9, and counting costs no system call.
type ledger struct {
	seen []atomic.Uint32 // by the number of the request
}

const cellBytes = 4

// openLedger maps the ledger for requests numbers, and makes the file if it is not there.
func openLedger(path string, requests int) (*ledger, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	defer f.Close() // the mapping stays
	if err := f.Truncate(int64(requests) * cellBytes); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, requests*cellBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return &ledger{unsafe.Slice((*atomic.Uint32)(unsafe.Pointer(&b[0])), requests)}, nil
}

// add counts a request; false means that there is none with such a number.
func (l *ledger) add(id int) bool {
	if id < 0 || id >= len(l.seen) {
		return false
	}
	l.seen[id].Add(1)
	return true
}

// count is how often a request has come; 0 if there is none with such a number.
func (l *ledger) count(id int) int {
	if id >= len(l.seen) {
		return 0
	}
	return int(l.seen[id].Load())
}

package proc

import (
	"fmt"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// firstPrivate is the first descriptor that no process inherits unless it is given to it.
const firstPrivate = 3

// SealDescriptors makes every descriptor above 2 close-on-exec. What the server opens is so from the start; this is for what its
// own parent left open by mistake. Call it once, before anything is opened.
func SealDescriptors() error {
	// Linux 5.11 and later. Older ones, and sandboxes that do not know the call, take the longer way.
	if unix.CloseRange(firstPrivate, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return nil
	}
	return sealListed()
}

// sealListed does it by the list of open descriptors.
func sealListed() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("proc: which descriptors were inherited is not known: %w", err)
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= firstPrivate {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

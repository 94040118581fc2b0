package loop

import "golang.org/x/sys/unix"

// DescriptorLimit is how many descriptors the process may have open.
func DescriptorLimit() int {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 1024 // the usual default; nothing better is known
	}
	return int(min(r.Cur, 1<<30))
}

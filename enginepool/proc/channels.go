package proc

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// channels are the descriptors between the server and one process, all close-on-exec; -1: none.
type channels struct {
	socket, stdout, stderr                            int // ours, non-blocking
	theirSocket, theirStdin, theirStdout, theirStderr int // blocking, as programs expect
}

// openChannels opens them. After an error none is open.
func openChannels(stdio bool) (*channels, error) {
	c := &channels{-1, -1, -1, -1, -1, -1, -1}
	if err := c.open(stdio); err != nil {
		c.closeOurs()
		c.closeTheirs()
		return nil, err
	}
	return c, nil
}

func (c *channels) open(stdio bool) (err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket pair: %w", err)
	}
	c.socket, c.theirSocket = pair[0], pair[1]
	if err := unix.SetNonblock(c.socket, true); err != nil {
		return fmt.Errorf("socket pair: %w", err)
	}
	if c.stderr, c.theirStderr, err = openPipe(); err != nil {
		return err
	}
	if stdio {
		return nil
	}
	if c.stdout, c.theirStdout, err = openPipe(); err != nil {
		return err
	}
	if c.theirStdin, err = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		c.theirStdin = -1
		return fmt.Errorf("/dev/null: %w", err)
	}
	return nil
}

// openPipe opens a pipe of which the reading end does not block.
func openPipe() (r, w int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return -1, -1, fmt.Errorf("pipe: %w", err)
	}
	if err := unix.SetNonblock(p[0], true); err != nil {
		closeAll(p[0], p[1])
		return -1, -1, fmt.Errorf("pipe: %w", err)
	}
	return p[0], p[1], nil
}

// files are the descriptors of the process, in the order of their numbers there.
func (c *channels) files(stdio bool) []uintptr {
	if stdio {
		return []uintptr{uintptr(c.theirSocket), uintptr(c.theirSocket), uintptr(c.theirStderr)}
	}
	return []uintptr{uintptr(c.theirStdin), uintptr(c.theirStdout), uintptr(c.theirStderr), uintptr(c.theirSocket)}
}

func (c *channels) closeOurs() { closeAll(c.socket, c.stdout, c.stderr) }
func (c *channels) closeTheirs() {
	closeAll(c.theirSocket, c.theirStdin, c.theirStdout, c.theirStderr)
}

func closeAll(fds ...int) {
	for _, fd := range fds {
		if fd >= 0 {
			_ = unix.Close(fd) // nothing was written that could be lost
		}
	}
}

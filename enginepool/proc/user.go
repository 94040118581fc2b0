package proc

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// credential returns what a process of a user runs as: a name or a number, or user:group. nil: as the server does.
func credential(who string) (*syscall.Credential, error) {
	if who == "" {
		return nil, nil
	}
	name, group, grouped := strings.Cut(who, ":")
	c, err := lookupUser(name, grouped)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", who, err)
	}
	if grouped {
		if c.Gid, err = lookupGroup(group); err != nil {
			return nil, fmt.Errorf("user %s: %w", who, err)
		}
		c.Groups = nil // the one that was named is all
	}
	if os.Geteuid() == 0 {
		return c, nil
	}
	if int(c.Uid) == os.Geteuid() && int(c.Gid) == os.Getegid() {
		return nil, nil
	}
	return nil, fmt.Errorf("user %s: only root can start engines of another user", who)
}

// lookupUser returns the numbers of a user and all groups. A number without an entry will do if the group is given besides.
func lookupUser(name string, grouped bool) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if _, notNumber := parseID(name); notNumber != nil {
			return nil, errors.New("no such user")
		}
		if u, err = user.LookupId(name); err != nil && grouped {
			uid, err := parseID(name)
			return &syscall.Credential{Uid: uid}, err
		}
	}
	if err != nil {
		return nil, errors.New("no such user, so that its group is not known: write user:group")
	}
	c := &syscall.Credential{}
	if c.Uid, err = parseID(u.Uid); err != nil {
		return nil, err
	}
	if c.Gid, err = parseID(u.Gid); err != nil {
		return nil, err
	}
	groups, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("its groups: %w", err)
	}
	for _, g := range groups {
		gid, err := parseID(g)
		if err != nil {
			return nil, err
		}
		c.Groups = append(c.Groups, gid)
	}
	return c, nil
}

func lookupGroup(name string) (uint32, error) {
	if g, err := user.LookupGroup(name); err == nil {
		return parseID(g.Gid)
	}
	gid, err := parseID(name)
	if err != nil {
		return 0, fmt.Errorf("no such group: %s", name)
	}
	return gid, nil
}

// parseID reads the number of a user or group. The greatest means "leave as it is" to the system, so it is none.
func parseID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0, fmt.Errorf("%q is not the number of a user or group", s)
	}
	return uint32(n), nil
}

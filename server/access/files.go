package access

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"roundhouse/server/config"
)

// The files in a directory of rules.
const (
	UsersFile       = "users.cfg"
	GroupsFile      = "groups.cfg"
	PermissionsFile = "permissions.cfg"
)

const (
	maxFile = 16 << 20 // bytes
	maxLine = 8 << 10  // bytes
)

// ParseUsers reads users.cfg: name : password or hash. file is its name for messages. The error is a *config.Error with every
// mistake in it; passwords never stand in it.
func ParseUsers(file string, text []byte) ([]User, error) {
	var users []User
	var j judgement
	for at, line := range lines(file, text, &j) {
		name, password, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok {
			j.fail(at, "a line is: name : password or hash")
			continue
		}
		if wrong := wrongName(name); wrong != "" {
			j.fail(at, "user %q: %s", clip(name), wrong)
			continue
		}
		users = append(users, User{Name: name, Password: strings.TrimSpace(password), from: at})
	}
	return users, j.err()
}

// ParseGroups reads groups.cfg: group : user, user ... A group may have several lines. See ParseUsers for the rest.
func ParseGroups(file string, text []byte) ([]Group, error) {
	var groups []Group
	var j judgement
	for at, line := range lines(file, text, &j) {
		name, members, ok := strings.Cut(line, ":")
		g := Group{Name: strings.TrimSpace(name), from: at}
		if !ok {
			j.fail(at, "a line is: group : user, user ...")
			continue
		}
		if wrong := wrongName(g.Name); wrong != "" {
			j.fail(at, "group %q: %s", clip(g.Name), wrong)
			continue
		}
		for member := range strings.SplitSeq(members, ",") {
			member = strings.TrimSpace(member)
			if member == "" && strings.TrimSpace(members) == "" {
				continue
			}
			if wrong := wrongName(member); wrong != "" {
				j.fail(at, "group %q: user %q: %s", g.Name, clip(member), wrong)
				continue
			}
			g.Members = append(g.Members, member)
		}
		groups = append(groups, g)
	}
	return groups, j.err()
}

// ParsePermissions reads permissions.cfg: allow|deny user|group|* publish|subscribe|connect|all project subject. The subject may be
// left out after connect. See ParseUsers for the rest.
func ParsePermissions(file string, text []byte) ([]Permission, error) {
	var all []Permission
	var j judgement
	for at, line := range lines(file, text, &j) {
		words := strings.Fields(line)
		if len(words) == 4 && strings.EqualFold(words[2], Connect.String()) {
			words = append(words, "/...")
		}
		if len(words) != 5 {
			j.fail(at, "a line is: allow|deny user|group|* publish|subscribe|connect|all project|* subject")
			continue
		}
		p := Permission{Who: words[1], Project: words[3], Subject: words[4], from: at}
		switch strings.ToLower(words[0]) {
		case "allow":
			p.Allow = true
		case "deny":
		default:
			j.fail(at, "%q: allow or deny", clip(words[0]))
			continue
		}
		var ok bool
		if p.Verb, ok = verbByName(words[2]); !ok {
			j.fail(at, "%q: publish, subscribe, connect or all", clip(words[2]))
			continue
		}
		if _, ok = p.prepare(&j); ok {
			all = append(all, p)
		}
	}
	j.warnings = nil // compile says them again
	return all, j.err()
}

func verbByName(name string) (Verb, bool) {
	for v, known := range verbNames {
		if strings.EqualFold(name, known) {
			return Verb(v), true
		}
	}
	return 0, false
}

// lines yields the lines of a file that say something, without blanks around them.
func lines(file string, text []byte, j *judgement) iter.Seq2[config.Problem, string] {
	return func(yield func(config.Problem, string) bool) {
		at := config.Problem{File: file}
		for line := range bytes.Lines(text) {
			at.Line++
			line = bytes.TrimSpace(line)
			switch {
			case len(line) == 0 || line[0] == '#' || bytes.HasPrefix(line, []byte("//")):
			case len(line) > maxLine:
				j.fail(at, "a line of %d bytes; at most %d", len(line), maxLine)
			case !yield(at, string(line)):
				return
			}
		}
	}
}

// contents are the bytes of the files; nil where there is none.
type contents struct{ users, groups, permissions []byte }

func (c *contents) equal(d *contents) bool {
	return same(c.users, d.users) && same(c.groups, d.groups) && same(c.permissions, d.permissions)
}

func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

// readFiles reads the files of a directory. One that does not exist is nil.
func readFiles(dir string) (*contents, error) {
	c := new(contents)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("access: %s: no directory of users.cfg, groups.cfg and permissions.cfg", dir)
	}
	var errs [3]error
	c.users, errs[0] = readFile(filepath.Join(dir, UsersFile))
	c.groups, errs[1] = readFile(filepath.Join(dir, GroupsFile))
	c.permissions, errs[2] = readFile(filepath.Join(dir, PermissionsFile))
	return c, errors.Join(errs[:]...)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err == nil && !info.Mode().IsRegular(): // to open a pipe may block
		return nil, fmt.Errorf("access: %s: not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("access: %v", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("access: %v", err)
	case len(text) > maxFile:
		return nil, fmt.Errorf("access: %s: more than %d bytes", path, maxFile)
	case text == nil:
		text = []byte{}
	}
	return text, nil
}

// with returns the rules with what stands in the files behind them.
func (r Rules) with(c *contents, j *judgement) Rules {
	take := func(err error) {
		var all *config.Error
		if errors.As(err, &all) {
			j.errors = append(j.errors, all.Problems...)
		}
	}
	users, err := ParseUsers(filepath.Join(r.Directory, UsersFile), c.users)
	take(err)
	groups, err := ParseGroups(filepath.Join(r.Directory, GroupsFile), c.groups)
	take(err)
	permissions, err := ParsePermissions(filepath.Join(r.Directory, PermissionsFile), c.permissions)
	take(err)
	r.Users = append(r.Users[:len(r.Users):len(r.Users)], users...)
	r.Groups = append(r.Groups[:len(r.Groups):len(r.Groups)], groups...)
	r.Permissions = append(r.Permissions[:len(r.Permissions):len(r.Permissions)], permissions...)
	return r
}

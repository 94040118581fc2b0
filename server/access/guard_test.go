package access

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"roundhouse/server/config"
)

// record is a log in memory. Any goroutine.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func (r *record) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: level}))
}

// write puts files into a directory: name, text, name, text ...
func write(t *testing.T, dir string, files ...string) {
	t.Helper()
	for i := 0; i < len(files); i += 2 {
		// By renaming, as an editor does: nobody shall see half of it.
		path := filepath.Join(dir, files[i])
		if err := os.WriteFile(path+".new", []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("did not happen: ", what)
		}
	}
}

// Files stand behind the rules of the configuration, and are read anew without anybody asking.
func TestFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, UsersFile, "bob : pb\n", PermissionsFile, "allow bob publish * /a\n")
	log := new(record)
	g, err := New(Rules{
		Required: true, Directory: dir, Reread: 5 * time.Millisecond,
		Users: []User{{Name: "alice"}}, Permissions: permissions(t, "allow alice all * /..."),
	}, log.logger(slog.LevelInfo))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	alice, bob := identity(t, g, "alice"), identity(t, g, "bob")
	if !bob.May(Publish, "p", "/a") || bob.May(Publish, "p", "/b") || !alice.May(Publish, "p", "/b") {
		t.Fatal("the rules do not hold")
	}

	write(t, dir, PermissionsFile, "allow bob publish * /b\n")
	eventually(t, "the new permission", func() bool { return bob.May(Publish, "p", "/b") })
	if bob.May(Publish, "p", "/a") {
		t.Error("the old permission still holds")
	}
	write(t, dir, GroupsFile, "admin : bob\n")
	eventually(t, "a new file", bob.Admin)

	write(t, dir, PermissionsFile, "allow bob publish\n")
	eventually(t, "the complaint", func() bool {
		return strings.Contains(log.String(), "permissions.cfg:1: a line is") && strings.Contains(log.String(), "the old rules stay in force")
	})
	if !bob.May(Publish, "p", "/b") {
		t.Error("wrong files took the rules away")
	}
	write(t, dir, PermissionsFile, "allow bob publish * /c\n")
	eventually(t, "the mended file", func() bool { return bob.May(Publish, "p", "/c") })

	if err := os.Remove(filepath.Join(dir, UsersFile)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the complaint", func() bool { return strings.Contains(log.String(), "users.cfg has gone") })
	if bob.Gone() {
		t.Error("a lost file took the users away")
	}
	write(t, dir, UsersFile, "carol : pc\n")
	eventually(t, "the end of bob", bob.Gone)
	g.Close()
	version := g.Version()
	write(t, dir, UsersFile, "dave : pd\n")
	if err := g.Replace(Rules{Required: true, Directory: dir, Reread: time.Hour}); err != nil || g.Version() == version {
		t.Error("no rules after Close", err)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	if _, err := New(Rules{Required: true, Directory: filepath.Join(dir, "none")}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("no directory, and no error")
	}
	if err := os.Mkdir(filepath.Join(dir, GroupsFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Rules{Required: true, Directory: dir}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a directory instead of a file, and no error")
	}
}

// What is wrong with rules is told at once; what is hardly meant is logged.
func TestNewJudges(t *testing.T) {
	hash := "{pbkdf2-sha256}i=1000$c2FsdHNhbHQ$" + strings.Repeat("A", 43)
	for _, row := range []struct {
		name      string
		change    func(*Rules)
		err, told string // part of it; "": none
	}{
		{"right", func(*Rules) {}, "", ""},
		{"plain", func(r *Rules) { r.Users[0].Password = "x" }, "", "is not hashed"},
		{"no name", func(r *Rules) { r.Users[0].Name = "" }, `user ""`, ""},
		{"twice", func(r *Rules) { r.Users[1].Name = "alice" }, "is there already", ""},
		{"other hash", func(r *Rules) { r.Users[0].Password = "{sha512}x" }, "a hashed password is {pbkdf2-sha256}", ""},
		{"half a hash", func(r *Rules) { r.Users[0].Token = hash[:40] }, "a hashed token is", ""},
		{"control", func(r *Rules) { r.Users[0].Password = "a\x00" }, "without control characters", ""},
		{"two tokens", func(r *Rules) { r.Users[0].Token, r.Users[1].Token = "t", "t" }, `has the token of user "alice"`, ""},
		{"many tokens", func(r *Rules) {
			for i := range 17 {
				r.Users = append(r.Users, User{Name: fmt.Sprint("u", i), Token: hash})
			}
		}, "more than 16 tokens are hashed", ""},
		{"nobody", func(r *Rules) { r.Users = nil }, "", "nobody may come in"},
		{"nothing", func(r *Rules) { r.Permissions = nil }, "", "nobody may do anything"},
		{"unknown member", func(r *Rules) { r.Groups = []Group{{Name: "g", Members: []string{"zoe"}}} }, "", `group \"g\": there is no user \"zoe\"`},
		{"user and group", func(r *Rules) { r.Groups = []Group{{Name: "bob"}} }, "", "there is a user of that name"},
		{"bad group", func(r *Rules) { r.Groups = []Group{{Name: "a b"}} }, `group "a b"`, ""},
		{"unknown who", func(r *Rules) { r.Permissions[0].Who = "zoe" }, "", "there is no user and no group"},
		{"empty admin group", func(r *Rules) { r.Permissions[0].Who = Admins }, "", ""},
		{"star", func(r *Rules) { r.Permissions[0].Subject = "*" }, "", "names of one component only"},
		{"verb", func(r *Rules) { r.Permissions[0].Verb = 9 }, "verb 9", ""},
		{"project", func(r *Rules) { r.Permissions[0].Project = "" }, `project ""`, ""},
		{"subject", func(r *Rules) { r.Permissions[0].Subject = "" }, `subject ""`, ""},
	} {
		log := new(record)
		r := Rules{Required: true, Users: []User{{Name: "alice", Password: hash}, {Name: "bob"}}, Permissions: permissions(t, "allow * all * /...")}
		row.change(&r)
		_, err := New(r, log.logger(slog.LevelInfo))
		switch {
		case (err == nil) != (row.err == ""), err != nil && !strings.Contains(err.Error(), row.err):
			t.Errorf("%s: %v", row.name, err)
		case (log.String() == "") != (row.told == ""), !strings.Contains(log.String(), row.told):
			t.Errorf("%s: %s", row.name, log.String())
		}
	}
}

func TestFromConfig(t *testing.T) {
	cfg := config.Default().Access
	if r, errs := FromConfig(&cfg); r.Required || len(errs) > 0 || r.FreePublish || len(r.AdminTypes) != 4 || r.Reread != 5*time.Minute {
		t.Errorf("default: %+v, %v", r, errs)
	}
	cfg.Driver, cfg.TraceLevel, cfg.AuthorizePublish = "basic", "info", false
	cfg.AdminMsgTypes = []string{"-4", "17"}
	cfg.Users = []config.AccessUser{{Name: "alice", Password: "p"}, {Name: "bob", Token: "t"}}
	cfg.Groups = []config.AccessGroup{{Name: "dev", Members: []string{"bob"}}}
	cfg.Permissions = []config.AccessPermission{config.DefaultAccessPermission()}
	cfg.Permissions[0].Who = "dev"
	cfg.Permissions[0].Verb = "subscribe"
	r, errs := FromConfig(&cfg)
	if len(errs) > 0 || r.Audit != AuditGrants {
		t.Fatal(r, errs)
	}
	g := guardOf(t, r)
	alice, bob := identity(t, g, "alice"), identity(t, g, "bob")
	if !g.Required() || alice.May(Subscribe, "p", "/a") || !alice.May(Publish, "p", "/a") || !bob.May(Subscribe, "p", "/a") || alice.MayAdmin(17) || !alice.MayAdmin(-30) {
		t.Error("the rules are others")
	}
	cfg.AdminMsgTypes = []string{"x"}
	cfg.Permissions[0].Verb = "see"
	if _, errs := FromConfig(&cfg); len(errs) != 2 {
		t.Error(errs)
	}
}

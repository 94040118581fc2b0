package access

import (
	"log/slog"
	"testing"
)

// guardOf returns a guard of rules that are right.
func guardOf(t testing.TB, r Rules) *Guard {
	t.Helper()
	g, err := New(r, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// permissions reads permissions, as in permissions.cfg.
func permissions(t testing.TB, text string) []Permission {
	t.Helper()
	all, err := ParsePermissions(PermissionsFile, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// someRules have three users, and permissions as in permissions.cfg.
func someRules(t testing.TB, text string) Rules {
	t.Helper()
	return Rules{
		Required: true, Users: []User{{Name: "alice", Password: "pa"}, {Name: "bob", Password: "pb"}, {Name: "root", Password: "pr"}},
		Groups:      []Group{{Name: Admins, Members: []string{"root"}}, {Name: "dev", Members: []string{"alice", "bob"}}},
		Permissions: permissions(t, text),
	}
}

func identity(t testing.TB, g *Guard, name string) *Identity {
	t.Helper()
	id, ok := g.Identity(name)
	if !ok || id == nil {
		t.Fatalf("no user %s", name)
	}
	return id
}

func TestMay(t *testing.T) {
	g := guardOf(t, someRules(t, `
# the first that applies decides
deny  bob   publish   rtworks  /news/...
allow dev   publish   rtworks  /news/...
allow alice subscribe rtworks  /secret/alice/...
deny  *     subscribe *        /secret/...
allow *     subscribe *        /...
allow root  all       *        /...
allow dev   connect   rt*
deny  bob   all       test     /x/...
allow bob   all       test     /...
`))
	for _, row := range []struct {
		user    string
		verb    Verb
		project string
		subject string
		want    bool
	}{
		{"alice", Publish, "rtworks", "/news", true},
		{"alice", Publish, "rtworks", "/news/a", true},
		{"alice", Publish, "rtworks", "/new", false},
		{"alice", Publish, "rtworks", "/newsx", false},
		{"alice", Publish, "other", "/news", false},
		{"alice", Publish, "rtworks", "/news/*/...", true},
		{"alice", Publish, "rtworks", "/*", false},
		{"bob", Publish, "rtworks", "/news/a", false},
		{"bob", Publish, "rtworks", "/*", false},
		{"alice", Subscribe, "rtworks", "/a", true},
		{"alice", Subscribe, "rtworks", "/a/...", true},
		{"alice", Subscribe, "rtworks", "/...", false}, // would get what is secret
		{"alice", Subscribe, "rtworks", "/s*/x", false},
		{"alice", Subscribe, "rtworks", "/t*/x", true},
		{"alice", Subscribe, "rtworks", "/secret/alice/x", true},
		{"alice", Subscribe, "rtworks", "/secret/alice/...", true},
		{"alice", Subscribe, "rtworks", "/secret/...", false},
		{"alice", Subscribe, "other", "/secret/alice/x", false},
		{"root", Publish, "any", "/_admin", true},
		{"root", Subscribe, "any", "/secret/x", false},
		{"root", Connect, "any", "", true},
		{"alice", Connect, "rtworks", "", true},
		{"alice", Connect, "rt", "", true},
		{"alice", Connect, "wrong", "", false},
		{"bob", Connect, "test", "", true}, // he is kept from /x only
		{"bob", Publish, "test", "/x/1", false},
		{"bob", Publish, "test", "/y", true},
		{"root", Publish, "any", "", false},
		{"root", Publish, "any", "no/slash", false},
		{"root", All, "any", "/a", false},
	} {
		if got := identity(t, g, row.user).May(row.verb, row.project, row.subject); got != row.want {
			t.Errorf("%s %v %s %s: %v", row.user, row.verb, row.project, row.subject, got)
		}
	}
}

func TestNilIdentity(t *testing.T) {
	var id *Identity
	if !id.May(Publish, "p", "/a") || !id.Admin() || !id.MayAdmin(-30) || id.In("dev") || id.Name() != "" || id.Gone() {
		t.Error("a nil identity may do everything, and is nobody")
	}
}

func TestMayAdmin(t *testing.T) {
	r := someRules(t, "")
	g := guardOf(t, r)
	for _, row := range []struct {
		user string
		kind int32
		want bool
	}{
		{"alice", -30, false}, {"alice", -4, false}, {"alice", -99, false}, {"alice", -11700, false}, {"alice", -31, true}, {"alice", 5, true},
		{"root", -30, true}, {"root", 5, true},
	} {
		if got := identity(t, g, row.user).MayAdmin(row.kind); got != row.want {
			t.Errorf("%s %d: %v", row.user, row.kind, got)
		}
	}
	r.AdminTypes = []int32{7}
	if err := g.Replace(r); err != nil {
		t.Fatal(err)
	}
	if alice := identity(t, g, "alice"); alice.MayAdmin(7) || !alice.MayAdmin(-30) || alice.Admin() || !identity(t, g, "root").Admin() {
		t.Error("other types for admins were not taken over")
	}
}

// Identities follow the rules.
func TestReplace(t *testing.T) {
	r := someRules(t, "allow dev publish * /a")
	g := guardOf(t, r)
	alice, bob := identity(t, g, "alice"), identity(t, g, "bob")
	before := g.Version()
	if !alice.May(Publish, "p", "/a") || !alice.In("dev") || alice.In(Admins) {
		t.Fatal("the first rules do not hold")
	}
	r.Users = r.Users[:1]
	r.Groups = []Group{{Name: Admins, Members: []string{"alice"}}}
	r.Permissions = permissions(t, "allow alice publish * /b")
	if err := g.Replace(r); err != nil {
		t.Fatal(err)
	}
	switch {
	case alice.May(Publish, "p", "/a") || !alice.May(Publish, "p", "/b") || alice.In("dev") || !alice.Admin():
		t.Error("alice: the new rules do not hold")
	case !bob.Gone() || bob.May(Publish, "p", "/a") || bob.In("dev") || bob.Admin() || bob.MayAdmin(5):
		t.Error("bob is gone and may still do something")
	case g.Version() == before:
		t.Error("the version is the same")
	}
	r.Permissions[0].Subject = "//"
	if g.Replace(r) == nil || !alice.May(Publish, "p", "/b") {
		t.Error("wrong rules were taken")
	}
	r.Permissions[0].Subject, r.Required = "/c", false
	if err := g.Replace(r); err != nil || g.Required() || !alice.May(Subscribe, "p", "/any") || !alice.Admin() {
		t.Error("security is off, and alice is still asked", err)
	}
}

// A hundred thousand users of the same groups must not cost a copy of all permissions each.
func TestUsersShareViews(t *testing.T) {
	r := someRules(t, "allow bob all * /b\nallow dev all * /...")
	r.Users = append(r.Users, User{Name: "carol"})
	r.Groups = append(r.Groups, Group{Name: "dev", Members: []string{"carol"}})
	users := guardOf(t, r).rules.Load().users
	if users["alice"].view != users["carol"].view || users["alice"].view == users["bob"].view || users["alice"].view == users["root"].view {
		t.Error("other users than alice and carol share a view")
	}
}

func TestMayAllocatesNothing(t *testing.T) {
	g := guardOf(t, someRules(t, "deny bob all * /.../x*\nallow dev publish rt* /a/b*/..."))
	alice, bob := identity(t, g, "alice"), identity(t, g, "bob")
	if n := testing.AllocsPerRun(100, func() {
		alice.May(Publish, "rtworks", "/a/bc/d")
		bob.May(Publish, "rtworks", "/a/bc/xy")
		bob.May(Subscribe, "rtworks", "/a/*/...")
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMay(b *testing.B) {
	for _, row := range []struct{ name, rules, subject string }{
		{"below", "allow * publish rtworks /a/...", "/a/b/c"},
		{"everything", "allow * all * /...", "/a/b/c"},
		{"wildcards", "allow * publish rtworks /a/*/.../c*", "/a/b/x/cd"},
		{"eighth", "deny * publish * /q\ndeny * publish * /r/...\ndeny * publish * /s/...\ndeny * publish * /t/...\n" +
			"deny * publish * /u/...\ndeny * publish * /v/...\ndeny * publish * /w/...\nallow * publish rtworks /a/...", "/a/b/c"},
		{"subscribe", "deny * all * /secret/...\nallow * all rtworks /a/...", "/a/*/c"},
	} {
		b.Run(row.name, func(b *testing.B) {
			id := identity(b, guardOf(b, someRules(b, row.rules)), "alice")
			b.ReportAllocs()
			for b.Loop() {
				if !id.May(Publish, "rtworks", row.subject) {
					b.Fatal("denied")
				}
			}
		})
	}
}

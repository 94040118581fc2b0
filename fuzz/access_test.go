package fuzz

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"roundhouse/routing/subject"
	"roundhouse/server/access"
	"roundhouse/server/config"
)

// placed wants that every mistake in a file of rules has its line.
func placed(t *testing.T, text []byte, err error) {
	t.Helper()
	var mistakes *config.Error
	switch {
	case err == nil:
		return
	case !errors.As(err, &mistakes) || len(mistakes.Problems) == 0:
		t.Fatalf("error %v", err)
	}
	lines := strings.Count(string(text), "\n") + 1
	for i, p := range mistakes.Problems {
		if p.File != "f" || p.Line < 1 || p.Line > lines || p.Text == "" || i > 0 && p.Line < mistakes.Problems[i-1].Line {
			t.Errorf("a mistake without its place: %+v", p)
		}
	}
}

// FuzzAccessUsers reads a users.cfg and a groups.cfg. Every mistake has its line; what was understood is read in the same way when it is
// written anew.
func FuzzAccessUsers(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		users, err := access.ParseUsers("f", text)
		placed(t, text, err)
		var again strings.Builder
		for _, u := range users {
			fmt.Fprintf(&again, "%s:%s\n", u.Name, u.Password)
		}
		same, err := access.ParseUsers("f", []byte(again.String()))
		if err != nil || !slices.EqualFunc(same, users, func(a, b access.User) bool { return a.Name == b.Name && a.Password == b.Password }) {
			t.Errorf("got %+v, %v; want %+v", same, err, users)
		}

		groups, err := access.ParseGroups("f", text)
		placed(t, text, err)
		again.Reset()
		for _, g := range groups {
			fmt.Fprintf(&again, "%s:%s\n", g.Name, strings.Join(g.Members, ","))
		}
		sameGroups, err := access.ParseGroups("f", []byte(again.String()))
		if err != nil || !slices.EqualFunc(sameGroups, groups, func(a, b access.Group) bool { return a.Name == b.Name && slices.Equal(a.Members, b.Members) }) {
			t.Errorf("got %+v, %v; want %+v", sameGroups, err, groups)
		}
	})
}

// FuzzAccessPermissions reads a permissions.cfg, and asks the rules. Every mistake has its line; what was understood is read in the same
// way when it is written anew; and who may subscribe to a pattern may subscribe to each name that it matches.
func FuzzAccessPermissions(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte, pattern, name string) {
		all, err := access.ParsePermissions("f", text)
		placed(t, text, err)
		var again strings.Builder
		for i := range all {
			fmt.Fprintln(&again, permissionLine(&all[i]))
		}
		same, err := access.ParsePermissions("f", []byte(again.String()))
		if err != nil || !slices.EqualFunc(same, all, func(a, b access.Permission) bool { return permissionLine(&a) == permissionLine(&b) }) {
			t.Errorf("got %+v, %v; want %+v", same, err, all)
		}
		if !subject.IsCanonical([]byte(pattern)) || !subject.IsCanonical([]byte(name)) || subject.IsWild(name) || !subject.Matches(pattern, name) {
			return
		}
		for i := range all { // permissions for who is not known are left out
			if all[i].Who != access.Everybody {
				all[i].Who = "u"
			}
		}
		guard, err := access.New(access.Rules{Required: true, Users: []access.User{{Name: "u", Password: "p"}}, Permissions: all}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatalf("what was understood is refused: %v\n%s", err, again.String())
		}
		defer guard.Close()
		id, known := guard.Identity("u")
		if !known {
			t.Fatal("the user is not known")
		}
		for _, verb := range []access.Verb{access.Subscribe, access.Publish} {
			if id.May(verb, "p", pattern) && !id.May(verb, "p", name) {
				t.Errorf("%v: may %s and not %s, which is among it:\n%s", verb, pattern, name, again.String())
			}
		}
	})
}

// permissionLine is a permission as it stands in its file.
func permissionLine(p *access.Permission) string {
	verdict := "deny"
	if p.Allow {
		verdict = "allow"
	}
	return strings.Join([]string{verdict, p.Who, p.Verb.String(), p.Project, p.Subject}, " ")
}

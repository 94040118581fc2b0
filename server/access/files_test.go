package access

import (
	"reflect"
	"strings"
	"testing"

	"roundhouse/server/config"
)

// strip removes what only messages need.
func strip[T any](all []T) []T {
	for i := range all {
		switch one := any(&all[i]).(type) {
		case *User:
			one.from = config.Problem{}
		case *Group:
			one.from = config.Problem{}
		case *Permission:
			one.from = config.Problem{}
		}
	}
	return all
}

func TestParseUsers(t *testing.T) {
	got, err := ParseUsers("u", []byte("# who\n  // and more\n\nalice : secret \r\n  bob:a:b # c\ncert :\n"))
	want := []User{{Name: "alice", Password: "secret"}, {Name: "bob", Password: "a:b # c"}, {Name: "cert"}}
	if err != nil || !reflect.DeepEqual(strip(got), want) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestParseGroups(t *testing.T) {
	got, err := ParseGroups("g", []byte("admin : root\ndev: alice , bob\nnone:\n"))
	want := []Group{{Name: "admin", Members: []string{"root"}}, {Name: "dev", Members: []string{"alice", "bob"}}, {Name: "none"}}
	if err != nil || !reflect.DeepEqual(strip(got), want) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestParsePermissions(t *testing.T) {
	got, err := ParsePermissions("p", []byte("allow * connect rtworks\nDeny dev Publish * /a/...\nallow root all rt* a/b*\nallow root connect * /x"))
	want := []Permission{
		{Allow: true, Who: "*", Verb: Connect, Project: "rtworks", Subject: "/..."},
		{Who: "dev", Verb: Publish, Project: "*", Subject: "/a/..."},
		{Allow: true, Who: "root", Verb: All, Project: "rt*", Subject: "a/b*"},
		{Allow: true, Who: "root", Verb: Connect, Project: "*", Subject: "/x"},
	}
	if err != nil || !reflect.DeepEqual(strip(got), want) {
		t.Errorf("%+v, %v", got, err)
	}
}

// Every mistake is told, with its line, and no password.
func TestMistakes(t *testing.T) {
	users := func(text string) error { _, err := ParseUsers("f", []byte(text)); return err }
	groups := func(text string) error { _, err := ParseGroups("f", []byte(text)); return err }
	rights := func(text string) error { _, err := ParsePermissions("f", []byte(text)); return err }
	for _, row := range []struct {
		name  string
		parse func(string) error
		text  string
		want  []string // starts of the lines of the error
	}{
		{"users", users, "sesame\n: sesame\na b : sesame\nok : x\n* : sesame\n" + strings.Repeat("x", 300) + ": sesame\n",
			[]string{"f:1: a line is", `f:2: user ""`, `f:3: user "a b"`, `f:5: user "*"`, "f:6: user"}},
		{"long line", users, "a : " + strings.Repeat("sesame", 2000), []string{"f:1: a line of"}},
		{"groups", groups, "dev\n: a\ndev : a,,b\ndev : a b\n", []string{"f:1: a line is", `f:2: group ""`, `f:3: group "dev": user ""`, `f:4: group "dev": user "a b"`}},
		{"permissions", rights, "allow\nallow a publish p /x y\npermit a all p /\nallow a write p /x\nallow a publish p\nallow a publish p //\nallow a,b all p /x\nallow a all p: /x\n",
			[]string{"f:1: a line is", "f:2: a line is", `f:3: "permit"`, `f:4: "write"`, "f:5: a line is", `f:6: subject "//"`, `f:7: permission for "a,b"`, `f:8: project "p:"`}},
	} {
		err := row.parse(row.text)
		if err == nil {
			t.Errorf("%s: accepted", row.name)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(row.want) {
			t.Errorf("%s: %d mistakes:\n%v", row.name, len(lines), err)
			continue
		}
		for i, line := range lines {
			if !strings.HasPrefix(line, row.want[i]) || strings.Contains(line, "sesame") {
				t.Errorf("%s: %s", row.name, line)
			}
		}
	}
}

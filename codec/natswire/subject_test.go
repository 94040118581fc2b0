package natswire

import "testing"

func TestValidSubject(t *testing.T) {
	// valid: nats-server v2.15.2 answers a SUB with +OK, literal: a PUB in pedantic mode brings no error.
	for _, test := range []struct {
		subject        string
		valid, literal bool
	}{
		{"a", true, true},
		{"a.b.c", true, true},
		{"*", true, false},
		{">", true, false},
		{"a.*", true, false},
		{"a.*.c", true, false},
		{"a.>", true, false},
		{"*.>", true, false},
		{"a>", true, true},
		{"a.*b", true, true},
		{"a.>b", true, true},
		{">>", true, true},
		{"**", true, true},
		{">.a", false, false},
		{"a.>.b", false, false},
		{"a.>.", false, false},
		{">.>", false, false},
		{">b.a", true, true},
		{"", false, false},
		{".", false, false},
		{".a", false, false},
		{"a.", false, false},
		{"a..b", false, false},
		{"a\x0cb", true, true},
		{"a\x00", true, true},
		{"\xff\xfe", true, true},
		{"/a/b", true, true},
	} {
		if got := ValidSubject([]byte(test.subject)); got != test.valid {
			t.Errorf("ValidSubject(%q) = %v", test.subject, got)
		}
		if got := ValidLiteral([]byte(test.subject)); got != test.literal {
			t.Errorf("ValidLiteral(%q) = %v", test.subject, got)
		}
	}
	for _, subject := range []string{"a b", " ", "a.\t", "a\rb", "\n"} {
		if ValidSubject([]byte(subject)) {
			t.Errorf("%q is valid", subject)
		}
	}
}

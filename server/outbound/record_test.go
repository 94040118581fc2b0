package outbound

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// A record as JSON has a member for each column that the header names, and what others have sent cannot break out of it.
func TestJSONRecord(t *testing.T) {
	names := strings.Fields(string(RecordHeader("text")))[1:] // but for the mark
	var numbers [19]int64
	for i := range numbers {
		numbers[i] = int64(i)
	}
	texts := [][]byte{[]byte("host:1"), []byte("a \"b\"\n\xff"), []byte("new"), []byte("-"), nil, []byte("relay/0"), []byte("#SAP-PPK#V2#a")}
	line := appendJSONRecord(nil, time.Unix(0, 0), numbers[:], 5, texts)
	var got map[string]any
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	if strings.Count(string(line), "\n") != 1 || len(got) != len(names)+1 { // and msg
		t.Errorf("%d members, %d columns: %s", len(got), len(names), line)
	}
	for _, column := range names {
		kind, name, _ := strings.Cut(column, ":")
		if name == "string" || name == "" {
			name = kind
		}
		if _, ok := got[name]; !ok {
			t.Errorf("no %q: %s", name, line)
		}
	}
	if got["flags"] != 5.0 || got["dn.out"] != 18.0 || got["backend"] != "host:1" || got["label"] != "relay/0" {
		t.Errorf("%s", line)
	}
}

func TestRecordText(t *testing.T) {
	for in, want := range map[string]string{"": "-", "a b": `"a b"`, "\"\\\n\x7f": `"\x22\x5C\x0A\x7F"`, "é": `"\xC3\xA9"`} {
		if got := string(appendRecordText(nil, []byte(in))); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

package admin

import (
	"fmt"
	"testing"
)

func TestWithoutLabel(t *testing.T) {
	m := Metric{Name: "a", Kind: Gauge, Labels: []string{"farm", "server", "kind"}}
	m.Add(1, "f", "s1", "x")
	m.Add(2, "f", "s2", "x")
	m.Add(4, "f", "s2", "y")
	m.Add(8, "g", "s1", "x")
	big, other := m, Metric{Name: "c", Labels: []string{"farm"}}
	big.Name = "b"
	other.Add(1, "f")
	got := WithoutLabel([]Metric{m, big, other}, "server", func(name string) bool { return name == "b" })
	for i, want := range []string{"[farm kind] [f x]=3 [f y]=4 [g x]=8", "[farm kind] [f x]=2 [f y]=4 [g x]=8", "[farm] [f]=1"} {
		text := fmt.Sprint(got[i].Labels)
		for _, s := range got[i].Samples {
			text += fmt.Sprintf(" %v=%v", s.Values, s.Value)
		}
		if text != want {
			t.Errorf("%s, want %s", text, want)
		}
	}
	if len(m.Labels) != 3 || len(m.Samples[0].Values) != 3 {
		t.Errorf("the metric itself has changed: %v", m)
	}
}

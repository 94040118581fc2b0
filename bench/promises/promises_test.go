package main

import (
	"strings"
	"testing"
)

func TestOutcome(t *testing.T) {
	out := &outcome{promise: 26}
	for _, e := range []event{
		{"output", "TestPromise26Drain/haproxy", "    promise_balancer_test.go:140: haproxy: 2 drains: 30000 sent, 30000 answered, 0 lost\n"},
		{"output", "TestPromise26Drain", "{\"level\":\"INFO\",\"msg\":\"1 sent\"}\n"},
		{"pass", "TestPromise26Drain/haproxy", ""},
		{"pass", "TestPromise26Drain", ""},
	} {
		out.take(e)
	}
	want := "- **26, it works behind a load balancer**: holds, 0s; TestPromise26Drain\n  - haproxy: 2 drains: 30000 sent, 30000 answered, 0 lost\n"
	if got := out.report(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	out.take(event{"output", "TestPromise26Proxy", "    promise_balancer_test.go:200: without the header: refused\n"})
	out.take(event{"fail", "TestPromise26Proxy", ""})
	if got := out.report(); out.holds() || !strings.Contains(got, "DOES NOT HOLD") || !strings.Contains(got, "  - without the header: refused\n") {
		t.Errorf("a failure: %q", got)
	}
	if (&outcome{}).holds() {
		t.Error("a promise without a test holds")
	}
}

package main

import "testing"

func TestClientNames(t *testing.T) {
	for nats, want := range map[string]string{"bench.stream.0": "/bench/stream/0", "s.1.2.*": "/s/1/2/*", "*.1.2.>": "/*/1/2/*/...", "_INBOX.0.00000001": "/_INBOX/0/00000001"} {
		if got := (ownClient{}).Name(nats); got != want {
			t.Errorf("%s is %s, want %s", nats, got, want)
		}
	}
}

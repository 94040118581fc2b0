package server_test

import (
	"fmt"
	"net/netip"
	"testing"

	"roundhouse/server/config"
)

// TestBalanceHash has clients behind a load balancer: by their own addresses, not by its own, they are spread over the servers, and each
// keeps its own over both loops.
func TestBalanceHash(t *testing.T) {
	const clients = 60
	r := startRelay(t, func(cfg *config.Config) {
		cfg.Relay.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		cfg.Relay.Farms[0].Balance = "hash"
	})
	for _, id := range []string{"s1", "s2", "s3"} {
		startEnabler(t, r, id, startBackend(t, named(id)))
	}
	served := func(client string) (id string) {
		c := r.client()
		c.send("GET $F/ HTTP/1.1|Host: h|Connection: close|X-Forwarded-For: " + client + "||")
		if _, err := fmt.Sscan(second(c.answer("GET")), &id); err != nil {
			t.Fatal(err)
		}
		return id
	}
	counts, first := map[string]int{}, map[string]string{}
	for i := range clients {
		client := fmt.Sprintf("10.0.0.%d", i)
		first[client] = served(client)
		counts[first[client]]++
	}
	for client, id := range first {
		for _, form := range []string{client, "9.9.9.9, " + client, client + ", 127.0.0.1", client + ":1234", "::ffff:" + client} {
			if again := served(form); again != id {
				t.Errorf("%s was served by %s, and as %q by %s", client, id, form, again)
			}
		}
	}
	if len(counts) != 3 || max(counts["s1"], counts["s2"], counts["s3"]) > clients*2/3 {
		t.Errorf("%d clients are spread as %v", clients, counts)
	}
	if a, b := served("nobody"), served("unknown"); a != b {
		t.Errorf("clients that cannot be told apart went to %s and %s", a, b)
	}
}

func second[T any](_ T, s string) string { return s }

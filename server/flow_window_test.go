package server_test

import (
	"crypto/sha256"
	"io"
	"net/http"
	"os/exec"
	"testing"
)

// TestClientBufferLive changes max_client_buffer while lanes are up: whether it becomes smaller or larger, what comes next over the same
// lanes arrives whole.
func TestClientBufferLive(t *testing.T) {
	const size = 3 << 20
	path := relayFile(t, "127.0.0.1:0", "")
	edit(t, path, "id = \"f\"\n", "id = \"f\"\nmax_client_buffer = \"1MiB\"\n")
	c := start(t, binary(t, "roundhouse"), "serve", "-c", path)
	r := &relayChild{c, c.listens("relay"), c.listens("admin")}
	startEnablerChild(t, r.addr, "s1", startWellspring(t).addr)
	r.up(2)
	want := string(patternSum(size))
	before := "1MiB"
	for _, now := range []string{"1MiB", "8KiB", "4KiB", "16MiB", "32KiB", "1MiB"} {
		edit(t, path, `"`+before+`"`, `"`+now+`"`)
		if out, err := exec.Command(binary(t, "roundhouse"), "reload", "--admin", r.admin).CombinedOutput(); err != nil {
			t.Fatalf("reload: %v, %s", err, out)
		}
		before = now
		for range 4 { // over the lanes of both loops
			resp, err := http.Get(r.url("/3145728"))
			if err != nil {
				t.Fatal(now, err)
			}
			sum := sha256.New()
			n, err := io.Copy(sum, resp.Body)
			resp.Body.Close()
			if err != nil || n != size || string(sum.Sum(nil)) != want {
				t.Fatalf("with %s: %d bytes of %d, %v", now, n, size, err)
			}
		}
	}
	if n := len(c.records("lane up")); n != 2 {
		t.Errorf("%d lanes were opened, not 2", n)
	}
}

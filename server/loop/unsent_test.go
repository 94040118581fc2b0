package loop

import (
	"net"
	"testing"
	"time"
)

// TestUnsent has peers that read nothing: the kernel takes about what the option says, and not some MiB, of accepted connections and of
// dialled ones.
func TestUnsent(t *testing.T) {
	const unsent, much = 64 << 10, 16 << 20
	g := newGroup(t, 1)
	written := make(chan uint64, 1)
	flood := func(c *Conn) Session {
		c.Write(make([]byte, much))
		c.Loop().Later(func() { written <- c.Sent() }) // flush has been there
		return &funcSession{}
	}
	check := func(name string) {
		t.Helper()
		if n := receive(t, "a flush", written); n == 0 || n > 2<<20 {
			t.Errorf("%s: the socket took %d bytes", name, n)
		}
	}
	var plain net.ListenConfig
	plain.SetMultipathTCP(false)
	ln, err := plain.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Accept(ln, AcceptOptions{Unsent: unsent, Open: flood}); err != nil {
		t.Fatal(err)
	}
	nc := dial(t, ln.Addr().String())
	defer nc.Close()
	check("accepted")
	ln, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	g.Loops()[0].Dial(DialOptions{Network: "tcp", Addr: ln.Addr().String(), Unsent: unsent, Timeout: time.Minute}, func(c *Conn, err error) Session {
		if err != nil {
			t.Error(err)
			written <- 0
			return nil
		}
		return flood(c)
	})
	check("dialled")
}

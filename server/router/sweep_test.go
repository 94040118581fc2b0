package router

import (
	"bufio"
	"net"
	"testing"
	"time"

	"roundhouse/server/config"
)

// TestSweepOfNewPeers opens connections while sweeps come as often as they can: one that has only just come, and whose INFO is not on its way
// yet, has not been stalled since the server started.
func TestSweepOfNewPeers(t *testing.T) {
	d := benchDoor(t, 2, func(cfg *config.Config) { cfg.Router.NATS.WriteDeadline = 4 * shortestSweep })
	for range 400 {
		nc, err := net.Dial("tcp", d.NATSAddrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(nc).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if n := d.Observe().Totals().Cut["stalled"]; n > 0 {
		t.Errorf("%d of 400 new connections were cut as stalled", n)
	}
}

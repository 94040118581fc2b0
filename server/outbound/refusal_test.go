package outbound_test

import (
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"roundhouse/server/config"
)

// TestRefusals has a relay answer every call with a status: the log says what it means, and the enabler comes back for ever.
func TestRefusals(t *testing.T) {
	for _, row := range []struct {
		status, number int
		log            string
	}{
		{400, 0, "no relay understands this call"},
		{401, 2001, "the token (-t), or the adapter address (mac), is not"},
		{401, 2001, "mac=01-23-45-67-89-ab!01-23-45-67-89-ac"},
		{401, 0, "http_userid and http_password of -cr"},
		{403, 2003, "enable=no"},
		{403, 2004, "backend_security"},
		{403, 0, "forbids this call"},
		{404, 2002, "case-sensitive"},
		{404, 0, "check url_suffix"},
		{405, 0, "check url_suffix"},
		{407, 0, "http_proxy_userid"},
		{409, 2005, "another enabler serves this farm and id"},
		{426, 2006, "the same release of both"},
		{429, 0, "too many wrong tokens"},
		{502, 0, "is the relay running?"},
		{503, 2007, "is ending"},
		{503, 0, "read its log"},
		{418, 0, "418 I'm a teapot"}, // nothing is known about it: no advice
	} {
		r := startFakeRelay(t)
		var calls atomic.Int32
		judge := func(c net.Conn, _ *http.Request) bool {
			calls.Add(1)
			error := ""
			if row.number != 0 {
				error = fmt.Sprintf("Ias-Rs-Error: %d\r\n", row.number)
			}
			fmt.Fprintf(c, "HTTP/1.1 %d %s\r\n%sContent-Length: 10\r\n\r\nthat is it", row.status, http.StatusText(row.status), error)
			return false
		}
		r.judge.Store(&judge)
		_, log := startEnablerWith(t, r, r.addr, func(c *config.Enabler) { c.MACs = []string{"01-23-45-67-89-ab", "01-23-45-67-89-ac"} })
		want := fmt.Sprintf("answers %d %s", row.status, http.StatusText(row.status))
		eventually(t, want, func() bool { return log.has(want) && log.has(`that is it`) && log.has(row.log) })
		eventually(t, "it tries again", func() bool { return calls.Load() >= 3 })
	}
}

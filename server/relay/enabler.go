package relay

import (
	"encoding/json"
	"net"
	"strconv"
	"strings"
	"time"

	"roundhouse/codec/http1"
)

// enabler handles a request to the server URL.
func (c *client) enabler(q *http1.Request) {
	k := readCall(q.Fields)
	if k.op == "" && asksPage(q) {
		statusPage(c, q, ForBackends)
		return
	}
	as, no, waits := k.judge(c, q)
	if waits {
		return
	}
	if no.failure == failOEStale {
		tellInstance(c, q, no)
		return
	}
	if no.failure != nil {
		c.s.relay.log.Warn("enabler refused", "error", no.failure.name, "reason", no.text, "farm", k.farm, "server", k.server,
			"mac", strings.Join(as.macs, "!"), "remote", string(c.ip))
		if known, _ := c.s.view.server(k.farm, k.server); known != nil {
			c.s.troubled(k.farm, k.server, no.failure.name+": "+no.text)
		}
		c.rejectWith(q, no.failure, answer{status: no.failure.status, after: no.after}, no.text)
		return
	}
	switch k.op {
	case "peers":
		c.peers(q, &k)
	case "up", "down", "lane":
		c.half(q, &k, as)
	default:
		c.reject(q, failOERequest, "Ias-Rs-Op is not peers, up, down or lane.")
	}
}

// peer is one relay server in the answer to a peers call.
type peer struct {
	Host        string `json:"host"`
	HTTPPort    int    `json:"http_port"`
	HTTPSPort   int    `json:"https_port"`
	Lanes       int    `json:"lanes"`
	Description string `json:"description,omitempty"`
	Self        bool   `json:"self,omitempty"` // none is configured: the one that was asked, which the caller reaches better than we know
}

// peers answers with the list of relay servers, to who called.
func (c *client) peers(q *http1.Request, k *call) {
	_, as := c.s.view.server(k.farm, k.server) // admit has found it
	r := c.s.relay
	lanes := len(r.shards)
	var list []peer
	for _, p := range c.s.view.cfg.Relay.Servers {
		if p.Enable {
			list = append(list, peer{Host: p.Host, HTTPPort: p.HTTPPort, HTTPSPort: p.HTTPSPort, Lanes: lanes, Description: p.Description})
		}
	}
	if len(list) == 0 { // none is configured: the one that was asked, by the name it was asked by
		list = append(list, c.self(string(q.Host), lanes))
	}
	body, err := json.Marshal(map[string]any{
		"generation": r.began.UnixNano() + c.s.view.generation, "peers": list, "lanes": lanes, "features": []string{"hmac", "ws", "length", "junctions"},
		"heartbeat_sec": c.s.view.cfg.Relay.Heartbeat.Seconds(),
		"limits": map[string]any{"head": maxAnswerHead, "window": c.s.view.cfg.Relay.StreamWindow, "pad": c.s.view.cfg.Relay.Lane.PadSize,
			"max_junction": as.MaxJunction, "max_junction_idle_sec": int(as.MaxJunctionIdle / time.Second)},
	})
	if err != nil {
		panic("BUG: relay: " + err.Error())
	}
	b := append(c.conn.Buffer(), "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"+instanceField...)
	b = append(append(b, r.gate.instance...), "\r\nContent-Length: "...)
	b = append(appendUint(b, int64(len(body))), "\r\n"...)
	closes := !q.KeepAlive || q.Chunked || q.ContentLength > 0
	if closes {
		b = append(b, "Connection: close\r\n"...)
	}
	c.conn.SetBuffer(append(append(b, crlf...), body...))
	if closes {
		c.conn.Close()
		return
	}
	c.nextRequest()
}

// self is the relay server that was asked, by the name, and with the scheme, that it was asked by.
func (c *client) self(host string, lanes int) peer {
	standard := 80
	if c.https {
		standard = 443
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), ""
	}
	n, err := strconv.Atoi(port)
	if err != nil { // there is none: the codec has checked it
		n = standard
	}
	if c.https {
		return peer{Host: name, HTTPSPort: n, Lanes: lanes, Self: true}
	}
	return peer{Host: name, HTTPPort: n, Lanes: lanes, Self: true}
}

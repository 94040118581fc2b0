package relay

import (
	"encoding/json"
	"net"
	"strconv"
	"strings"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/routing/farm"
)

// call is what an enabler says of itself in the fields of a request to the server URL.
type call struct {
	op, farm, server, token, proto, run, lane string
}

func readCall(fields []http1.Field) (c call) {
	for i := range fields {
		if fields[i].ID != http1.IDIasRs {
			continue
		}
		value := string(fields[i].Value)
		switch strings.ToLower(string(fields[i].Name)) {
		case "ias-rs-op":
			c.op = value
		case "ias-rs-farm":
			c.farm = value
		case "ias-rs-server":
			c.server = value
		case "ias-rs-token":
			c.token = value
		case "ias-rs-proto":
			c.proto = value
		case "ias-rs-oe-id":
			c.run = value
		case "ias-rs-lane":
			c.lane = value
		}
	}
	return c
}

// enabler handles a request to the server URL.
func (c *client) enabler(q *http1.Request) {
	k := readCall(q.Fields)
	if k.op == "" && asksPage(q) {
		c.statusPage(q, ForBackends)
		return
	}
	_, f, text := c.admit(&k)
	if f != nil {
		c.s.relay.log.Warn("enabler refused", "error", f.name, "reason", text, "farm", k.farm, "server", k.server, "remote", string(c.ip))
		if known, _ := c.s.view.server(k.farm, k.server); known != nil {
			c.s.troubled(k.farm, k.server, f.name+": "+text)
		}
		c.reject(q, f, text)
		return
	}
	switch k.op {
	case "peers":
		c.peers(q, &k)
	case "up", "down", "lane":
		c.half(q, &k)
	default:
		c.reject(q, failOERequest, "Ias-Rs-Op is not peers, up, down or lane.")
	}
}

// admit checks who an enabler is. f is nil when it is welcome.
func (c *client) admit(k *call) (server *farm.Server, f *failure, text string) {
	r := c.s.relay
	if k.op == "" {
		return nil, failOERequest, "This is the URL for outbound enablers: Ias-Rs-Op is missing."
	}
	if k.proto != "1" {
		return nil, failOEVersion, "Ias-Rs-Proto is not 1, the only version known here."
	}
	v := c.s.view
	fm := v.farm([]byte(k.farm))
	if fm == nil {
		return nil, failUnknownServer, "The farm is not configured. Names are case-sensitive."
	}
	s, b := v.server(k.farm, k.server)
	if b == nil {
		return nil, failUnknownServer, "The farm has no back-end server of this id. Ids are case-sensitive."
	}
	if !b.CheckToken(k.token) {
		return nil, failUnauthorized, "The token is wrong."
	}
	if !fm.conf.Enable || !b.Enable {
		return nil, failOEDisabled, "The farm or the back-end server is disabled."
	}
	if r.draining.Load() {
		return nil, failShutdown, "The relay server is shutting down."
	}
	return s, nil, ""
}

// peer is one relay server in the answer to a peers call.
type peer struct {
	Host        string `json:"host"`
	HTTPPort    int    `json:"http_port"`
	HTTPSPort   int    `json:"https_port"`
	Lanes       int    `json:"lanes"`
	Description string `json:"description,omitempty"`
}

// peers answers with the list of relay servers, to who called.
func (c *client) peers(q *http1.Request, k *call) {
	_, as := c.s.view.server(k.farm, k.server) // admit has found it
	r := c.s.relay
	lanes := len(r.shards)
	var list []peer
	for _, p := range c.s.view.cfg.Relay.Servers {
		if p.Enable {
			list = append(list, peer{p.Host, p.HTTPPort, p.HTTPSPort, lanes, p.Description})
		}
	}
	if len(list) == 0 { // none is configured: the one that was asked, by the name it was asked by
		list = append(list, c.self(string(q.Host), lanes))
	}
	body, err := json.Marshal(map[string]any{
		"generation": r.began.UnixNano() + c.s.view.generation, "peers": list, "lanes": lanes, "features": []string{"ws", "length"},
		"heartbeat_sec": c.s.view.cfg.Relay.Heartbeat.Seconds(),
		"limits": map[string]any{"head": maxAnswerHead, "window": c.s.view.cfg.Relay.StreamWindow, "pad": c.s.view.cfg.Relay.Lane.PadSize,
			"max_junction": as.MaxJunction, "max_junction_idle_sec": int(as.MaxJunctionIdle / time.Second)},
	})
	if err != nil {
		panic("BUG: relay: " + err.Error())
	}
	b := append(c.conn.Buffer(), "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nContent-Length: "...)
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
		return peer{Host: name, HTTPSPort: n, Lanes: lanes}
	}
	return peer{Host: name, HTTPPort: n, Lanes: lanes}
}

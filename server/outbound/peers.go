package outbound

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"roundhouse/server/config"
	"roundhouse/server/laneio"
)

// peer is one relay server of the list that a relay server gives.
type peer struct {
	Host      string `json:"host"`
	HTTPPort  int    `json:"http_port"`
	HTTPSPort int    `json:"https_port"`
	Lanes     int    `json:"lanes"`
	// It has no address of its own in the relay's configuration: it is the one that was asked.
	Self bool `json:"self"`
}

// peerList is the answer to a call for peers.
type peerList struct {
	Peers    []peer     `json:"peers"`
	Features []string   `json:"features"`
	Limits   peerLimits `json:"limits"`

	instance string // of the relay server that has answered; empty: it has none
	useless  []peer // those that are not reachable in the way that -cr asks for
}

// peerLimits are what a relay server asks of the enablers of a back-end server; 0: nothing.
type peerLimits struct {
	Pad                int `json:"pad"` // bytes
	MaxJunction        int `json:"max_junction"`
	MaxJunctionIdleSec int `json:"max_junction_idle_sec"`
}

// offer is what the list says of the relay servers, within bounds.
func (l *peerList) offer() offer {
	return offer{length: slices.Contains(l.Features, "length"), socket: slices.Contains(l.Features, "ws"), junctions: slices.Contains(l.Features, "junctions"),
		pad: min(max(l.Limits.Pad, 0), laneio.MaxPad), instance: l.instance}
}

// Bounds of what is believed of a list of peers.
const (
	maxPeers = 256
	maxLanes = 1024
	maxList  = 1 << 20 // bytes
)

// refreshTime is how often the list of relay servers is fetched again.
const refreshTime = 60 * time.Second

// keepRelay serves through the relay, or the load balancer before the relays, of one -cr: it fetches the list of relay servers,
// keeps lanes to each of them, and looks again now and then whether the list has changed. It ends with ctx.
func (e *Enabler) keepRelay(ctx context.Context, i int) {
	var wg sync.WaitGroup
	defer wg.Wait()
	r := &relays{e: e, i: i, running: map[peer]*running{}, refetch: make(chan struct{}, 1)}
	defer func() {
		for p := range r.running {
			r.end(p)
		}
	}()
	pause := newBackoff(e.cfg.Retry)
	for {
		list, err := e.fetchPeers(ctx, i)
		if correctClock(e, err) || e.showToken(err, e.cfg.Relays[i].HTTPS) {
			list, err = e.fetchPeers(ctx, i)
		}
		wait := refreshTime
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait = pause.after(err)
			e.log.Error("no list of relay servers; trying again", "relay", e.cfg.Relays[i].Host, "error", err, "after", wait, "advice", e.advice(err))
		default:
			pause.reset()
			r.reconcile(ctx, &wg, list)
		}
		select {
		case <-ctx.Done():
			return
		case <-r.refetch:
			if !sleep(ctx, pause.next()) {
				return
			}
		case <-time.After(wait):
		}
	}
}

// sleep waits; false means that ctx has ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// running is a relay server to which lanes are kept.
type running struct {
	cancel context.CancelFunc
	t      *transport
}

// relays are the relay servers that one -cr has led to. They belong to the goroutine of keepRelay.
type relays struct {
	e       *Enabler
	i       int // of the -cr
	running map[peer]*running
	refetch chan struct{} // capacity 1: fetch the list now
	missed  []peer        // what the log has said of the last list
}

// reconcile starts lanes to relay servers that are new in the list and ends those to servers that have left it. A relay server
// that another -cr has led to already is left to that one.
func (r *relays) reconcile(ctx context.Context, wg *sync.WaitGroup, list *peerList) {
	wanted := map[peer]bool{}
	for _, p := range list.Peers {
		wanted[p] = true
	}
	for p := range r.running { // first: one may have come back with another number of lanes
		if !wanted[p] {
			r.e.log.Info("relay server has left the list", "host", p.Host, "http_port", p.HTTPPort, "https_port", p.HTTPSPort)
			r.end(p)
		}
	}
	r.miss(list.useless)
	for p := range wanted {
		if at := r.running[p]; at != nil {
			at.t.offered(list.offer())
			continue
		}
		if !r.e.claims.claim(r.addr(p)) {
			continue
		}
		peerCtx, cancel := context.WithCancel(ctx)
		at := &running{cancel: cancel, t: newTransport(p.Host, r.e.cfg.Transport, r.e.log)}
		at.t.offered(list.offer())
		r.running[p] = at
		r.e.log.Info("relay server", "host", p.Host, "http_port", p.HTTPPort, "https_port", p.HTTPSPort, "lanes", p.Lanes)
		for n := range p.Lanes {
			wg.Go(func() { r.e.keepLane(peerCtx, laneSpec{i: r.i, peer: p, number: n, t: at.t, refetch: r.fetchAgain}) })
		}
	}
}

// miss says, once, which relay servers get no lanes: requests that clients send there do not reach the back end.
func (r *relays) miss(useless []peer) {
	for _, p := range useless {
		if !slices.Contains(r.missed, p) {
			r.e.log.Error("relay server has no port for this enabler: it gets no lanes", "host", p.Host, "http_port", p.HTTPPort, "https_port", p.HTTPSPort,
				"https", r.e.cfg.Relays[r.i].HTTPS, "advice", "see https of -cr, and the ports of the relay server in the relay's configuration")
		}
	}
	r.missed = useless
}

// end ends the lanes to a relay server.
func (r *relays) end(p peer) {
	r.running[p].cancel()
	delete(r.running, p)
	r.e.claims.leave(r.addr(p))
}

// addr is where a relay server is reached.
func (r *relays) addr(p peer) string {
	return net.JoinHostPort(p.Host, strconv.Itoa(p.port(r.e.cfg.Relays[r.i].HTTPS)))
}

// fetchAgain has the list fetched again soon. Any goroutine.
func (r *relays) fetchAgain() {
	select {
	case r.refetch <- struct{}{}:
	default:
	}
}

// claims say which relay servers a -cr has led to. Any goroutine.
type claims struct {
	mu sync.Mutex      // guards of
	of map[string]bool // by host:port; at most maxPeers for each -cr
}

// claim makes a relay server the business of one -cr; false means that it is another's.
func (c *claims) claim(addr string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[addr] {
		return false
	}
	c.of[addr] = true
	return true
}

// leave leaves it to whoever comes next.
func (c *claims) leave(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.of, addr)
}

// fetchPeers asks for the list of relay servers.
func (e *Enabler) fetchPeers(ctx context.Context, i int) (*peerList, error) {
	r := e.cfg.Relays[i]
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	way := e.ways[i].to(r.Host, r.Port)
	nc, err := way.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer nc.Close() // what is wrong has been seen before
	defer limit(ctx, nc)()
	if _, err := nc.Write(e.head(way, purpose{method: http.MethodPost, op: "peers"}, "Content-Length: 0\r\nConnection: close\r\n\r\n")); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(nc, maxList)), nil)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refusalOf(resp, body)
	}
	list, err := checkPeers(body, r)
	if err != nil {
		return nil, err
	}
	list.instance = instanceOf(resp.Header)
	e.takeLimits(list.Limits)
	return list, nil
}

// takeLimits obeys a relay server as far as what it asks is possible. The last one that was asked counts: all have the same configuration.
func (e *Enabler) takeLimits(l peerLimits) {
	const most = 1 << 24 // requests, and seconds
	e.setLimits(max(0, min(l.MaxJunction, most)), time.Duration(max(0, min(l.MaxJunctionIdleSec, most)))*time.Second)
}

// checkPeers reads a list, leaves those out that cannot be reached, and bounds what it says.
func checkPeers(body []byte, r config.RelayAddr) (*peerList, error) {
	var list peerList
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("outbound: the list of relay servers is no JSON: %w", err)
	}
	if n := len(list.Peers); n == 0 || n > maxPeers {
		return nil, fmt.Errorf("outbound: a list of %d relay servers; 1 to %d are possible", n, maxPeers)
	}
	named := list.Peers
	list.Peers = nil
	for _, p := range named {
		if p.Self { // what it makes of Host may lack the port, or the scheme, that whatever stands before it listens on
			p = peer{Host: r.Host, HTTPPort: r.Port, HTTPSPort: r.Port, Lanes: p.Lanes}
		}
		if r.ViaBalancer && p.port(r.HTTPS) == 0 { // nobody connects to it there: it is a name for the balancer
			p.HTTPPort, p.HTTPSPort = max(p.HTTPPort, p.HTTPSPort), max(p.HTTPPort, p.HTTPSPort)
		}
		port := p.port(r.HTTPS)
		if !isPeerName(p.Host) || port < 1 || port > 65535 || p.Lanes < 1 || p.Lanes > maxLanes {
			list.useless = append(list.useless, p)
			continue
		}
		list.Peers = append(list.Peers, p)
	}
	if len(list.Peers) == 0 {
		return nil, fmt.Errorf("outbound: none of %d relay servers has a port for https=%v", len(named), r.HTTPS)
	}
	return &list, nil
}

// isPeerName tells whether a relay server may be called that in a field of HTTP.
func isPeerName(host string) bool {
	const longest = 255
	return host != "" && len(host) <= longest && !strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' })
}

func (p peer) port(https bool) int {
	if https {
		return p.HTTPSPort
	}
	return p.HTTPPort
}

// backoff is a pause that doubles from one failure to the next, up to the interval of -d, and is never quite the same.
type backoff struct{ longest, now time.Duration }

func newBackoff(longest time.Duration) *backoff {
	b := &backoff{longest: longest}
	b.reset()
	return b
}

func (b *backoff) next() time.Duration {
	d := b.now
	b.now = min(2*b.now, b.longest)
	return time.Duration(float64(d) * (0.7 + 0.3*rand.Float64()))
}

// after is next after an error. One that stands gets the longest pause at once, or what the relay asks for.
func (b *backoff) after(err error) time.Duration {
	least, stands := standing(err)
	if stands {
		b.now = b.longest
	}
	return max(b.next(), least)
}

func (b *backoff) reset() { b.now = max(b.longest/16, 50*time.Millisecond) }

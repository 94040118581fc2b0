package server

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"roundhouse/server/config"
	"roundhouse/server/outbound"
)

//go:embed demo.html
var demoPage []byte

// demo is what a server shows that was started without any file: a back end with a page, and an enabler that reaches it over
// real lanes, all in this process.
type demo struct {
	log     *slog.Logger
	ln      net.Listener
	backend *http.Server
	running sync.WaitGroup
	cancel  context.CancelFunc
	dir     string // of the files that engines are made of; empty: none
}

func newDemo(log *slog.Logger) (*demo, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("server: demonstration: %w", err)
	}
	d := &demo{log: log, ln: ln, backend: &http.Server{Handler: demoHandler(), ReadHeaderTimeout: 10 * time.Second}}
	d.running.Go(func() { _ = d.backend.Serve(ln) }) // ends when stop closes it, which waits for it
	return d, nil
}

// run starts the enabler and prints what to try.
func (d *demo) run(ctx context.Context, s *Server) {
	addrs := s.RelayAddrs()
	if len(addrs) == 0 || len(s.cfg.Relay.Backends) == 0 {
		return
	}
	relay := addrs[0].(*net.TCPAddr)
	as := s.cfg.Relay.Backends[0] // the farm, the name and the token that the configuration has made for it
	cfg := &config.Enabler{
		Farm: as.Farm, ID: as.ID, Token: as.Token, Retry: time.Second,
		Backend: config.BackendAddr{Host: "127.0.0.1", Port: d.ln.Addr().(*net.TCPAddr).Port},
		Relays:  []config.RelayAddr{{Host: "127.0.0.1", Port: relay.Port, URLSuffix: s.cfg.Relay.ServerPrefixes[0]}},
	}
	ctx, d.cancel = context.WithCancel(ctx)
	d.running.Go(func() { // ends with ctx; stop waits for it
		if err := outbound.Run(ctx, cfg, d.log); err != nil {
			d.log.Error("demonstration", "error", err)
		}
	})
	fmt.Fprint(os.Stderr, tryText(relay.String(), s.cfg.Relay.ClientPrefixes[0]+"/"+as.Farm+"/", s.AdminAddr())+s.tryEngines()+s.tryRouter())
}

func tryText(addr, path string, admin net.Addr) string {
	url := "http://" + addr + path
	text := `
roundhouse runs with nothing configured: the farm "demo", served through real lanes by an enabler in this process.
Ctrl-C ends it. To try:

  curl ` + url + `
  curl ` + url + `echo -d hello            what the back end got
  curl ` + url + `bytes/1000000 -o /dev/null    a body of that many bytes
  curl -N ` + url + `events                server-sent events, one a second
`
	if admin != nil {
		text += "  curl http://" + admin.String() + "/readyz             also /healthz /metrics /api/farms /debug/pprof/\n"
	}
	return text + `
A back end of your own, say on port 3000, in a farm that a file names:

  bin/roundhouse serve --rs-config rs.config
  bin/rsoe -f FARM -id ID -cr "host=` + addr[:len(addr)-len(portOf(addr))-1] + `;port=` + portOf(addr) + `" -cs "host=localhost;port=3000"

`
}

func portOf(addr string) string {
	_, port := splitAddr(addr)
	return port
}

func splitAddr(addr string) (host, port string) {
	host, port, _ = net.SplitHostPort(addr) // of a listener: it has both
	return host, port
}

// stop ends the enabler and the back end, in this order.
func (d *demo) stop() {
	if d.cancel != nil {
		d.cancel()
	}
	_ = d.backend.Close() // the relay has drained: nobody waits for it
	if d.dir != "" {
		_ = os.RemoveAll(d.dir) // the system cleans its temporary directory, too
	}
	d.running.Wait()
}

// demoHandler is the back end of the demonstration.
func demoHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(demoPage) // the client has gone
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "%s %s %s\nHost: %s\n", r.Method, r.RequestURI, r.Proto, r.Host)
		_ = r.Header.Write(w) // as above
		fmt.Fprintln(w)
		_, _ = io.Copy(w, r.Body)
	})
	mux.HandleFunc("/bytes/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
		if err != nil || n < 0 {
			http.Error(w, "a number of bytes is needed", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		_, _ = io.CopyN(w, zeros{}, n)
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		t := time.NewTicker(time.Second)
		defer t.Stop()
		for i := 0; ; i++ {
			fmt.Fprintf(w, "data: event %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-t.C:
			}
		}
	})
	return mux
}

// zeros reads as endless zeros.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

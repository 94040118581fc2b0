// Package admin shows a running server to its operator over plain HTTP: whether it lives and is ready, its metrics, its tables
// as JSON, and the profiles of the Go runtime; and it takes the operator's orders.
//
//	/healthz          200 while the process lives
//	/readyz           200, or 503 with the reasons, one a line; with ?farm=ID also whether that farm can be served
//	/metrics          for Prometheus: the server, the Go runtime and the process
//	/api/TABLE        {"rows": [...], "more": false}; with ?limit=N at most N rows, and more tells that there are others
//	/api/ACTION       by POST only: what an administrator has the server do
//	/debug/pprof/     net/http/pprof
//	/                 the list of all these
//
// Nobody is asked for a password unless there is a token: the listener belongs on loopback. What is shown comes from Sources, which the user of the
// package fills; the package itself knows no door. Every answer is made anew when it is asked for.
//
// It runs on net/http, in goroutines of its own: nothing here runs on a loop.
package admin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"sync/atomic"
	"time"

	"roundhouse/server/config"
	"roundhouse/server/handover"
)

// Sources is what there is to show. Its functions are called by any goroutine, several at a time; a nil one shows nothing.
type Sources struct {
	// Ready returns why no traffic should come besides what the Server's own Ready says; nothing when it may come. farm is the
	// farm that was asked for; empty: none.
	Ready func(farm string) (reasons []string)
	// Prefix is what the names of its metrics begin with; empty: rs.
	Prefix string
	// Metrics returns the counters and gauges of the server.
	Metrics func() []Metric
	// Tables are shown as /api/NAME.
	Tables []Table
	// Actions are done by POST /api/NAME.
	Actions []Action
	// Pages are shown at paths of their own.
	Pages []Page
}

// Page is something that is shown at a path of its own.
type Page struct {
	Path  string
	About string // its line in the index
	// Render returns the status of the answer, its media type, and its content; query is that of the URL. Any goroutine may call it.
	Render func(query string) (status int, kind string, content []byte)
	// Policy is the Content-Security-Policy of the answer; empty: none.
	Policy string
}

// rendered answers with p.
func (p Page) rendered(w http.ResponseWriter, r *http.Request) {
	status, kind, content := p.Render(r.URL.RawQuery)
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.Policy != "" {
		h.Set("Content-Security-Policy", p.Policy)
	}
	w.WriteHeader(status)
	_, _ = w.Write(content) // the reader has gone
}

const (
	headTime  = 10 * time.Second // from the first byte of a request to the end of its head
	readTime  = 30 * time.Second // for a whole request
	writeTime = 30 * time.Second // for an answer; pprof adds what a profile lasts
	idleTime  = 60 * time.Second // until the next request
	closeTime = time.Second      // for answers that are being made when Close is called
	headBytes = 16 << 10
)

// Server is the admin listener. Its methods are safe for concurrent use.
type Server struct {
	// Fixed by New.
	log     *slog.Logger
	sources Sources
	mux     *http.ServeMux
	pages   []page
	ln      net.Listener // nil: none
	http    *http.Server

	token atomic.Pointer[[sha256.Size]byte] // digest of what is asked for; nil: nothing is

	// Any goroutine.
	phase   atomic.Int32   // of readiness: one of the phases
	conns   atomic.Int64   // open connections
	serving sync.WaitGroup // the goroutine that accepts
}

// page is one line of the index.
type page struct{ path, about string }

// New opens the listener of cfg and answers on it at once. Without an address there is no listener, and everything but Addr
// works all the same. Close gives the listener back.
func New(cfg config.Admin, log *slog.Logger, sources Sources) (*Server, error) {
	s := &Server{log: log.With("door", "admin"), sources: sources, mux: http.NewServeMux()}
	s.http = &http.Server{
		Handler: s.guarded(s.mux), ReadHeaderTimeout: headTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: headBytes, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn), ConnState: s.count,
	}
	s.SetToken(cfg.Token)
	s.addPages()
	if cfg.Listen == "" {
		return s, nil
	}
	ln, err := handover.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	if a, ok := ln.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() && cfg.Token == "" {
		s.log.Warn("the admin listener is not on loopback: whoever reaches it sees everything and gives orders", "addr", a.String())
	}
	s.ln = ln
	s.serving.Go(func() { // ends with the listener; Close waits for it
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.log.Error("the admin listener has ended", "error", err)
		}
	})
	return s, nil
}

// addPages registers everything that is answered.
func (s *Server) addPages() {
	s.page("/healthz", "200 while the process lives", s.healthz)
	s.page("/readyz", "200, or 503 with the reasons; ?farm=ID: and for this farm", s.readyz)
	s.page("/metrics", "for Prometheus", s.metricsHandler().ServeHTTP)
	for _, t := range s.sources.Tables {
		s.page("/api/"+t.Name, t.About, s.table(t))
	}
	for _, p := range s.sources.Pages {
		s.page(p.Path, p.About, p.rendered)
		for _, path := range aliases(p.Path)[1:] {
			s.mux.HandleFunc("GET "+path, p.rendered)
		}
	}
	for _, a := range s.sources.Actions {
		s.action(a)
	}
	s.pages = append(s.pages, page{"/debug/pprof/", "profiles of the Go runtime"})
	s.mux.HandleFunc("/debug/pprof/", pprof.Index)
	s.mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	s.mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	s.mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	s.mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	s.mux.HandleFunc("GET /{$}", s.index)
}

// page registers a page and puts it into the index.
func (s *Server) page(path, about string, h http.HandlerFunc) {
	s.pages = append(s.pages, page{path, about})
	s.mux.HandleFunc("GET "+path, h) // HEAD as well
}

func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	plainText(w)
	for _, p := range s.pages {
		fmt.Fprintf(w, "%-32s %s\n", p.path, p.about)
	}
}

// plainText marks an answer as text that is true only now.
func plainText(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
}

// Addr is the address of the listener; nil when there is none.
func (s *Server) Addr() net.Addr {
	if s.ln == nil {
		return nil
	}
	return s.ln.Addr()
}

// Close closes the listener, gives answers that are being made a second, and cuts the rest. It may be called more than once.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if s.ln != nil {
		_ = s.ln.Close() // it may be closed
		s.serving.Wait()
		s.lastAnswers(ctx)
	}
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) { // a profile, or a reader that does not read
		err = s.http.Close()
	}
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// lastAnswers waits until the connections that were accepted have been answered and are closed, or ctx ends. Shutdown would cut
// those whose request it finds half read.
func (s *Server) lastAnswers(ctx context.Context) {
	s.http.SetKeepAlivesEnabled(false)
	t := time.NewTicker(time.Millisecond)
	defer t.Stop()
	for s.conns.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// count keeps conns.
func (s *Server) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.conns.Add(-1)
	}
}

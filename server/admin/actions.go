package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Action is something that an administrator may have the server do: POST /api/NAME, with a form in the body or the query.
//
// The answer is text: 200 and what was done, 400 when the form is wrong, 409 when it cannot be done now.
type Action struct {
	Name  string // the rest of its path
	About string // its line in the index
	// Do returns what was done. An error joined with ErrUsage says that the form is wrong. Any goroutine may call it; it ends with its context.
	Do func(Request) (text string, err error)
}

// Request is what an action is asked for.
type Request struct {
	Context context.Context // ends with the connection of who asks
	Values  url.Values      // of the form
	Local   bool            // who asks is on this machine
}

// ErrUsage marks the error of an action that was asked for in a wrong way.
var ErrUsage = errors.New("wrong use")

// maxForm is how long the form of an action may be, in bytes.
const maxForm = 64 << 10

// action registers a.
//
// Nobody is asked for a password, and a browser on the machine of the administrator would post whatever a page of somebody else tells it
// to. So a request of a browser is refused that comes from another site, also one whose name leads here: it has a name for its host.
func (s *Server) action(a Action) {
	s.pages = append(s.pages, page{"POST /api/" + a.Name, a.About})
	s.mux.HandleFunc("POST /api/"+a.Name, func(w http.ResponseWriter, r *http.Request) {
		plainText(w)
		if err := fromHere(r); err != nil {
			s.log.Warn("an action was refused", "action", a.Name, "from", r.RemoteAddr, "reason", err)
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintln(w, err)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintln(w, "the form cannot be read")
			return
		}
		control := http.NewResponseController(w)
		// An action may wait: neither the answer nor the look for the end of the connection has a limit. Where they cannot be set, it is cut.
		_, _ = control.SetWriteDeadline(time.Time{}), control.SetReadDeadline(time.Time{})
		s.log.Info("an action", "action", a.Name, "from", r.RemoteAddr)
		text, err := a.Do(Request{Context: r.Context(), Values: r.Form, Local: isLocal(r)})
		switch {
		case errors.Is(err, ErrUsage):
			w.WriteHeader(http.StatusBadRequest)
			text = strings.TrimSuffix(err.Error(), "\n"+ErrUsage.Error())
		case err != nil:
			w.WriteHeader(http.StatusConflict)
			text = err.Error()
		}
		fmt.Fprintln(w, text)
	})
}

// isLocal tells whether a request comes over loopback.
func isLocal(r *http.Request) bool {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

var errElsewhere = errors.New("refused: the request comes from a page of another site")

// fromHere returns an error for a request that a browser makes for a page of another site.
func fromHere(r *http.Request) error {
	if http.NewCrossOriginProtection().Check(r) != nil {
		return errElsewhere
	}
	if r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" {
		return nil // no browser
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
		return errElsewhere
	}
	return nil
}

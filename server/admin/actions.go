package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Action is something that an administrator may have the server do, or tell: METHOD /api/NAME, with a form in the body or the query. The same
// is there at PREFIX/NAME for each prefix of the administrator's status page, see AdminPrefixes.
//
// The answer is text: 200 and what was done, 400 when the form is wrong, 409 when it cannot be done now.
type Action struct {
	Name   string // the rest of its path
	About  string // its line in the index
	Method string // empty: POST
	Kind   string // media type of the answer; empty: text
	Body   int64  // most bytes of a body that is no form; 0: it is one
	// Do returns what was done. An error joined with ErrUsage says that the form is wrong. Any goroutine may call it; it ends with its context.
	Do func(Request) (text string, err error)
}

// Request is what an action is asked for.
type Request struct {
	Context context.Context // ends with the connection of who asks
	Values  url.Values      // of the form, or of the query where the body is none
	Body    []byte          // where it is no form
	Local   bool            // who asks is on this machine, and has asked the admin listener
}

// ErrUsage marks the error of an action that was asked for in a wrong way.
var ErrUsage = errors.New("wrong use")

// maxForm is how long the form of an action may be, in bytes.
const maxForm = 64 << 10

// action registers a.
//
// A browser on the machine of the administrator would post whatever a page of somebody else tells it to. So a request of a browser is refused
// that comes from another site, also one whose name leads here while nobody is asked for a token: it has a name for its host.
func (s *Server) action(a Action) {
	a.Method = cmp.Or(a.Method, http.MethodPost)
	s.pages = append(s.pages, page{a.Method + " /api/" + a.Name, a.About})
	h := func(w http.ResponseWriter, r *http.Request) {
		plainText(w)
		if err := s.fromHere(r); err != nil {
			s.log.Warn("an action was refused", "action", a.Name, "from", r.RemoteAddr, "reason", err)
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintln(w, err)
			return
		}
		q := Request{Context: r.Context(), Local: isLocal(r)}
		if err := q.read(w, r, a.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintln(w, err)
			return
		}
		control := http.NewResponseController(w)
		// An action may wait: neither the answer nor the look for the end of the connection has a limit. Where they cannot be set, it is cut.
		_, _ = control.SetWriteDeadline(time.Time{}), control.SetReadDeadline(time.Time{})
		if a.Method != http.MethodGet {
			s.log.Info("an action", "action", a.Name, "from", r.RemoteAddr)
		}
		a.answer(w, q)
	}
	s.mux.HandleFunc(a.Method+" /api/"+a.Name, h)
	for _, prefix := range adminPrefixes {
		s.mux.HandleFunc(a.Method+" "+prefix+"/"+a.Name, h)
	}
}

// answer does a and tells what came of it.
func (a *Action) answer(w http.ResponseWriter, q Request) {
	text, err := a.Do(q)
	switch {
	case errors.Is(err, ErrUsage):
		w.WriteHeader(http.StatusBadRequest)
		text = strings.TrimSuffix(err.Error(), "\n"+ErrUsage.Error())
	case err != nil:
		w.WriteHeader(http.StatusConflict)
		text = err.Error()
	case a.Kind != "":
		w.Header().Set("Content-Type", a.Kind)
	}
	_, _ = io.WriteString(w, strings.TrimSuffix(text, "\n")+"\n") // the reader has gone
}

var (
	errForm = errors.New("the form cannot be read")
	errBody = errors.New("the body cannot be read, or is too long")
)

// read reads the form, or a body of at most most bytes that is none.
func (q *Request) read(w http.ResponseWriter, r *http.Request, most int64) (err error) {
	if most == 0 {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if r.ParseForm() != nil {
			return errForm
		}
		q.Values = r.Form
		return nil
	}
	if q.Values, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return errForm
	}
	if q.Body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, most)); err != nil {
		return errBody
	}
	return nil
}

// isLocal tells whether a request comes to the admin listener over loopback.
func isLocal(r *http.Request) bool {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && addr.Addr().Unmap().IsLoopback() && r.Context().Value(remotely{}) == nil
}

var errElsewhere = errors.New("refused: the request comes from a page of another site")

// fromHere returns an error for a request that a browser makes for a page of another site.
func (s *Server) fromHere(r *http.Request) error {
	if http.NewCrossOriginProtection().Check(r) != nil {
		return errElsewhere
	}
	if s.token.Load() != nil || r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" {
		return nil // a browser gives no other name the token; or it is none
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

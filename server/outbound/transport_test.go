package outbound

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"

	"roundhouse/server/laneio"
)

func strayOf(status string) error {
	return &laneio.StrayError{Head: []byte("HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n\r\n")}
}

var (
	errDialled  = fmt.Errorf("%w: %w", errNoLane, &net.OpError{Op: "dial", Err: errors.New("refused")})
	errUnproven = fmt.Errorf("%w within 5 s", errUnproved)
)

// TestTransportForms runs failures of lanes and looks at the form of the next one: c chunked, l length, s socket.
func TestTransportForms(t *testing.T) {
	all := offer{length: true, socket: true}
	for _, row := range []struct {
		name, wish string
		offer      offer
		errs       []error // nil: the lane is proved
		want       string  // the form before each, and at the end
	}{
		{"it works", "auto", all, []error{nil, io.EOF, nil}, "cccc"},
		{"nothing comes back", "auto", all, []error{errUnproven, nil, io.EOF, io.EOF}, "cssss"},
		{"nothing comes back in any form", "auto", all, []error{errUnproven, errUnproven, errUnproven}, "cscs"},
		{"no wish", "", all, []error{errUnproven}, "cs"},
		{"chunks are refused", "auto", all, []error{strayOf("411 Length Required"), nil}, "cll"},
		{"chunks are not known", "auto", all, []error{strayOf("501 Not Implemented"), errUnproven, errUnproven}, "clsc"},
		{"chunks are bad", "auto", all, []error{strayOf("400 Bad Request"), strayOf("413 Too Large"), nil}, "clss"},
		{"what was there breaks", "auto", all, []error{nil, io.EOF, io.EOF, io.EOF, nil}, "ccccss"},
		{"what was there fails at once", "auto", all, []error{nil, errUnproven}, "ccs"},
		{"the relay is down", "auto", all, []error{errDialled, errDialled, errDialled, errDialled}, "ccccc"},
		{"the relay refuses", "auto", all, []error{&refusal{status: 401, number: numberUnauthorized}, &refusal{status: 503, number: numberShutdown}}, "ccc"},
		{"no relay behind the proxy", "auto", all, []error{&refusal{status: 502}, &refusal{status: 503}, strayOf("504 Gateway Timeout")}, "cccc"},
		{"a proxy forbids", "auto", all, []error{&refusal{status: 403}, &refusal{status: 400, number: numberRequest}}, "csc"},
		{"HTTP only", "http", all, []error{errUnproven, strayOf("411 Length Required"), errUnproven, nil}, "cclcc"},
		{"WebSocket only", "ws", all, []error{errUnproven, &refusal{status: 403}, nil}, "ssss"},
		{"an old relay", "auto", offer{}, []error{errUnproven, strayOf("411 Length Required")}, "ccc"},
		{"a relay without WebSocket", "auto", offer{length: true}, []error{errUnproven, strayOf("411 Length Required"), errUnproven}, "cclc"},
	} {
		tr := newTransport("relay", row.wish, slog.New(slog.DiscardHandler))
		tr.offered(row.offer)
		f := tr.next()
		if _, prove := tr.needs(); prove != (row.offer != offer{}) {
			t.Errorf("%s: proof %v", row.name, prove)
		}
		got := string("cls"[f])
		for _, err := range row.errs {
			if err == nil {
				tr.proved(f)
			} else {
				tr.unproved(f, err)
			}
			f = tr.next()
			got += string("cls"[f])
		}
		if got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}

// TestTransportOffer has the list of relay servers change what they can do.
func TestTransportOffer(t *testing.T) {
	tr := newTransport("relay", "auto", slog.New(slog.DiscardHandler))
	tr.offered(offer{length: true, socket: true, pad: 5})
	tr.unproved(formChunked, errUnproven)
	tr.unproved(formChunked, errUnproven) // of another lane, that was opened before
	if pad, _ := tr.needs(); tr.next() != formSocket || pad != 5 {
		t.Error(tr.next(), pad)
	}
	tr.offered(offer{length: true})
	if _, prove := tr.needs(); tr.next() != formChunked || !prove {
		t.Error(tr.next(), prove)
	}
}

// TestTransportRival asks what may be tried beside a lane that is not up, and lets it win.
func TestTransportRival(t *testing.T) {
	all := offer{length: true, socket: true}
	for _, row := range []struct {
		wish  string
		offer offer
		f     form
		want  form
		may   bool
	}{
		{"auto", all, formChunked, formSocket, true}, {"auto", all, formLength, formSocket, true}, {"auto", all, formSocket, formChunked, true},
		{"http", all, formChunked, formChunked, false}, {"ws", all, formSocket, formSocket, false}, {"auto", offer{}, formChunked, formChunked, false},
	} {
		tr := newTransport("relay", row.wish, slog.New(slog.DiscardHandler))
		tr.offered(row.offer)
		if f, may := tr.rival(row.f); f != row.want || may != row.may {
			t.Errorf("%+v: %v, %v", row, f, may)
		}
	}
	tr := newTransport("relay", "auto", slog.New(slog.DiscardHandler))
	tr.offered(all)
	tr.proved(formSocket)
	tr.proved(formChunked) // too late
	tr.unproved(formChunked, errOutrun)
	if f := tr.next(); f != formSocket {
		t.Error("the winner is not kept:", f)
	}
	if f, may := tr.rival(formSocket); may {
		t.Error("what works has a rival:", f)
	}
}

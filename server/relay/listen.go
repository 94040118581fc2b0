package relay

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"roundhouse/server/certs"
	"roundhouse/server/config"
	"roundhouse/server/handover"
	"roundhouse/server/loop"
)

// Listen opens the listeners of the configuration, plain ones and those that speak TLS, and starts to accept. On an error none is left
// open.
func (r *Relay) Listen() (err error) {
	defer func() {
		if err != nil {
			r.closeListeners()
			err = fmt.Errorf("relay: %w", err)
		}
	}()
	cfg := &r.view.Load().cfg.Relay
	for _, addr := range cfg.Listen {
		if err := r.listenOn(addr, nil); err != nil {
			return err
		}
	}
	if len(cfg.TLS.Listen) == 0 {
		return nil
	}
	if r.certs, err = certs.New(certFiles(&cfg.TLS), r.log); err != nil {
		return err
	}
	for _, addr := range cfg.TLS.Listen {
		if err := r.listenOn(addr, r.certs.Config()); err != nil {
			return err
		}
	}
	return nil
}

// certFiles are the files of the listeners that speak TLS. HTTP/1.1 is all that there is to choose.
func certFiles(c *config.RelayTLS) certs.Files {
	return certs.Files{Cert: c.Cert, Key: c.Key, ClientCA: c.ClientCA, RequireClient: c.RequireClientCert, Protocols: []string{"http/1.1"}}
}

func (r *Relay) listenOn(addr string, secured *tls.Config) error {
	limit := r.view.Load().cfg.Limits.MaxConnections
	if limit == 0 {
		limit = loop.DescriptorLimit() - reservedDescriptors
	}
	ln, err := handover.Listen("tcp", addr)
	if err != nil {
		return err
	}
	a, err := r.group.Accept(ln, loop.AcceptOptions{Max: limit, Open: r.open, TLS: secured, Proxy: r.demandsProxy, Unsent: unsent})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	r.acceptors = append(r.acceptors, a)
	if secured != nil {
		r.secured = append(r.secured, a)
	}
	return nil
}

// unsent is how many bytes the kernel holds for a slow client, beside what is on its way. Without a limit a thousand of them make it short of
// memory for all connections of the machine.
const unsent = 256 << 10

// reservedDescriptors are kept for what is not a client: files, listeners, epoll instances, connections being accepted.
const reservedDescriptors = 64

// demandsProxy tells whether the connections of a peer begin with a PROXY header.
func (r *Relay) demandsProxy(peer netip.Addr) bool {
	return contains(r.view.Load().cfg.Relay.Trust.ProxyProtocol, peer)
}

// open makes the session of a new connection, on its loop.
func (r *Relay) open(c *loop.Conn) loop.Session {
	return r.shards[c.Loop().Index()].newClient(c)
}

// Addrs are the addresses that the door listens on, those with TLS last.
func (r *Relay) Addrs() []net.Addr { return addrs(r.acceptors) }

// TLSAddrs are those of Addrs that speak TLS.
func (r *Relay) TLSAddrs() []net.Addr { return addrs(r.secured) }

func addrs(acceptors []*loop.Acceptor) (all []net.Addr) {
	for _, a := range acceptors {
		all = append(all, a.Addr())
	}
	return all
}

func (r *Relay) closeListeners() {
	for _, a := range r.acceptors {
		a.Close()
	}
}

// reloadCerts reads the certificate files of a new configuration. On an error the old ones stay.
func (r *Relay) reloadCerts(after *config.RelayTLS) error {
	if len(after.Listen) == 0 { // the listeners stay as they are until the next start
		return nil
	}
	return r.certs.Update(certFiles(after))
}

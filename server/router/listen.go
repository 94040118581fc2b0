package router

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"roundhouse/server/certs"
	"roundhouse/server/config"
	"roundhouse/server/handover"
	"roundhouse/server/loop"
)

// listeners are those of the door. Its zero value is ready to use, by any goroutine.
type listeners struct {
	// Fixed at start. nil: no TLS.
	certs, natsCerts *certs.Source

	mu  sync.Mutex // guards all
	all []listener
}

type listener struct {
	*loop.Acceptor
	nats bool
}

func (l *listeners) add(a *loop.Acceptor, nats bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, listener{a, nats})
}

func (l *listeners) addrs(nats bool) (all []net.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.all {
		if a.nats == nats {
			all = append(all, a.Addr())
		}
	}
	return all
}

func (d *Door) closeListeners() {
	d.listeners.mu.Lock()
	all := d.listeners.all
	d.listeners.mu.Unlock()
	for _, a := range all {
		a.Close()
	}
}

// reservedDescriptors are kept for what is not a client: listeners, files, connections being accepted.
const reservedDescriptors = 128

// certFiles are the files of the listeners for clients.
func certFiles(cfg *config.Router) certs.Files {
	return certs.Files{Cert: cfg.TLSCert, Key: cfg.TLSKey, ClientCA: cfg.TLSClientCA, RequireClient: cfg.TLSVerifyClient}
}

// natsCertFiles are those of the listeners for NATS clients.
func natsCertFiles(cfg *config.RouterNATS) certs.Files {
	return certs.Files{Cert: cfg.TLSCert, Key: cfg.TLSKey, ClientCA: cfg.TLSClientCA, RequireClient: true}
}

// updateCerts reads the certificate files of a new configuration. On an error the old ones stay.
func (l *listeners) updateCerts(next, old *config.Router) error {
	if err := l.certs.Update(certFiles(next)); err != nil {
		return err
	}
	if err := l.natsCerts.Update(natsCertFiles(&next.NATS)); err != nil {
		return errors.Join(err, l.certs.Update(certFiles(old)))
	}
	return nil
}

// listen opens all listeners.
func (d *Door) listen() (err error) {
	cfg := d.settings.Load().cfg
	if d.listeners.certs, err = certs.Open(certFiles(cfg), d.log); err != nil {
		return fmt.Errorf("tls_cert: %w", err)
	}
	secured := d.listeners.certs.Config()
	all, err := cfg.Listeners(os.Getenv)
	if err != nil {
		return err
	}
	for _, l := range all {
		o := loop.AcceptOptions{Open: d.openClient}
		if l.TLS {
			if o.TLS = secured; secured == nil {
				return fmt.Errorf("listen: %s: tls_cert and tls_key are needed", l.Name)
			}
		}
		err := d.listenAt(l.Network, l.Address, o)
		if err != nil && l.Fallback != "" {
			d.log.Warn("listening at another place", "wanted", l.Address, "error", err, "instead", l.Fallback)
			err = d.listenAt(l.Network, l.Fallback, o)
		}
		if err != nil {
			return fmt.Errorf("listen: %s: %w", l.Name, err)
		}
	}
	return d.listenNATS(&cfg.NATS)
}

// listenAt is listenOn for clients; it makes the directory of a socket file, and takes away what a server that has ended has left there.
func (d *Door) listenAt(network, addr string, o loop.AcceptOptions) error {
	if network != "unix" {
		return d.listenOn(network, addr, o, false)
	}
	if err := os.MkdirAll(filepath.Dir(addr), 0o755); err != nil {
		return err
	}
	err := d.listenOn(network, addr, o, false)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	if nc, errDial := net.Dial(network, addr); errDial == nil {
		return errors.Join(err, nc.Close()) // somebody listens
	}
	if err := os.Remove(addr); err != nil {
		return err
	}
	return d.listenOn(network, addr, o, false)
}

func (d *Door) listenNATS(cfg *config.RouterNATS) error {
	var err error
	if d.listeners.natsCerts, err = certs.Open(natsCertFiles(cfg), d.log); err != nil {
		return fmt.Errorf("nats.tls_cert: %w", err)
	}
	secured := d.listeners.natsCerts.Config()
	o := loop.AcceptOptions{Open: d.openNATS, TLS: secured}
	if secured != nil && !cfg.TLSFirst {
		o.Preface = func(remote net.Addr, id uint64) []byte {
			from, _ := remote.(*net.TCPAddr) // nil has no address
			return d.info(id, from.AddrPort(), false)
		}
	}
	for _, addr := range cfg.Listen {
		if err := d.listenOn("tcp", addr, o, true); err != nil {
			return fmt.Errorf("nats.listen: %w", err)
		}
	}
	if addrs := d.NATSAddrs(); len(addrs) > 0 {
		if a, err := netip.ParseAddrPort(addrs[0].String()); err == nil {
			d.natsAddr.Store(&a)
		}
	}
	return nil
}

func (d *Door) listenOn(network, addr string, o loop.AcceptOptions, nats bool) error {
	ln, err := handover.Listen(network, addr)
	if err != nil {
		return err
	}
	if o.Max = d.settings.Load().whole.Limits.MaxConnections; o.Max == 0 {
		o.Max = loop.DescriptorLimit() - reservedDescriptors
	}
	a, err := d.group.Accept(ln, o)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	d.listeners.add(a, nats)
	return nil
}

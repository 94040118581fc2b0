// Package ntf stands in for the package of the same path by which nats.go's tests get servers. It has the names that those tests use.
//
// The original asks a service to make a server. This one starts a process of the program under test, which the environment names:
//
//	NATSGO_SERVER=/path/roundhouse     a Roundhouse: what a test asks for is translated into a TOML file
//	NATSGO_NATS_SERVER=/path/program   a nats-server, to prove the harness: it gets what the test asks for as it is
//
// There are no clusters and no JetStream: a test that asks for them fails, and has to be on the list of those that do not apply.
package ntf

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// Client makes servers.
type Client struct{}

// New returns a client; the address of the original's service is ignored.
func New(testing.TB, string) *Client { return &Client{} }

// Close does nothing: a server ends with Instance.Destroy.
func (c *Client) Close(testing.TB) {}

// Instance is what a test asked for: one server. All methods fail the test when something goes wrong.
type Instance struct {
	ID      string
	Servers []*ManagedServer
	TLS     *TLSMaterial // nil: no TLS

	node *node
}

// ManagedServer is how a test sees a server.
type ManagedServer struct {
	Name    string
	Cluster string // there is none
	Port    int
	Ports   map[string]int // of other listeners: there are none
	URL     string
}

// CreateServer starts a server and waits until it is ready.
func (c *Client) CreateServer(t testing.TB, jetStream bool, options ...CreateOption) *Instance {
	t.Helper()
	if jetStream {
		t.Fatal("natsgo: the test asks for JetStream")
	}
	var s settings
	s.apply(options)
	n, err := newNode(s)
	if err != nil {
		t.Fatal(err)
	}
	inst := &Instance{
		ID:      n.name,
		Servers: []*ManagedServer{{Name: n.name, Port: n.port, Ports: map[string]int{}, URL: n.url()}},
		TLS:     n.tls,
		node:    n,
	}
	if err := n.start(); err != nil {
		inst.Destroy(t)
		t.Fatal(err)
	}
	return inst
}

// CreateCluster fails the test.
func (c *Client) CreateCluster(t testing.TB, _ int, _ bool, _ ...CreateOption) *Instance {
	t.Helper()
	t.Fatal("natsgo: the test asks for a cluster")
	return nil
}

// WaitForJetStream fails the test.
func (c *Client) WaitForJetStream(t testing.TB, _ *nats.Conn) {
	t.Helper()
	t.Fatal("natsgo: the test asks for JetStream")
}

// StopServer stops the server as its operator would, and waits for its end.
func (i *Instance) StopServer(t testing.TB, _ *ManagedServer) {
	t.Helper()
	if err := i.node.stop(); err != nil {
		t.Fatal(err)
	}
}

// StartServer starts a stopped server again, on the same port and with the configuration that is in its directory now.
func (i *Instance) StartServer(t testing.TB, _ *ManagedServer) {
	t.Helper()
	if err := i.node.start(); err != nil {
		t.Fatal(err)
	}
}

// UpdateServer writes a new configuration, of which only the certificates stay as they were. The server does not read it before
// ReloadServer or StartServer.
func (i *Instance) UpdateServer(t testing.TB, _ *ManagedServer, options ...CreateOption) {
	t.Helper()
	s := settings{tls: i.node.settings.tls}
	s.apply(options)
	i.node.settings = s
	if err := i.node.configure(); err != nil {
		t.Fatal(err)
	}
}

// ReloadServer makes the server read its configuration again, and waits until it has.
func (i *Instance) ReloadServer(t testing.TB, _ *ManagedServer) {
	t.Helper()
	if err := i.node.reload(); err != nil {
		t.Fatal(err)
	}
}

// Destroy stops the server and removes its directory. The end of its log goes to the log of a test that failed.
func (i *Instance) Destroy(t testing.TB) {
	t.Helper()
	err := i.node.stop()
	if t.Failed() {
		t.Logf("natsgo: server %s, directory %s:\n%s", i.ID, i.node.dir, i.node.logTail())
	}
	if err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(i.node.dir); err != nil {
		t.Error(err)
	}
}

// file returns the path of a file in the server's directory.
func (n *node) file(name string) string { return filepath.Join(n.dir, name) }

// CreateOption is one wish of a test about its server, at its start or for UpdateServer.
type CreateOption func(*settings)

// settings are all wishes of a test. The texts are pieces of a configuration file of nats-server.
type settings struct {
	texts []string // in the order of the options
	tls   *tlsSettings
	slow  bool // to stop: see WithLameDuck
}

func (s *settings) apply(options []CreateOption) {
	for _, option := range options {
		option(s)
	}
}

func withText(text string) CreateOption {
	return func(s *settings) { s.texts = append(s.texts, text) }
}

// WithAccounts adds a block of accounts.
func WithAccounts(text string) CreateOption { return withText(text) }

// WithAuthorization adds a block of users.
func WithAuthorization(text string) CreateOption { return withText(text) }

// WithSystemAccount adds the line that names the system account.
func WithSystemAccount(text string) CreateOption { return withText(text) }

// WithTopLevel adds any lines.
func WithTopLevel(text string) CreateOption { return withText(text) }

// WithJetStream is accepted; CreateServer then fails the test.
func WithJetStream(text string) CreateOption { return withText(text) }

// WithLeafNode adds a block that no server under test has.
func WithLeafNode(text string) CreateOption { return withText(text) }

// WithWebSocket adds a block that no server under test has.
func WithWebSocket(text string) CreateOption { return withText(text) }

// WithTLSTimeout changes how long a TLS handshake may take.
func WithTLSTimeout(d time.Duration) CreateOption {
	return func(s *settings) {
		changed := *s.tls
		changed.timeout = d
		s.tls = &changed
	}
}

package ntf

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// node is one server: a directory, a port and, while it runs, a process. One goroutine at a time may use it.
type node struct {
	// Fixed at its making.
	program program
	name    string
	dir     string
	port    int // where it listens for clients
	admin   int // another free port, for what the program needs
	tls     *TLSMaterial

	settings settings
	process  *process // nil: it does not run
}

// program is what knows one kind of server.
type program interface {
	// configure writes the configuration of n.
	configure(n *node) error
	// argv is the command that runs n.
	argv(n *node) []string
	// ready tells whether n serves clients.
	ready(n *node) bool
	// reloads counts how often n has read its configuration again; an error says that it refused to.
	reloads(n *node) (int, error)
	// lameDuck is the signal to stop gently.
	lameDuck() os.Signal
}

// programFromEnv returns the program under test.
func programFromEnv() (program, error) {
	ours, theirs := os.Getenv("NATSGO_SERVER"), os.Getenv("NATSGO_NATS_SERVER")
	switch {
	case ours != "" && theirs != "":
		return nil, errors.New("natsgo: NATSGO_SERVER and NATSGO_NATS_SERVER are both set")
	case ours != "":
		return roundhouse(ours), nil
	case theirs != "":
		return natsServer(theirs), nil
	}
	return nil, errors.New("natsgo: neither NATSGO_SERVER nor NATSGO_NATS_SERVER names a server program")
}

const (
	startLimit = 10 * time.Second
	stopLimit  = 10 * time.Second
	logFile    = "log"
)

var nodes atomic.Int64 // made so far, for names

// newNode makes a server that does not run yet.
func newNode(s settings) (*node, error) {
	program, err := programFromEnv()
	if err != nil {
		return nil, err
	}
	n := &node{program: program, name: fmt.Sprintf("natsgo-%d-%d", os.Getpid(), nodes.Add(1)), settings: s}
	if n.port, err = freePort(); err != nil {
		return nil, err
	}
	if n.admin, err = freePort(); err != nil {
		return nil, err
	}
	if n.dir, err = os.MkdirTemp("", n.name+"-"); err != nil {
		return nil, err
	}
	if s.tls != nil {
		err = n.writeCertificates()
	}
	if err == nil {
		err = n.configure()
	}
	if err != nil {
		_ = os.RemoveAll(n.dir) // err says what is wrong
		return nil, err
	}
	return n, nil
}

// firstPort and ports are the range that servers listen in: below the one that the system takes clients' ports from. Otherwise a client
// could be given the port of a server that is stopped for a moment.
const (
	firstPort = 20000
	ports     = 10000
)

var nextPort = atomic.Int64{}

func init() { nextPort.Store(rand.Int64N(ports)) } // two runs at a time should not meet

// freePort returns a port on which nobody listens, another one each time.
func freePort() (int, error) {
	for range ports {
		port := firstPort + int(nextPort.Add(1)%ports)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("natsgo: no free port from %d on", firstPort)
}

func (n *node) url() string        { return fmt.Sprintf("nats://localhost:%d", n.port) }
func (n *node) listen() string     { return fmt.Sprintf("127.0.0.1:%d", n.port) }
func (n *node) adminAddr() string  { return fmt.Sprintf("127.0.0.1:%d", n.admin) }
func (n *node) configure() error   { return n.program.configure(n) }
func (n *node) log() (text []byte) { text, _ = os.ReadFile(n.file(logFile)); return text } // none yet: empty

// logTail returns the end of the server's log.
func (n *node) logTail() string {
	text := n.log()
	return string(text[max(0, len(text)-8<<10):])
}

// process is a running server.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended; then cmd.ProcessState is set
}

// start runs the server and waits until it is ready.
func (n *node) start() error {
	if n.process != nil {
		return fmt.Errorf("natsgo: server %s runs already", n.name)
	}
	if err := os.Remove(n.file(logFile)); err != nil && !os.IsNotExist(err) {
		return err
	}
	log, err := os.OpenFile(n.file(logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own descriptor
	argv := n.program.argv(n)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = n.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := startForLife(cmd); err != nil {
		return fmt.Errorf("natsgo: start a server: %w", err)
	}
	p := &process{cmd, make(chan struct{})}
	go func() { // ends with the process; stop waits for it
		_ = cmd.Wait() // its exit code does not matter
		close(p.ended)
	}()
	n.process = p
	return n.wait("start", func() (bool, error) {
		select {
		case <-p.ended:
			return false, fmt.Errorf("it ended: %v", cmd.ProcessState)
		default:
			return n.program.ready(n), nil
		}
	})
}

// stop ends the server with SIGINT. One that does not end is killed, and that is an error.
func (n *node) stop() error {
	p := n.process
	if p == nil {
		return nil
	}
	n.process = nil
	_ = p.cmd.Process.Signal(syscall.SIGINT) // it may have ended
	select {
	case <-p.ended:
		return nil
	case <-time.After(stopLimit):
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
	return fmt.Errorf("natsgo: server %s did not end within %v of SIGINT, and was killed", n.name, stopLimit)
}

// reload makes the server read its configuration again.
func (n *node) reload() error {
	if n.process == nil {
		return fmt.Errorf("natsgo: server %s does not run", n.name)
	}
	before, err := n.program.reloads(n)
	if err != nil {
		return err
	}
	if err := n.process.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	return n.wait("reload", func() (bool, error) {
		now, err := n.program.reloads(n)
		return now > before, err
	})
}

// wait asks done again and again until it says so.
func (n *node) wait(what string, done func() (bool, error)) error {
	for limit := time.Now().Add(startLimit); ; time.Sleep(5 * time.Millisecond) {
		ok, err := done()
		switch {
		case err != nil:
			return fmt.Errorf("natsgo: %s server %s: %w\n%s", what, n.name, err, n.logTail())
		case ok:
			return nil
		case time.Now().After(limit):
			return fmt.Errorf("natsgo: %s server %s: not done within %v\n%s", what, n.name, startLimit, n.logTail())
		}
	}
}

// commands are started by one thread that lives as long as this process: a server gets its SIGKILL (Pdeathsig) when the thread ends
// that started it, and then no server outlives the tests, however they end.
var commands = make(chan func())

func init() {
	go func() { // never ends
		runtime.LockOSThread()
		for run := range commands {
			run()
		}
	}()
}

func startForLife(cmd *exec.Cmd) error {
	result := make(chan error)
	commands <- func() { result <- cmd.Start() }
	return <-result
}

// natsServer is the path of a nats-server.
type natsServer string

func (s natsServer) argv(n *node) []string { return []string{string(s), "-c", n.file("nats.conf")} }

func (s natsServer) configure(n *node) error {
	text := fmt.Sprintf("server_name: %s\nlisten: %q\n", n.name, n.listen())
	if t := n.settings.tls; t != nil {
		text += fmt.Sprintf("tls {\n cert_file: %q\n key_file: %q\n timeout: %s\n", n.file(serverCertFile), n.file(serverKeyFile),
			strconv.FormatFloat(t.timeout.Seconds(), 'f', -1, 64))
		if !t.serverOnly {
			text += fmt.Sprintf(" ca_file: %q\n verify: true\n", n.file(caFile))
		}
		text += fmt.Sprintf(" handshake_first: %v\n}\n", t.first)
	}
	if n.settings.slow {
		text += "lame_duck_grace_period: \"2s\"\nlame_duck_duration: \"30s\"\n"
	}
	return os.WriteFile(n.file("nats.conf"), []byte(text+strings.Join(n.settings.texts, "\n")), 0o600)
}

func (s natsServer) ready(n *node) bool { return bytes.Contains(n.log(), []byte("Server is ready")) }

func (s natsServer) reloads(n *node) (int, error) {
	log := n.log()
	if bytes.Contains(log, []byte("Failed to reload server configuration")) {
		return 0, errors.New("it refused")
	}
	return bytes.Count(log, []byte("Reloaded server configuration")), nil
}

func (s natsServer) lameDuck() os.Signal { return syscall.SIGUSR2 }

package harness

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
)

const (
	sshdPath = "/usr/sbin/sshd" // sshd insists on being started by its absolute path
	// sshdEmptyDir is where sshd confines its unprivileged half. The path is compiled in; without the directory root's sshd ends.
	sshdEmptyDir = "/run/sshd"
)

const sshdConf = `ListenAddress %[1]s
HostKey %[2]s
AuthorizedKeysFile %[3]s
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowTcpForwarding yes
LogLevel ERROR
`

// startSSH runs an sshd of the current user and `ssh -N -R` to it: the tunnel that an administrator would try first.
func startSSH(ctx context.Context, l *Lab, originPort int) (*Contender, error) {
	var ports [2]int
	for i := range ports {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		ports[i] = port
	}
	sshd, key, err := startSSHD(ctx, l, ports[0])
	if err != nil {
		return nil, err
	}
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("harness: %w", err)
	}
	client, err := l.Start("ssh", "ssh", "-F", "none", "-N", "-i", key, "-p", strconv.Itoa(ports[0]),
		"-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "ExitOnForwardFailure=yes", "-o", "LogLevel=ERROR",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile="+filepath.Join(l.Dir, "known_hosts"),
		"-R", Address(ports[1])+":"+Address(originPort), me.Username+"@127.0.0.1")
	if err != nil {
		return nil, err
	}
	return &Contender{Name: "ssh", URL: "http://" + Address(ports[1]) + "/", Procs: []*Process{sshd, client}}, nil
}

// startSSHD starts sshd with fresh keys, waits until it listens and returns the path of the user's private key.
func startSSHD(ctx context.Context, l *Lab, port int) (*Process, string, error) {
	if os.Geteuid() == 0 {
		if err := os.Mkdir(sshdEmptyDir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, "", fmt.Errorf("harness: %w", err)
		}
	}
	host, key := filepath.Join(l.Dir, "host_key"), filepath.Join(l.Dir, "user_key")
	for _, path := range []string{host, key} {
		out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path).CombinedOutput()
		if err != nil {
			return nil, "", fmt.Errorf("harness: ssh-keygen: %w: %s", err, out)
		}
	}
	conf, err := l.WriteFile("sshd_config", fmt.Sprintf(sshdConf, Address(port), host, key+".pub"))
	if err != nil {
		return nil, "", err
	}
	p, err := l.Start("sshd", sshdPath, "-D", "-e", "-f", conf)
	if err != nil {
		return nil, "", err
	}
	return p, key, WaitListening(ctx, p, port)
}

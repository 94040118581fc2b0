package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	ntf "github.com/synadia-io/orbit.go/ntf-client"
)

// npmDir has the check and its package.json.
const npmDir = "npm"

// npmVariant is a server that the check runs against, and what it is told about it.
type npmVariant struct {
	name   string
	server []ntf.CreateOption
	flags  []string
}

const limitedUser = `authorization { users = [ { user: limited, password: secret, permissions: {
  publish: { deny: denied }
  subscribe: { deny: denied }
} } ] }`

var npmVariants = []npmVariant{
	{"plain", nil, []string{"--restart"}},
	{"lame duck", []ntf.CreateOption{ntf.WithLameDuck()}, []string{"--lame-duck", "--only", "lame duck"}},
	{"user", []ntf.CreateOption{ntf.WithAuthorization(`authorization { user: somebody, password: "s3cr3t" }`)},
		[]string{"--user", "somebody", "--pass", "s3cr3t", "--restart"}},
	{"token", []ntf.CreateOption{ntf.WithAuthorization(`authorization { token: "s3cr3t-t0ken" }`)}, []string{"--token", "s3cr3t-t0ken"}},
	{"limited user", []ntf.CreateOption{ntf.WithAuthorization(limitedUser)}, []string{"--user", "limited", "--pass", "secret", "--limited"}},
	{"TLS", []ntf.CreateOption{ntf.WithGeneratedTLS(ntf.TLSServerOnly())}, []string{"--restart"}},
	{"TLS with clients' certificates", []ntf.CreateOption{ntf.WithGeneratedTLS()}, nil},
	{"TLS first", []ntf.CreateOption{ntf.WithGeneratedTLS(ntf.TLSServerOnly(), ntf.TLSHandshakeFirst())}, []string{"--tls-first"}},
}

// checkNPM installs the npm package and runs the check against each kind of server.
func checkNPM(ctx context.Context, o options, dir string) error {
	if err := os.Setenv(o.variable(), o.server); err != nil { // the servers are started from here
		return err
	}
	install := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir = npmDir
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	var failed []error
	for _, v := range npmVariants {
		fmt.Printf("== %s\n", v.name)
		if err := v.check(ctx, dir); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", v.name, err))
		}
	}
	return errors.Join(failed...)
}

func (v npmVariant) check(ctx context.Context, dir string) error {
	server, err := ntf.NewStandalone(v.server...)
	if err != nil {
		return err
	}
	defer server.Close()
	files, err := certificates(server.TLS(), dir)
	if err != nil {
		return err
	}
	args := append([]string{"check.mjs", fmt.Sprintf("localhost:%d", server.Port())}, append(files, v.flags...)...)
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Dir, cmd.Stderr = npmDir, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	obeyErr := obey(server, out, in)
	if obeyErr != nil {
		_ = cmd.Process.Kill() // nobody carries out its orders; obeyErr says why
	}
	if err := errors.Join(obeyErr, cmd.Wait()); err != nil {
		return fmt.Errorf("%w\n%s", err, server.Log())
	}
	return nil
}

// certificates writes what a client needs and returns the flags that say where.
func certificates(tls *ntf.TLSMaterial, dir string) (flags []string, err error) {
	if tls == nil {
		return nil, nil
	}
	for _, f := range []struct{ flag, text string }{{"--ca", tls.CAPEM}, {"--cert", tls.ClientCertPEM}, {"--key", tls.ClientKeyPEM}} {
		if f.text == "" {
			continue
		}
		path := filepath.Join(dir, strings.TrimLeft(f.flag, "-")+".pem")
		if err := os.WriteFile(path, []byte(f.text), 0o600); err != nil {
			return nil, err
		}
		flags = append(flags, f.flag, path)
	}
	return flags, nil
}

// obey prints what the check says and carries out its orders.
func obey(server *ntf.Standalone, out io.Reader, in io.Writer) error {
	for lines := bufio.NewScanner(out); ; {
		if !lines.Scan() {
			return lines.Err()
		}
		order, ok := strings.CutPrefix(lines.Text(), "@")
		if !ok {
			fmt.Println(lines.Text())
			continue
		}
		err := fmt.Errorf("unknown order %q", order)
		switch order {
		case "restart":
			err = server.Restart()
		case "lame-duck":
			err = server.LameDuck()
		}
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(in, "done"); err != nil {
			return err
		}
	}
}

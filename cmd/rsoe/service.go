package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"roundhouse/cmd/process"
	"roundhouse/server/config"
	"roundhouse/server/outbound"
)

const serviceUsage = `rsoe service makes an enabler a service of systemd.

usage: rsoe service install   [NAME] [--print] [--user] [--run-as USER] [--unit-dir DIR] OPTIONS OF RSOE
       rsoe service uninstall [NAME] [--user] [--unit-dir DIR]
       rsoe service start | stop | status [NAME] [--user]

  NAME            of the service (rsoe)
  --print         write what would be installed to the terminal, without the token and passwords, and install nothing
  --user          a service of this user instead of the system's
  --run-as USER   the user that it runs as (root)
  --unit-dir DIR  where the files go (/etc/systemd/system and /etc/rsoe; of a user ~/.config/systemd/user and ~/.config/rsoe);
                  then systemd is not told

The options go to a file that only their user may read, so that the token is not in the list of processes.
`

// service is one call of rsoe service.
type service struct {
	verb, name  string
	print, user bool
	runAs       string
	unitDir     string
	args        []string // of rsoe
	out, errOut io.Writer
}

// runService returns the exit code.
func runService(args []string, env func(string) string, out, errOut io.Writer) int {
	s := &service{out: out, errOut: errOut}
	err := s.parse(args)
	if err == nil {
		err = s.do(env)
	}
	var exit *exec.ExitError
	var wrong *usageError
	switch {
	case err == nil:
		return process.ExitOK
	case errors.Is(err, config.ErrHelp):
		fmt.Fprint(out, serviceUsage)
		return process.ExitOK
	case errors.As(err, &wrong):
		fmt.Fprintf(errOut, "rsoe service: %v\nsee: rsoe service -h\n", err)
		return process.ExitUsage
	case errors.As(err, &exit) && exit.ExitCode() > 0: // systemctl has said why, or what
		return exit.ExitCode()
	}
	fmt.Fprintf(errOut, "rsoe service: %v\n", err)
	return process.ExitRuntime
}

type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// parse reads the command line after the word service. What it does not know is for rsoe.
func (s *service) parse(args []string) error {
	if len(args) == 0 {
		return usagef("what to do is missing")
	}
	s.verb, s.name, args = args[0], "rsoe", args[1:]
	switch s.verb {
	case "-h", "-help", "--help", "help":
		return config.ErrHelp
	case "install", "uninstall", "start", "stop", "status":
	default:
		return usagef("%q: there are install, uninstall, start, stop, status", s.verb)
	}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") && !strings.HasPrefix(args[0], "@") {
		s.name, args = args[0], args[1:]
	}
	if !isServiceName(s.name) {
		return usagef("name %q: letters, digits, - and _, at most 64", s.name)
	}
	flags := flag.NewFlagSet("rsoe service", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&s.print, "print", false, "")
	flags.BoolVar(&s.user, "user", false, "")
	flags.StringVar(&s.runAs, "run-as", "", "")
	flags.StringVar(&s.unitDir, "unit-dir", "", "")
	var ours []string // with two dashes: rsoe's options have one
	for i := 0; i < len(args); i++ {
		name, _, isWhole := strings.Cut(strings.TrimPrefix(args[i], "--"), "=")
		known := flags.Lookup(name)
		if !strings.HasPrefix(args[i], "--") || known == nil {
			s.args = append(s.args, args[i])
			continue
		}
		ours = append(ours, args[i])
		if b, ok := known.Value.(interface{ IsBoolFlag() bool }); (!ok || !b.IsBoolFlag()) && !isWhole && i+1 < len(args) {
			i++
			ours = append(ours, args[i])
		}
	}
	if err := flags.Parse(ours); err != nil {
		return usagef("%v", err)
	}
	switch {
	case s.verb != "install" && len(s.args) > 0:
		return usagef("%s: takes no options of rsoe", s.verb)
	case s.user && s.runAs != "":
		return usagef("--run-as: a service of a user runs as that user")
	}
	return nil
}

func isServiceName(s string) bool {
	return s != "" && len(s) <= 64 && s[0] != '-' && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

func (s *service) do(env func(string) string) error {
	unit := s.name + ".service"
	switch s.verb {
	case "install":
		return s.install(env)
	case "uninstall":
		return s.uninstall()
	case "start": // not until the relay is reached: that may take for ever
		return s.systemctl("start", "--no-block", unit)
	case "stop":
		return s.systemctl("stop", unit)
	default:
		return s.systemctl("status", "--no-pager", unit)
	}
}

// paths returns the unit file and the file of the options.
func (s *service) paths() (unit, options string, err error) {
	units, others := "/etc/systemd/system", "/etc/rsoe"
	switch {
	case s.unitDir != "":
		dir, err := filepath.Abs(s.unitDir)
		if err != nil {
			return "", "", err
		}
		units, others = dir, dir
	case s.user:
		dir, err := os.UserConfigDir()
		if err != nil {
			return "", "", err
		}
		units, others = filepath.Join(dir, "systemd", "user"), filepath.Join(dir, "rsoe")
	}
	return filepath.Join(units, s.name+".service"), filepath.Join(others, s.name+".options"), nil
}

// install writes the unit and the options and has systemd read them.
func (s *service) install(env func(string) string) error {
	enabler, warnings, err := config.ParseEnabler(s.args, env, os.ReadFile)
	switch {
	case errors.Is(err, config.ErrHelp), errors.Is(err, config.ErrVersion):
		return config.ErrHelp
	case err != nil:
		return usagef("%v", err)
	case enabler.Stop || enabler.Check || enabler.Daemon:
		return usagef("-s, -check and -ud are not for a service")
	}
	for _, w := range warnings {
		fmt.Fprintf(s.errOut, "warning: %s\n", w)
	}
	if err := outbound.CheckFiles(enabler); err != nil { // they may come later
		fmt.Fprintf(s.errOut, "warning: %v\n", err)
	}
	if enabler.EnvProxies != nil {
		fmt.Fprintf(s.errOut, "warning: option \"-e\": the service has an environment of its own: put HTTP_PROXY and the like there (systemctl edit %s), or give proxy_host\n", s.name)
	}
	if s.runAs != "" {
		if _, err := user.Lookup(s.runAs); err != nil {
			return fmt.Errorf("--run-as: %w", err)
		}
	}
	unitPath, optionsPath, err := s.paths()
	if err != nil {
		return err
	}
	options, err := optionsFile(s.args, env)
	if err != nil {
		return err
	}
	unit, err := s.unit(enabler, optionsPath)
	if err != nil {
		return err
	}
	if s.print {
		_, err := fmt.Fprintf(s.out, "# %s\n%s\n# %s, mode 0600, holds the %d arguments of rsoe\n", unitPath, unit, optionsPath, len(s.args))
		return err
	}
	if err := s.writeFile(optionsPath, options, 0o600); err != nil {
		return err
	}
	if s.runAs != "" {
		if err := giveTo(optionsPath, s.runAs); err != nil {
			return err
		}
	}
	if err := s.writeFile(unitPath, unit, 0o644); err != nil {
		return err
	}
	if err := s.systemctl("daemon-reload"); err != nil {
		return err
	}
	if err := s.systemctl("enable", s.name+".service"); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "rsoe service start %s%s starts it\n", s.name, map[bool]string{true: " --user"}[s.user])
	return nil
}

// optionsFile is what @FILE reads as the arguments: one a line, in quotes where they need them.
func optionsFile(args []string, env func(string) string) ([]byte, error) {
	var b bytes.Buffer
	for _, a := range args {
		switch name, isRef := strings.CutPrefix(a, "@"); {
		case strings.ContainsAny(a, "\"\n\r"):
			return nil, usagef("an argument with a double quote or a line end cannot be written to a file of options: use single quotes in it")
		case isRef && env(name) != "":
			return nil, usagef("%s is an environment variable, which the service will not have: name a file", a)
		case isRef && strings.ContainsAny(a, " \t"):
			return nil, usagef("%s: a name without blanks is needed in a file of options", a)
		case isRef || isPlainOption(a):
			b.WriteString(a + "\n")
		default:
			b.WriteString(`"` + a + "\"\n")
		}
	}
	return b.Bytes(), nil
}

// isPlainOption tells whether an argument needs no quotes: they would take the meaning from an option.
func isPlainOption(a string) bool { return strings.HasPrefix(a, "-") && !strings.ContainsAny(a, " \t") }

// unit is the unit file.
func (s *service) unit(e *config.Enabler, options string) ([]byte, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	more, target := "ProtectKernelTunables=yes\nProtectControlGroups=yes\nRestrictSUIDSGID=yes\n", "multi-user.target"
	switch {
	case s.user:
		more, target = "", "default.target"
	case s.runAs != "":
		more += "User=" + unitText(s.runAs) + "\n"
	}
	return []byte(`[Unit]
Description=Outbound enabler ` + unitText(e.ID+" of farm "+e.Farm) + `
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
ExecStart=` + unitWord(program) + " " + unitWord("@"+options) + `
WorkingDirectory=` + unitText(dir) + `
Restart=on-failure
RestartSec=5
# A command line with mistakes stays one.
RestartPreventExitStatus=2 78
# It is ready with the first lane to a relay, however long that takes.
TimeoutStartSec=infinity
# It says twice within this time that its event loops work.
WatchdogSec=60
# Requests in flight may take half a minute.
TimeoutStopSec=45
LimitNOFILE=65536
NoNewPrivileges=yes
` + more + `
[Install]
WantedBy=` + target + "\n"), nil
}

// unitText is a text in a unit file: systemd.unit(5), specifiers.
func unitText(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// unitWord is a word of a command line in a unit file: systemd.service(5), command lines.
func unitWord(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", "$$").Replace(unitText(s))
	return `"` + s + `"`
}

// writeFile puts a file in place, or in the place of another one, as a whole.
func (s *service) writeFile(path string, text []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".rsoe") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails when it has found its place
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "written: %s\n", path)
	return nil
}

func giveTo(path, name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("--run-as: %w", err)
	}
	uid, errUID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	return errors.Join(errUID, errGID, os.Chown(path, uid, gid))
}

// uninstall ends the service and removes its files.
func (s *service) uninstall() error {
	unit, options, err := s.paths()
	if err != nil {
		return err
	}
	if _, err := os.Stat(unit); err != nil {
		return fmt.Errorf("%s is not installed: %w", s.name, err)
	}
	if err := s.systemctl("disable", "--now", s.name+".service"); err != nil {
		return err
	}
	for _, path := range []string{unit, options} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		fmt.Fprintf(s.out, "removed: %s\n", path)
	}
	return s.systemctl("daemon-reload")
}

// systemctl tells systemd, or says what to run where there is none, and where the files are not in its directories.
func (s *service) systemctl(args ...string) error {
	if s.user {
		args = append([]string{"--user"}, args...)
	}
	program, err := exec.LookPath("systemctl")
	if err != nil || s.unitDir != "" || !systemdRuns() {
		fmt.Fprintf(s.out, "to do: systemctl %s\n", strings.Join(args, " "))
		return nil
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = s.out, s.errOut
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("systemctl %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// systemdRuns tells whether systemd has started this system: sd_booted(3).
var systemdRuns = func() bool {
	info, err := os.Lstat("/run/systemd/system")
	return err == nil && info.IsDir()
}

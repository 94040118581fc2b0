package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roundhouse/server"
	"roundhouse/server/config"
)

// TestServerOrders sees what the subcommands ask for.
func TestServerOrders(t *testing.T) {
	var asked string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		asked = r.Method + " " + r.URL.Path + " " + r.Form.Encode() + " " + r.Header.Get("Authorization")
		if r.Form.Get("farm") == "none" {
			w.WriteHeader(http.StatusConflict)
		}
		_, _ = w.Write([]byte("done\n"))
	}))
	defer s.Close()
	for _, row := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"drain", "shop/web1"}, 0, "POST /api/drain farm=shop&server=web1"},
		{[]string{"drain", "shop"}, 0, "POST /api/drain farm=shop&server="},
		{[]string{"resume", "a/b", "c/d"}, 0, "POST /api/resume farm=a%2Fb&server=c%2Fd"},
		{[]string{"kick", "a/b/c"}, 0, "POST /api/kick farm=a%2Fb&server=c"},
		{[]string{"verbosity", "3"}, 0, "PUT /api/verbosity level=3"},
		{[]string{"verbosity", "inherit", "shop/web1"}, 0, "PUT /api/verbosity farm=shop&level=inherit&server=web1"},
		{[]string{"drain", "none"}, 1, "POST /api/drain farm=none&server="},
		{[]string{"drain"}, 2, ""},
	} {
		asked = ""
		var out, errOut bytes.Buffer
		code := run(append(row.args, "--admin", s.Listener.Addr().String()), []string{tokenVariable + "=x"}, &out, &errOut)
		if want := row.want; code != row.code || asked != want && asked != want+" Bearer x" || code == 0 && out.String() != "done\n" {
			t.Errorf("%v: %d %q, %s%s", row.args, code, asked, out.String(), errOut.String())
		}
		if strings.HasPrefix(asked, "POST") && !strings.HasSuffix(asked, "Bearer x") {
			t.Errorf("%v: no token: %q", row.args, asked)
		}
	}
}

// TestConfigure puts a text in the place of the file of a running server.
func TestConfigure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.toml")
	text := func(farm string) string {
		return "[relay]\nlisten = [\"127.0.0.1:0\"]\n[[relay.farm]]\nid = \"" + farm + "\"\n[admin]\nlisten = \"\"\n"
	}
	if err := os.WriteFile(path, []byte(text("a")), 0o640); err != nil {
		t.Fatal(err)
	}
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	sources := config.Sources{TOML: link}
	cfg, _, err := config.Load(sources)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s, err := server.New(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // ends with ctx; waited for below
	r := &reloader{sources: sources, log: log}
	content := func() string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if _, _, err := r.configure(s, []byte("[relay]\nlisten = 5"), false); err == nil || content() != text("a") || s.Generation() != 1 {
		t.Errorf("mistakes: %v, %q", err, content())
	}
	if _, _, err := r.configure(s, []byte(text("b")), true); err != nil || content() != text("a") || s.Generation() != 1 {
		t.Errorf("dry run: %v, %q", err, content())
	}
	if done, _, err := r.configure(s, []byte(text("b")), false); err != nil || content() != text("b") || done.Generation != 2 {
		t.Errorf("in force: %+v, %v, %q", done, err, content())
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link: %v, %v", info, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file: %v, %v", info, err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".roundhouse-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	r.sources.RSConfig = "x"
	if _, _, err := r.configure(s, []byte(text("c")), true); !errors.Is(err, errManyFiles) {
		t.Errorf("two files: %v", err)
	}
	if _, err := r.tail(1); !errors.Is(err, errNoLogFile) {
		t.Errorf("no log file: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParseRshost(t *testing.T) {
	for _, row := range []struct {
		args string
		want rshostOptions
		err  string
	}{
		{"", rshostOptions{file: "rs.config"}, ""},
		{"-f a -o b -os 10MB -q -qc -oq", rshostOptions{file: "a", log: "b", size: "10MB"}, ""},
		{"-ot b", rshostOptions{file: "rs.config", log: "b", truncate: true}, ""},
		{"-ot b -o c", rshostOptions{file: "rs.config", log: "c"}, ""},
		{"-ot b -f c", rshostOptions{file: "c", log: "b", truncate: true}, ""},
		{"-e", rshostOptions{file: "rs.config", expand: true}, ""},
		{"-f a -u", rshostOptions{file: "a", update: true}, ""},
		{"-ua", rshostOptions{file: "rs.config", archive: true}, ""},
		{"-os 9K", rshostOptions{}, `option -os: value "9K"`},
		{"-os many", rshostOptions{}, `option -os: value "many"`},
		{"-f", rshostOptions{}, "option -f: no value"},
		{"-x", rshostOptions{}, `"-x": no such option`},
		{"file", rshostOptions{}, `"file": no such option`},
	} {
		got, err := parseRshost(strings.Fields(row.args))
		switch {
		case row.err != "":
			if err == nil || !strings.Contains(err.Error(), row.err) {
				t.Errorf("%q: error %v, want %q", row.args, err, row.err)
			}
		case err != nil || got != row.want:
			t.Errorf("%q: %+v, %v, want %+v", row.args, got, err, row.want)
		}
	}
}

// TestArguments takes the command line of rshost under its name, and leaves others alone.
func TestArguments(t *testing.T) {
	for _, row := range []struct{ argv, want []string }{
		{[]string{"/usr/bin/rshost", "-u"}, []string{"rshost", "-u"}},
		{[]string{"bin/roundhouse", "serve"}, []string{"serve"}},
		{[]string{"roundhouse"}, []string{}},
		{nil, []string{}},
	} {
		if got := append([]string{}, arguments(row.argv)...); !reflect.DeepEqual(got, row.want) {
			t.Errorf("%q: %q, want %q", row.argv, got, row.want)
		}
	}
}

func TestAdminAddr(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:8081": "127.0.0.1:8081", ":9": "127.0.0.1:9", "0.0.0.0:9": "127.0.0.1:9", "[::]:9": "[::1]:9", "host:9": "host:9",
		"": "", "127.0.0.1:0": "",
	} {
		got, err := adminAddr(listen)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", listen, got, err, want)
		}
	}
}

// TestOrders has a server that is not there, one that refuses and one that does what it is told.
func TestOrders(t *testing.T) {
	var form, path string
	status, answer := http.StatusOK, "generation 2\nneeds a new start: relay.listen\n"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, form = r.URL.Path, r.PostFormValue("rs_config")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	addr := s.Listener.Addr().String()
	dir := t.TempDir()
	file := filepath.Join(dir, "rs.config")
	if err := os.WriteFile(file, []byte("[options]\nx_admin_listen = "+addr+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	do := func(args ...string) (int, string, string) {
		var out, errOut bytes.Buffer
		code := run(args, nil, &out, &errOut)
		return code, out.String(), errOut.String()
	}
	if code, out, _ := do("reload", "--admin", addr); code != 0 || out != answer || path != "/api/reload" || form != "" {
		t.Errorf("reload: %d, %q; asked for %q with %q", code, out, path, form)
	}
	if code, out, _ := do("rshost", "-u", "-f", file, "-q", "-qc"); code != 0 || out != answer || path != "/api/reload" || form != file {
		t.Errorf("rshost -u: %d, %q; asked for %q with %q", code, out, path, form)
	}
	if code, out, _ := do("rshost", "-ua", "-f", file); code != 0 || out != answer || path != "/api/log/archive" {
		t.Errorf("rshost -ua: %d, %q; asked for %q", code, out, path)
	}
	status, answer = http.StatusConflict, "rs.config:1: it is wrong\n\x1b[2Jrs.config:2: too\n"
	if code, _, text := do("reload", "--admin", addr); code != 78 || text != "rs.config:1: it is wrong\n?[2Jrs.config:2: too\n" {
		t.Errorf("refused: %d, %q", code, text)
	}
	if code, _, text := do("rshost", "-ua", "-f", file); code != 1 || !strings.Contains(text, "it is wrong") {
		t.Errorf("refused: %d, %q", code, text)
	}
	status = http.StatusForbidden
	if code, _, text := do("reload", "--admin", addr); code != 1 || !strings.Contains(text, "403") {
		t.Errorf("forbidden: %d, %q", code, text)
	}
	s.Close()
	if code, _, _ := do("reload", "--admin", addr); code != 1 {
		t.Errorf("nobody there: %d", code)
	}
	if code, _, text := do("rshost", "-u", "-f", file+".none"); code != 78 || !strings.Contains(text, "cannot read") {
		t.Errorf("no file: %d, %q", code, text)
	}
	if code, _, text := do("rshost", "-x"); code != 2 || !strings.Contains(text, "Usage: rshost") {
		t.Errorf("wrong use: %d, %q", code, text)
	}
	if code, out, _ := do("rshost", "-h"); code != 0 || out != rshostUsage {
		t.Errorf("help: %d, %q", code, out)
	}
}

// TestReadPlain reads a file and nothing that could last for ever.
func TestReadPlain(t *testing.T) {
	file := write(t, "rs.config", "text")
	if b, err := readPlain(file); string(b) != "text" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	for _, path := range []string{"/dev/zero", filepath.Dir(file), file + ".none"} {
		if _, err := readPlain(path); err == nil {
			t.Errorf("%s was read", path)
		}
	}
}

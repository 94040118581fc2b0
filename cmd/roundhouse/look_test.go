package main

import (
	"bytes"
	"crypto/x509/pkix"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roundhouse/server/certs/certstest"
)

// TestFilesThatAreNamed has wrong files at every door: check names all of them with their places, and a start ends as with every other
// mistake of the configuration.
func TestFilesThatAreNamed(t *testing.T) {
	dir := t.TempDir()
	certText, keyText := certstest.New(t, "authority").Issue(t, pkix.Name{CommonName: "x"})
	cert, key := certstest.Write(t, dir, "cert.pem", certText), certstest.Write(t, dir, "key.pem", keyText)
	none := filepath.Join(dir, "none")
	file := certstest.Write(t, dir, "rs.config", []byte("[options]\nx_listen = 127.0.0.1:0\nx_tls_listen = 127.0.0.1:0\nx_tls_cert = "+key+
		"\nx_tls_key = "+cert+"\nx_client_ca = "+none+"\nx_log_file = "+filepath.Join(none, "log")+"\nx_access_log = "+dir+
		"\n[backend_farm]\nid = F\nx_error_pages = "+none+"\n"))
	certstest.Write(t, dir, "eserver.cfg", []byte("PortNumber=0\nEngine_default=engine -q\nTLSPortNumber=1\nTLSCert="+cert+"\nTLSKey="+none+"\n"))
	more := []string{"--eserver", filepath.Join(dir, "eserver.cfg"), "--set", "router.nats.listen=127.0.0.1:0", "--set", "router.nats.tls_cert=" + none,
		"--set", "router.nats.tls_key=" + key, "--set", "router.tls_cert=" + cert, "--set", "router.tls_key=" + key, "--set", "router.tls_client_ca=" + key}
	want := []string{
		file + `:4:14: field "x_tls_cert": value "` + key + `": no certificate in it: it has "PRIVATE KEY"`,
		file + `:5:13: field "x_tls_key": value "` + cert + `": no private key in it: it has "CERTIFICATE"`,
		file + `:6:15: field "x_client_ca": value "` + none + `": no such file`,
		file + `:7:14: field "x_log_file": value "` + filepath.Join(none, "log") + `": a file in a directory that there is`,
		file + `:8:16: field "x_access_log": value "` + dir + `": a file, not a directory`,
		file + `:11:17: field "x_error_pages": value "` + none + `": no such file`,
		`eserver.cfg:5:1: field "TLSKey": value "` + none + `": no such file`,
		`--set: field "router.nats.tls_cert": value "` + none + `": no such file`,
		`--set: field "router.tls_client_ca": value "` + key + `": no certificate in it`,
	}
	for _, command := range [][]string{
		append([]string{"check", "--rs-config", file}, more...), append([]string{"serve", "--rs-config", file}, more...), {"rshost", "-f", file},
	} {
		wanted := want
		if command[0] == "rshost" {
			wanted = want[:6]
		}
		var out, errOut bytes.Buffer
		code := run(command, nil, &out, &errOut)
		for _, line := range wanted {
			if code != 78 || !strings.Contains(errOut.String(), line) {
				t.Errorf("%s: exit code %d, want 78 and\n%s\ngot\n%s", command[0], code, line, errOut.String())
			}
		}
	}
	var out, errOut bytes.Buffer
	if code := run([]string{"import", "--rs-config", file}, nil, &out, &errOut); code != 0 {
		t.Errorf("import looks at files of another machine: %d, %s", code, errOut.String())
	}

	pages := filepath.Join(dir, "pages")
	if err := os.Mkdir(pages, 0o700); err != nil {
		t.Fatal(err)
	}
	certstest.Write(t, pages, "error.html", []byte("{{text}}"))
	right := certstest.Write(t, dir, "right.config", []byte("[options]\nx_tls_listen = :0\nx_tls_cert = "+cert+"\nx_tls_key = "+key+
		"\n[backend_farm]\nid = F\nx_error_pages = "+pages+"\n"))
	out.Reset()
	errOut.Reset()
	if code := run([]string{"check", "--rs-config", right}, nil, &out, &errOut); code != 0 || errOut.Len() > 0 {
		t.Errorf("files that are right: %d, %s", code, errOut.String())
	}
}

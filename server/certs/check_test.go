package certs

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roundhouse/server/certs/certstest"
)

// TestCheckNamesTheFile breaks one file after the other: only that one is found to be wrong, and New says the same.
func TestCheckNamesTheFile(t *testing.T) {
	p := newPlace(t)
	p.ClientCA = certstest.Write(t, p.dir, "ca.pem", p.ca.PEM())
	if faults, ends := p.Check(); faults != (Faults{}) || ends.Before(time.Now()) {
		t.Fatalf("all is well: %+v, %v", faults, ends)
	}
	cert, err := os.ReadFile(p.Cert)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(p.Key)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := pem.Decode(cert)
	_, otherKey := p.ca.Issue(t, pkix.Name{CommonName: "other"})
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der.Bytes[:len(der.Bytes)/2]})
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
	old := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte("x")})
	rubbish := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})
	for _, row := range []struct {
		file string
		text []byte
		want string
	}{
		{"cert", nil, "no such file"},
		{"cert", []byte{}, "no certificate in it: it is empty"},
		{"cert", der.Bytes, "no certificate in it: it is not PEM"},
		{"cert", key, `no certificate in it: it has "PRIVATE KEY"`},
		{"cert", broken, "x509"},
		{"cert", append(bytes.Clone(cert), broken...), "x509"},
		{"cert", append(bytes.Clone(cert), cert[:len(cert)/2]...), "cut off"},
		{"cert", append(bytes.Clone(cert), cert[:len(cert)-3]...), "cut off"},
		{"cert", append(bytes.Clone(cert), "-----BEG"...), "cut off"},
		{"cert", make([]byte, maxFile+1), "longer than"},
		{"key", nil, "no such file"},
		{"key", cert, `no private key in it: it has "CERTIFICATE"`},
		{"key", encrypted, "is encrypted"},
		{"key", old, "is encrypted"},
		{"key", rubbish, "does not go with the certificate in "},
		{"key", otherKey, "does not go with the certificate in "},
		{"ca", nil, "no such file"},
		{"ca", []byte("# nothing yet\n"), "no certificate in it: it is not PEM"},
		{"ca", append(bytes.Clone(cert), cert[:100]...), "cut off"},
		{"ca", key, `no certificate in it: it has "PRIVATE KEY"`},
	} {
		f := p.Files
		named := map[string]*string{"cert": &f.Cert, "key": &f.Key, "ca": &f.ClientCA}[row.file]
		*named = filepath.Join(p.dir, "none")
		if row.text != nil {
			*named = certstest.Write(t, p.dir, "broken", row.text)
		}
		faults, _ := f.Check()
		found := map[string]error{"cert": faults.Cert, "key": faults.Key, "ca": faults.ClientCA}
		for name, err := range found {
			if (err != nil) != (name == row.file) {
				t.Errorf("%s with %.40q: %s: %v", row.file, row.text, name, err)
			}
		}
		if err := found[row.file]; err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s with %.40q: %v, want %s", row.file, row.text, err, row.want)
		}
		if _, err := New(f, nil); err == nil || !strings.Contains(err.Error(), *named) {
			t.Errorf("%s with %.40q: New: %v", row.file, row.text, err)
		}
	}
	f := p.Files
	f.Cert = p.dir
	if faults, _ := f.Check(); faults.Cert == nil || !strings.Contains(faults.Cert.Error(), "a directory") {
		t.Errorf("a directory: %v", faults.Cert)
	}
	both := certstest.Write(t, p.dir, "both", append(bytes.Clone(key), cert...))
	if faults, _ := (Files{Cert: both, Key: both}).Check(); faults != (Faults{}) {
		t.Errorf("certificate and key in one file: %+v", faults)
	}
}

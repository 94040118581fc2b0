package outbound

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestEncryptedKeys reads keys that openssl pkcs8 -topk8 has written.
func TestEncryptedKeys(t *testing.T) {
	for _, row := range []struct {
		file, password string
		want           error
	}{
		{"key-aes256-sha256.pem", "sesame", nil},
		{"key-aes128-sha1.pem", "sesame", nil},
		{"key-aes256-sha256.pem", "", errNoPassword},
		{"key-des3.pem", "sesame", nil},
		{"key-aes256-sha384.pem", "sesame", nil},
		{"key-pbes1.pem", "sesame", errKeyForm},
		{"key-scrypt.pem", "sesame", errKeyForm},
	} {
		text, err := os.ReadFile(filepath.Join("testdata", row.file))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := pem.Decode(text)
		key, err := decrypt(b, row.password)
		if !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.file, err, row.want)
			continue
		}
		if row.want == nil {
			if _, err := x509.ParsePKCS8PrivateKey(key.Bytes); err != nil {
				t.Errorf("%s: %v", row.file, err)
			}
		}
		for n := range b.Bytes { // what is cut off is never taken for a key
			cut := *b
			cut.Bytes = b.Bytes[:n]
			if key, err := decrypt(&cut, "sesame"); err == nil {
				t.Errorf("%s, %d bytes: %v", row.file, n, key)
			}
		}
	}
	for _, password := range []string{"open", "sesam", "sesame ", "SESAME"} {
		text, err := os.ReadFile(filepath.Join("testdata", "key-aes256-sha256.pem"))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := pem.Decode(text)
		if _, err := decrypt(b, password); !errors.Is(err, errWrongPassword) {
			t.Errorf("the password %q: %v", password, err)
		}
	}
}

package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// Faults says what is wrong with each of the files of a Files. nil: nothing is.
type Faults struct {
	Cert, Key, ClientCA error
}

// Check reads the files as New does. ends is when the certificate ends to be right; zero when there is none that can be read.
func (f Files) Check() (faults Faults, ends time.Time) {
	var cert, key, roots []byte
	cert, faults.Cert = readFile(f.Cert)
	key, faults.Key = readFile(f.Key)
	if f.ClientCA != "" {
		roots, faults.ClientCA = readFile(f.ClientCA)
	}
	m := f.judge(cert, key, roots)
	faults.add(m.faults)
	if m.chain.Leaf != nil {
		ends = m.chain.Leaf.NotAfter
	}
	return faults, ends
}

// add takes over what is wrong where nothing was so far.
func (fs *Faults) add(more Faults) {
	for _, one := range []struct {
		to   *error
		from error
	}{{&fs.Cert, more.Cert}, {&fs.Key, more.Key}, {&fs.ClientCA, more.ClientCA}} {
		if *one.to == nil {
			*one.to = one.from
		}
	}
}

// err returns nil or an error that names the files.
func (fs *Faults) err(f Files) error {
	var all []error
	for _, one := range []struct {
		file string
		err  error
	}{{f.Cert, fs.Cert}, {f.Key, fs.Key}, {f.ClientCA, fs.ClientCA}} {
		if one.err != nil {
			all = append(all, fmt.Errorf("certs: %s: %w", one.file, one.err))
		}
	}
	return errors.Join(all...)
}

// maxFile is how long a file may be, in bytes: the roots of a system are a quarter of a MiB.
const maxFile = 4 << 20

// readFile reads a file of usual size. Its errors do not name it.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
	case info.IsDir():
		return nil, errors.New("a directory, not a file")
	case info.Size() > maxFile:
		return nil, fmt.Errorf("longer than %d bytes", maxFile)
	}
	text, err := os.ReadFile(name)
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		err = at.Err
	}
	return text, err
}

// material is what the texts of files say.
type material struct {
	chain  tls.Certificate
	roots  *x509.CertPool // nil: clients are asked for no certificate
	faults Faults
}

// judge reads the texts of the files. Those that are empty have been reported.
func (f Files) judge(cert, key, roots []byte) (m material) {
	m.faults = Faults{Cert: judgeChain(cert), Key: judgeKey(key)}
	if m.faults.Cert == nil && m.faults.Key == nil {
		var err error
		if m.chain, err = tls.X509KeyPair(cert, key); err != nil {
			m.faults.Key = fmt.Errorf("it does not go with the certificate in %s: %w", f.Cert, err)
		}
	}
	if f.ClientCA == "" {
		return m
	}
	switch m.roots = x509.NewCertPool(); {
	case !m.roots.AppendCertsFromPEM(roots):
		m.faults.ClientCA = fmt.Errorf("%w%s", errNoCertificate, found(roots))
	case !whole(roots):
		m.faults.ClientCA = errCut
	}
	return m
}

var (
	errNoCertificate = errors.New("no certificate in it")
	errNoKey         = errors.New("no private key in it")
	errCut           = errors.New("a part of it cannot be read: it may be cut off, or be written just now")
	errEncrypted     = errors.New("the private key is encrypted: keep it in clear, in a file that only this program may read (openssl pkey -in OLD -out NEW)")
)

// judgeChain tells what is wrong with the text of a certificate and those between it and its root.
func judgeChain(text []byte) error {
	some := false
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		some = true
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return err
		}
	}
	if !some {
		return fmt.Errorf("%w%s", errNoCertificate, found(text))
	}
	if !whole(text) {
		return errCut
	}
	return nil
}

// whole tells whether all that begins in a text of PEM can be read: encoding/pem leaves out the rest without a word. A certificate that has come
// without its intermediates, because its file is still being written, would be refused by clients.
func whole(text []byte) bool {
	begun, rest := bytes.Count(text, []byte("-----BEGIN ")), text
	for {
		block, more := pem.Decode(rest)
		if block == nil {
			return begun == 0 && !bytes.Contains(rest, []byte("-----"))
		}
		begun--
		rest = more
	}
}

// judgeKey tells what is wrong with the text of a private key. What is in a block is seen when it is taken with its certificate.
func judgeKey(text []byte) error {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return fmt.Errorf("%w%s", errNoKey, found(text))
		}
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return errEncrypted
		case block.Type == "PRIVATE KEY" || strings.HasSuffix(block.Type, " PRIVATE KEY"):
			return nil
		}
	}
}

// found says what there is in the place of what was looked for.
func found(text []byte) string {
	const most = 40 // bytes of a type
	block, _ := pem.Decode(text)
	switch {
	case len(text) == 0:
		return ": it is empty"
	case block == nil:
		return ": it is not PEM, which has a line -----BEGIN ...-----"
	}
	return fmt.Sprintf(": it has %.*q", most, block.Type)
}

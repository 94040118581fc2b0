package harness

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Body is a payload to be fetched: its bytes follow from its size.
type Body struct {
	Name string // the last part of its URL: "100b.bin", "64k.bin"
	Size int64  // bytes
}

// ParseBody reads "100", "64k" or "10m": powers of 1024.
func ParseBody(s string) (Body, error) {
	size, err := ParseSize(s)
	if err != nil {
		return Body{}, err
	}
	name := strings.ToLower(s)
	if name[len(name)-1] <= '9' {
		name += "b"
	}
	return Body{Name: name + ".bin", Size: size}, nil
}

// ParseSize reads a size in bytes above 0 with an optional b, k, m or g.
func ParseSize(s string) (int64, error) {
	digits, shift := strings.ToLower(s), 0
	for i, suffix := range []string{"b", "k", "m", "g"} {
		if cut, found := strings.CutSuffix(digits, suffix); found {
			digits, shift = cut, 10*i
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("harness: size %q: want a number above 0 with b, k, m or g", s)
	}
	return n << shift, nil
}

// NewBodyReader yields the bytes of a body: pseudo-random, seeded by the size, so that they do not compress and every end
// can compute them.
func NewBodyReader(size int64) io.Reader {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], uint64(size))
	return io.LimitReader(rand.NewChaCha8(seed), size)
}

// BodySum returns the SHA-256 of a body in hexadecimal digits. It takes about a second a GiB.
func BodySum(size int64) (string, error) {
	sum, _, err := SumReader(NewBodyReader(size))
	return sum, err
}

// SumReader reads r to its end and returns its SHA-256 in hexadecimal digits, and its length in bytes.
func SumReader(r io.Reader) (sum string, size int64, err error) {
	h := sha256.New()
	size, err = io.Copy(h, r)
	if err != nil {
		return "", size, fmt.Errorf("harness: after %d bytes: %w", size, err)
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

// checkClient opens a connection for each check, so that none is left over to be counted with the load's. Certificates are those of the lab:
// there is nobody to be told from others.
var checkClient = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
	DisableKeepAlives: true, DisableCompression: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
}}

// Verify gets the body through base and compares status, length and SHA-256.
func Verify(ctx context.Context, base string, body Body) error {
	want, err := BodySum(body.Size)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+body.Name, nil)
	if err != nil {
		return fmt.Errorf("harness: %w", err)
	}
	resp, err := checkClient.Do(req)
	if err != nil {
		return fmt.Errorf("harness: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("harness: GET %s: %s", req.URL, resp.Status)
	}
	sum, size, err := SumReader(resp.Body)
	if err != nil {
		return fmt.Errorf("harness: GET %s: %w", req.URL, err)
	}
	if size != body.Size || sum != want {
		return fmt.Errorf("harness: GET %s: %d bytes with SHA-256 %s, want %d with %s", req.URL, size, sum, body.Size, want)
	}
	return nil
}

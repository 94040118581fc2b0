package config

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// A hashed secret is {pbkdf2-sha256}i=ITERATIONS$SALT$HASH: PBKDF2 (RFC 8018) with HMAC-SHA-256, salt and hash in base64 without
// padding. It is what the standard library has; argon2id would be one more dependency.
const (
	hashScheme     = "{pbkdf2-sha256}"
	hashIterations = 600_000 // of HashSecret; about a quarter of a second
	leastHashes    = 1_000
	mostHashes     = 10_000_000 // a check must not keep a core for long
	leastSalt      = 8          // bytes
	mostSalt       = 64
	hashSize       = sha256.Size
)

// CheckSecret reports whether given is the secret that configured stands for, plain or hashed, in a time that tells nothing
// about how near it was. Nothing matches an empty or malformed configured.
//
// Where configured is hashed this takes as long as its iterations say, which is up to seconds: never call it on a loop.
func CheckSecret(configured, given string) bool {
	if configured == "" {
		return false
	}
	if !isHashed(configured) {
		want, got := sha256.Sum256([]byte(configured)), sha256.Sum256([]byte(given))
		return subtle.ConstantTimeCompare(want[:], got[:]) == 1
	}
	iterations, salt, want, ok := parseHashed(configured)
	if !ok {
		return false // Validate refuses it
	}
	got, err := pbkdf2.Key(sha256.New, given, salt, iterations, hashSize)
	return err == nil && subtle.ConstantTimeCompare(want, got) == 1
}

// HashSecret returns a form of plain to put into a file instead of it, another one each time. The error is that of a machine
// that allows no such hash.
func HashSecret(plain string) (string, error) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	hash, err := pbkdf2.Key(sha256.New, plain, salt, hashIterations, hashSize)
	if err != nil {
		return "", fmt.Errorf("config: hash of a secret: %w", err)
	}
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("%si=%d$%s$%s", hashScheme, hashIterations, encode(salt), encode(hash)), nil
}

// isHashed tells a hashed secret, right or not, from a plain one: it starts with the name of a scheme in braces.
func isHashed(s string) bool {
	if !strings.HasPrefix(s, "{") {
		return false
	}
	name, _, ok := strings.Cut(s[1:], "}")
	return ok && name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z')
	})
}

func parseHashed(s string) (iterations int, salt, hash []byte, ok bool) {
	rest, ok := strings.CutPrefix(s, hashScheme+"i=")
	parts := strings.Split(rest, "$")
	if !ok || len(parts) != 3 {
		return 0, nil, nil, false
	}
	iterations, errCount := strconv.Atoi(parts[0])
	salt, errSalt := base64.RawStdEncoding.Strict().DecodeString(parts[1])
	hash, errHash := base64.RawStdEncoding.Strict().DecodeString(parts[2])
	ok = errCount == nil && errSalt == nil && errHash == nil && leastHashes <= iterations && iterations <= mostHashes &&
		leastSalt <= len(salt) && len(salt) <= mostSalt && len(hash) == hashSize
	return iterations, salt, hash, ok
}

// judgeSecret returns "" or what would be right.
func judgeSecret(s string, hashable bool) string {
	_, _, _, hashRight := parseHashed(s)
	switch {
	case s == mask:
		return "the secret itself, not the mask of a dump"
	case len(s) > maxText || strings.ContainsFunc(s, isControl):
		return fmt.Sprintf("at most %d bytes without control characters", maxText)
	case hashable && isHashed(s) && !hashRight:
		return fmt.Sprintf("a plain secret, or %si=%d$SALT$HASH with %d to %d iterations", hashScheme, hashIterations, leastHashes, mostHashes)
	}
	return ""
}

package outbound

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
)

// What an encrypted private key of PKCS #8 holds (RFC 5958, section 3; RFC 8018, appendix A), as openssl makes it.
type (
	encryptedKey struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	pbes2Params  struct{ KeyFrom, Cipher pkix.AlgorithmIdentifier }
	pbkdf2Params struct {
		Salt       []byte
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		Hash       pkix.AlgorithmIdentifier `asn1:"optional"`
	}
)

var (
	oidPBES2  = "1.2.840.113549.1.5.13"
	oidPBKDF2 = "1.2.840.113549.1.5.12"

	keyHashes = map[string]func() hash.Hash{
		"":                    sha1.New, // RFC 8018, A.2: when there is none
		"1.2.840.113549.2.7":  sha1.New,
		"1.2.840.113549.2.9":  sha256.New,
		"1.2.840.113549.2.11": sha512.New,
	}
	keyCiphers = map[string]int{"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32} // AES-CBC, by bytes of key
)

// maxIterations bounds the work that a key file asks for.
const maxIterations = 10_000_000

var (
	errWrongPassword = errors.New("identity_password: the key does not open with it")
	errKeyForm       = errors.New("the key is encrypted in a way that is not known here: write it anew with openssl pkcs8 -topk8 -v2 aes-256-cbc")
)

// decryptPKCS8 decrypts a block ENCRYPTED PRIVATE KEY.
func decryptPKCS8(b *pem.Block, password string) (*pem.Block, error) {
	if password == "" {
		return nil, errNoPassword
	}
	var key encryptedKey
	var p pbes2Params
	var from pbkdf2Params
	var iv []byte
	for _, part := range []struct {
		der  func() []byte
		into any
	}{
		{func() []byte { return b.Bytes }, &key},
		{func() []byte { return key.Algorithm.Parameters.FullBytes }, &p},
		{func() []byte { return p.KeyFrom.Parameters.FullBytes }, &from},
		{func() []byte { return p.Cipher.Parameters.FullBytes }, &iv},
	} {
		if rest, err := asn1.Unmarshal(part.der(), part.into); err != nil || len(rest) > 0 {
			return nil, errKeyForm
		}
	}
	newHash, size := keyHashes[from.Hash.Algorithm.String()], keyCiphers[p.Cipher.Algorithm.String()]
	known := key.Algorithm.Algorithm.String() == oidPBES2 && p.KeyFrom.Algorithm.String() == oidPBKDF2 && newHash != nil && size > 0
	if !known || len(iv) != aes.BlockSize || from.Iterations < 1 || from.Iterations > maxIterations {
		return nil, errKeyForm
	}
	if len(key.Data) == 0 || len(key.Data)%aes.BlockSize != 0 {
		return nil, errKeyForm
	}
	secret, err := pbkdf2.Key(newHash, password, from.Salt, from.Iterations, size)
	if err != nil {
		return nil, fmt.Errorf("identity_password: %w", err)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fmt.Errorf("identity_password: %w", err)
	}
	plain := make([]byte, len(key.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, key.Data)
	pad := int(plain[len(plain)-1]) // RFC 8018, 6.1.1
	if pad < 1 || pad > aes.BlockSize {
		return nil, errWrongPassword
	}
	return &pem.Block{Type: "PRIVATE KEY", Bytes: plain[:len(plain)-pad]}, nil
}

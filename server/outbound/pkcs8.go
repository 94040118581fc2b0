package outbound

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
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
		"1.2.840.113549.2.8":  sha256.New224,
		"1.2.840.113549.2.9":  sha256.New,
		"1.2.840.113549.2.10": sha512.New384,
		"1.2.840.113549.2.11": sha512.New,
	}
	keyCiphers = map[string]keyCipher{ // all CBC
		"2.16.840.1.101.3.4.1.2":  {16, aes.NewCipher},
		"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
		"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher},
		"1.2.840.113549.3.7":      {24, des.NewTripleDESCipher},
	}
)

// keyCipher is how a key is encrypted.
type keyCipher struct {
	size int // of its key, in bytes
	new  func(key []byte) (cipher.Block, error)
}

// maxIterations bounds the work that a key file asks for.
const maxIterations = 10_000_000

var (
	errWrongPassword = errors.New("identity_password: the key does not open with it")
	errKeyForm       = errors.New("the key is encrypted in a way that is not known here: write it anew with openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW, " +
		"where -in takes this file, and append the certificate to NEW")
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
	newHash, how := keyHashes[from.Hash.Algorithm.String()], keyCiphers[p.Cipher.Algorithm.String()]
	known := key.Algorithm.Algorithm.String() == oidPBES2 && p.KeyFrom.Algorithm.String() == oidPBKDF2 && newHash != nil && how.new != nil
	if !known || from.Iterations < 1 || from.Iterations > maxIterations {
		return nil, errKeyForm
	}
	secret, err := pbkdf2.Key(newHash, password, from.Salt, from.Iterations, how.size)
	if err != nil {
		return nil, fmt.Errorf("identity_password: %w", err)
	}
	block, err := how.new(secret)
	if err != nil {
		return nil, fmt.Errorf("identity_password: %w", err)
	}
	if len(iv) != block.BlockSize() || len(key.Data) == 0 || len(key.Data)%block.BlockSize() != 0 {
		return nil, errKeyForm
	}
	plain := make([]byte, len(key.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, key.Data)
	pad := int(plain[len(plain)-1]) // RFC 8018, 6.1.1
	if pad < 1 || pad > block.BlockSize() {
		return nil, errWrongPassword
	}
	plain = plain[:len(plain)-pad]
	if _, err := x509.ParsePKCS8PrivateKey(plain); err != nil { // the padding of nonsense is right now and then
		return nil, errWrongPassword
	}
	return &pem.Block{Type: "PRIVATE KEY", Bytes: plain}, nil
}

package fuzz

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"testing"

	"roundhouse/routing/farm"
)

// FuzzSessionID parses anything, and what was made of the numbers in it. What is accepted is, by the standard library's word, what
// Append makes with that key and no other; what Append makes is accepted as it was, and not when one bit of it is another.
func FuzzSessionID(f *testing.F) {
	key := []byte("secret")
	for _, s := range []farm.Session{{}, {Server: 1<<64 - 1, Epoch: 1<<32 - 1, Socket: 1<<32 - 1, Issued: 1<<32 - 1}, {Server: 7, Issued: 29000000}} {
		id := farm.NewSigner(key).Append(nil, s)
		f.Add(key, id, uint16(0))
		f.Add(key, id, uint16(250))
		f.Add([]byte{}, id, uint16(8))
		f.Add(key, id[:len(id)-1], uint16(359))
		f.Add(key, append(bytes.Clone(id), '='), uint16(31))
		f.Add(key, append(bytes.Clone(id[:29]), append([]byte("\n"), id[29:44]...)...), uint16(240))
	}
	f.Fuzz(func(t *testing.T, key, in []byte, bit uint16) {
		one, other := farm.NewSigner(key), farm.NewSigner(append([]byte("x"), key...))
		if s, ok := one.Parse(in); ok {
			if want := standardID(key, s); !bytes.Equal(in, want) {
				t.Errorf("%q is accepted as %+v, which is %s", in, s, want)
			}
		} else if s != (farm.Session{}) {
			t.Errorf("%q is refused and says %+v", in, s)
		}

		var p [20]byte
		copy(p[:], in)
		s := farm.Session{
			Server: binary.BigEndian.Uint64(p[:]), Epoch: binary.BigEndian.Uint32(p[8:]),
			Socket: binary.BigEndian.Uint32(p[12:]), Issued: binary.BigEndian.Uint32(p[16:]),
		}
		id := one.Append(nil, s)
		if want := standardID(key, s); !bytes.Equal(id, want) || len(id) != farm.SessionIDLen || len(id) > 64 {
			t.Errorf("%+v is written as %s, not %s", s, id, want)
		}
		if got, ok := one.Parse(id); !ok || got != s {
			t.Errorf("%s is read as %+v %v, not %+v", id, got, ok, s)
		}
		if _, ok := other.Parse(id); ok {
			t.Errorf("%s is accepted with another key", id)
		}
		id[int(bit)/8%len(id)] ^= 1 << (bit % 8)
		if _, ok := one.Parse(id); ok {
			t.Errorf("%q is accepted, which is one bit from an id", id)
		}
	})
}

// standardID is the id of s by the standard library alone.
func standardID(key []byte, s farm.Session) []byte {
	p := binary.BigEndian.AppendUint64(nil, s.Server)
	p = binary.BigEndian.AppendUint32(p, s.Epoch)
	p = binary.BigEndian.AppendUint32(p, s.Socket)
	p = binary.BigEndian.AppendUint32(p, s.Issued)
	id := base64.RawURLEncoding.AppendEncode([]byte("v1."), p)
	mac := hmac.New(sha256.New, key)
	mac.Write(id)
	return base64.RawURLEncoding.AppendEncode(append(id, '.'), mac.Sum(nil)[:10])
}

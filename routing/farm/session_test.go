package farm

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"math"
	"strings"
	"testing"
)

var testSession = Session{Server: 0x0102030405060708, Epoch: 0x090a0b0c, Socket: 0x0d0e0f10, Issued: 0x11121314}

func TestSessionIDText(t *testing.T) {
	key := []byte("secret")
	id := NewSigner(key).Append([]byte("x="), testSession)
	signed := "v1." + base64.RawURLEncoding.EncodeToString([]byte("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14"))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(signed))
	if want := "x=" + signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:10]); string(id) != want {
		t.Errorf("id %s, want %s", id, want)
	}
	if len(id)-2 != SessionIDLen || SessionIDLen > 64 {
		t.Errorf("id of %d bytes, SessionIDLen = %d", len(id)-2, SessionIDLen)
	}
}

func TestSessionIDRoundTrip(t *testing.T) {
	a, b := NewSigner([]byte("one key")), NewSigner([]byte("one key"))
	other := NewSigner([]byte("other key"))
	for _, s := range []Session{
		{}, testSession, {Server: 1}, {Epoch: 1}, {Socket: 1}, {Issued: 1},
		{Server: math.MaxUint64, Epoch: math.MaxUint32, Socket: math.MaxUint32, Issued: math.MaxUint32},
	} {
		id := a.Append(nil, s)
		if got, ok := b.Parse(id); !ok || got != s {
			t.Errorf("Parse(%s) = %+v %v, want %+v", id, got, ok, s)
		}
		if got, ok := other.Parse(id); ok || got != (Session{}) {
			t.Errorf("%s is accepted with another key: %+v", id, got)
		}
	}
}

// TestSessionIDTampering puts every byte in the place of every byte of an id, and takes from and adds to it.
func TestSessionIDTampering(t *testing.T) {
	g := NewSigner([]byte("secret"))
	id := g.Append(nil, testSession)
	refuse := func(what string, b []byte) {
		t.Helper()
		if s, ok := g.Parse(b); ok || s != (Session{}) {
			t.Errorf("%s: %q is accepted: %+v", what, b, s)
		}
	}
	for i := range id {
		for c := range 256 {
			if byte(c) != id[i] {
				b := bytes.Clone(id)
				b[i] = byte(c)
				refuse("one byte changed", b)
			}
		}
		refuse("cut off", id[:i])
		refuse("one byte less", append(bytes.Clone(id[:i]), id[i+1:]...))
		for _, c := range []byte("A=\n\r .\x00") {
			refuse("one byte more", append(append(bytes.Clone(id[:i]), c), id[i:]...))
		}
	}
	for _, c := range []byte("A=\n\r .\x00") {
		refuse("one byte more", append(bytes.Clone(id), c))
	}
	refuse("nothing", nil)
	refuse("twice", append(bytes.Clone(id), id...))
	refuse("long", bytes.Repeat([]byte{'A'}, 1<<16))
	refuse("another version", bytes.Replace(id, []byte("v1"), []byte("v2"), 1))
	refuse("upper case", bytes.ToUpper(id))
	refuse("two of two ids", append(bytes.Clone(id[:macAt]), g.Append(nil, Session{})[macAt:]...))
	if s, ok := g.Parse(id); !ok || s != testSession {
		t.Errorf("after all that: %+v %v", s, ok)
	}
}

// TestSessionIDCanonical writes the same bytes in other ways, which a lax decoder would let through.
func TestSessionIDCanonical(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	g := NewSigner([]byte("secret"))
	id := g.Append(nil, Session{Server: math.MaxUint64, Epoch: math.MaxUint32, Socket: math.MaxUint32, Issued: math.MaxUint32})
	for at, unused := range map[int]int{signedLen - 1: 2, SessionIDLen - 1: 4} { // bits at the end of a part that say nothing
		digit := strings.IndexByte(alphabet, id[at])
		if digit&(1<<unused-1) != 0 {
			t.Fatalf("%s: unused bits are set at %d", id, at)
		}
		for n := 1; n < 1<<unused; n++ {
			b := bytes.Clone(id)
			b[at] = alphabet[digit|n]
			if _, ok := g.Parse(b); ok {
				t.Errorf("%s is accepted for %s", b, id)
			}
		}
	}
	std := []byte(strings.NewReplacer("-", "+", "_", "/").Replace(string(id)))
	if _, ok := g.Parse(std); ok || bytes.Equal(std, id) {
		t.Errorf("%s is accepted for %s", std, id)
	}
}

func TestSessionIDAllocatesNothing(t *testing.T) {
	g := NewSigner([]byte("secret"))
	bad := []byte("v1.AAAAAAAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAA")
	buf := make([]byte, 0, SessionIDLen)
	if n := testing.AllocsPerRun(100, func() {
		buf = g.Append(buf[:0], testSession)
		if _, ok := g.Parse(buf); !ok {
			t.Error("its own id is refused")
		}
		g.Parse(bad)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAffinityKey(t *testing.T) {
	const foo = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
	derived := func(tokens ...string) string { return string(AffinityKey("", tokens)) }
	rows := []struct {
		name string
		a, b string
		same bool
	}{
		{"configured", string(AffinityKey("k", []string{"a"})), "k", true},
		{"order", derived("a", "b", "c"), derived("c", "a", "b"), true},
		{"empty ones", derived("a", "", "b"), derived("a", "b"), true},
		{"twice the same", derived("a", "a"), derived("a"), true},
		{"digest", derived("foo", "a"), derived("a", foo), true},
		{"digest in upper case", derived("foo"), derived("sha256:" + strings.ToUpper(foo[7:])), true},
		{"no digest", derived("foo"), derived("sha256:2c26"), false},
		{"another token", derived("a"), derived("b"), false},
		{"one more", derived("a"), derived("a", "b"), false},
		{"cut elsewhere", derived("ab", "c"), derived("a", "bc"), false},
		{"none", derived(), derived("", ""), true},
		{"none and one", derived(), derived("a"), false},
	}
	for _, row := range rows {
		if (row.a == row.b) != row.same {
			t.Errorf("%s: %x and %x", row.name, row.a, row.b)
		}
	}
	if n := len(derived("a")); n != sha256.Size {
		t.Errorf("derived key of %d bytes", n)
	}
	if key := AffinityKey("", []string{""}); key != nil {
		t.Errorf("a key of nothing: %x", key)
	}
	tokens := []string{"b", "a"}
	if AffinityKey("", tokens); tokens[0] != "b" {
		t.Error("the caller's tokens are sorted")
	}
}

func BenchmarkSessionID(b *testing.B) {
	g := NewSigner([]byte("secret"))
	id := g.Append(nil, testSession)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			id = g.Append(id[:0], testSession)
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := g.Parse(id); !ok {
				b.Fatal("refused")
			}
		}
	})
}

package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"roundhouse/codec"
)

// headerRows are used by ParseHeader and, when nothing is wrong with them, by AppendHeader.
var headerRows = []struct {
	name, bytes string
	limit, size int
	err         error
}{
	{"nothing in it", "00000000", 0, 0, nil},
	{"one", "00000001", 1, 1, nil},
	{"every digit, upwards", "01234567", MaxSize, 1234567, nil},
	{"every digit, downwards", "98765432", MaxSize, 98765432, nil},
	{"below the limit", "00000099", 100, 99, nil},
	{"at the limit", "00000100", 100, 100, nil},
	{"over the limit", "00000101", 100, 0, codec.ErrTooLarge},
	{"far over the limit", "10000000", 100, 0, codec.ErrTooLarge},
	{"below the most", "99999998", MaxSize, 99999998, nil},
	{"the most", "99999999", MaxSize, MaxSize, nil},
	{"the most, one over", "99999999", MaxSize - 1, 0, codec.ErrTooLarge},
	{"nothing, nothing allowed", "00000001", 0, 0, codec.ErrTooLarge},
	{"plus", "+0000001", MaxSize, 0, codec.ErrMalformed},
	{"minus", "-0000001", MaxSize, 0, codec.ErrMalformed},
	{"minus zero", "-0000000", MaxSize, 0, codec.ErrMalformed},
	{"hexadecimal", "0x000001", MaxSize, 0, codec.ErrMalformed},
	{"hexadecimal digit", "0000000A", MaxSize, 0, codec.ErrMalformed},
	{"underscore", "000_0001", MaxSize, 0, codec.ErrMalformed},
	{"exponent", "000001e1", MaxSize, 0, codec.ErrMalformed},
	{"point", "000001.0", MaxSize, 0, codec.ErrMalformed},
	{"blanks in front", "       1", MaxSize, 0, codec.ErrMalformed},
	{"blanks behind", "1       ", MaxSize, 0, codec.ErrMalformed},
	{"NUL behind", "0000001\x00", MaxSize, 0, codec.ErrMalformed},
	{"blank", "        ", MaxSize, 0, codec.ErrMalformed},
	{"below the digits", "0000000/", MaxSize, 0, codec.ErrMalformed},
	{"above the digits", "0000000:", MaxSize, 0, codec.ErrMalformed},
	{"high bit", "0000000\xb1", MaxSize, 0, codec.ErrMalformed},
	{"digits of another script", "00000\xd9\xa1 ", MaxSize, 0, codec.ErrMalformed},
	{"HTTP", "GET / HT", MaxSize, 0, codec.ErrMalformed},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01", MaxSize, 0, codec.ErrMalformed},
	{"malformed before too large", "9999999x", 0, 0, codec.ErrMalformed},
}

func TestParseHeader(t *testing.T) {
	for _, row := range headerRows {
		t.Run(row.name, func(t *testing.T) {
			checkHeader(t, ParseHeader, row.bytes, row.limit, row.size, row.err)
			if row.err == nil {
				if got := string(AppendHeader([]byte("x"), row.size)); got != "x"+row.bytes {
					t.Errorf("AppendHeader(%d) = %q, want x%s", row.size, got, row.bytes)
				}
				checkHeader(t, ParsePadded, row.bytes, row.limit, row.size, nil)
			}
		})
	}
}

func TestParsePadded(t *testing.T) {
	rows := []struct {
		name, bytes string
		limit, size int
		err         error
	}{
		{"blanks in front", "      42", 42, 42, nil},
		{"blanks behind", "42      ", 42, 42, nil},
		{"blanks around", "   42   ", 42, 42, nil},
		{"NULs behind", "42\x00\x00\x00\x00\x00\x00", 42, 42, nil},
		{"NULs in front", "\x00\x00\x00\x00\x00\x0042", 42, 42, nil},
		{"blanks and NULs", " \x00 42 \x00 ", 42, 42, nil},
		{"blanks and zeros", "  000042", 42, 42, nil},
		{"seven digits", "9999999 ", MaxSize, 9999999, nil},
		{"over the limit", "      43", 42, 0, codec.ErrTooLarge},
		{"blank", "        ", MaxSize, 0, codec.ErrMalformed},
		{"NULs", "\x00\x00\x00\x00\x00\x00\x00\x00", MaxSize, 0, codec.ErrMalformed},
		{"blank between", "   4 2  ", MaxSize, 0, codec.ErrMalformed},
		{"NUL between", "   4\x002  ", MaxSize, 0, codec.ErrMalformed},
		{"tab", "\t     42", MaxSize, 0, codec.ErrMalformed},
		{"line end", "42    \r\n", MaxSize, 0, codec.ErrMalformed},
		{"plus", "     +42", MaxSize, 0, codec.ErrMalformed},
		{"minus", "     -42", MaxSize, 0, codec.ErrMalformed},
		{"hexadecimal", "    0x2A", MaxSize, 0, codec.ErrMalformed},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			checkHeader(t, ParsePadded, row.bytes, row.limit, row.size, row.err)
			if row.err != codec.ErrTooLarge {
				checkHeader(t, ParseHeader, row.bytes, row.limit, 0, codec.ErrMalformed)
			}
		})
	}
}

// checkHeader looks at the header alone, with a payload behind it, and at every truncation.
func checkHeader(t *testing.T, parse func([]byte, int) (int, int, error), header string, limit, size int, want error) {
	t.Helper()
	for _, in := range []string{header, header + "payload", header + "99999999"} {
		got, n, err := parse([]byte(in), limit)
		wantN := HeaderLen
		if want != nil {
			wantN = 0
		}
		if got != size || n != wantN || !errors.Is(err, want) {
			t.Errorf("%q, limit %d: %d, %d, %v; want %d, %d, %v", in, limit, got, n, err, size, wantN, want)
		}
	}
	for i := range header {
		if got, n, err := parse([]byte(header[:i]), limit); got != 0 || n != 0 || err != nil {
			t.Errorf("%q: %d, %d, %v; want that more is needed", header[:i], got, n, err)
		}
	}
}

// TestHeaderStarts tries every two bytes at the start of a header, before digits and before blanks and NULs.
func TestHeaderStarts(t *testing.T) {
	for i := range 1 << 16 {
		for _, rest := range []string{"000012", " \x00    "} {
			h := string([]byte{byte(i >> 8), byte(i)}) + rest
			size, n, err := ParseHeader([]byte(h), MaxSize)
			checkNaive(t, "ParseHeader", h, h, size, n, err)
			size, n, err = ParsePadded([]byte(h), MaxSize)
			checkNaive(t, "ParsePadded", h, strings.Trim(h, " \x00"), size, n, err)
		}
	}
}

// checkNaive compares what came of the header h with what strconv says of its digits.
func checkNaive(t *testing.T, parser, h, digits string, size, n int, err error) {
	t.Helper()
	want, wantErr := strconv.ParseUint(digits, 10, 64)
	ok := n == HeaderLen && err == nil && size == int(want)
	if wantErr != nil {
		ok = n == 0 && size == 0 && errors.Is(err, codec.ErrMalformed)
	}
	if !ok {
		t.Fatalf("%s(%q) = %d, %d, %v; strconv: %d, %v", parser, h, size, n, err, want, wantErr)
	}
}

// TestEightDigits tries every byte at every place, beside the lowest and the highest digits.
func TestEightDigits(t *testing.T) {
	for _, base := range []string{"00000000", "99999999", "12345678"} {
		for i := range base {
			for c := range 256 {
				b := []byte(base)
				b[i] = byte(c)
				if got, want := eightDigits(binary.LittleEndian.Uint64(b)), c >= '0' && c <= '9'; got != want {
					t.Fatalf("eightDigits(%q) = %v", b, got)
				}
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		var b [8]byte
		want := true
		for i := range b {
			b[i] = byte(0x2E + rng.IntN(13)) // a digit, or one of the three bytes beside them
			want = want && b[i] >= '0' && b[i] <= '9'
		}
		if got := eightDigits(binary.LittleEndian.Uint64(b[:])); got != want {
			t.Fatalf("eightDigits(%q) = %v", b, got)
		}
	}
}

// TestDecimal compares with strconv: every four digits in each half beside each repeated digit, and random ones.
func TestDecimal(t *testing.T) {
	check := func(v int) {
		s := fmt.Sprintf("%08d", v)
		want, err := strconv.Atoi(s)
		if got := decimal(binary.LittleEndian.Uint64([]byte(s))); err != nil || got != want {
			t.Fatalf("decimal(%q) = %d, want %d, %v", s, got, want, err)
		}
		if got := AppendHeader(nil, v); string(got) != s {
			t.Fatalf("AppendHeader(%d) = %q", v, got)
		}
	}
	for half := range 10_000 {
		for repeated := 0; repeated <= 9999; repeated += 1111 {
			check(half*10_000 + repeated)
			check(repeated*10_000 + half)
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50_000 {
		check(rng.IntN(MaxSize + 1))
	}
}

func TestPutHeaderRefusesItsCaller(t *testing.T) {
	for _, size := range []int{-1, MaxSize + 1} {
		func() {
			defer func() {
				if msg := fmt.Sprint(recover()); !strings.HasPrefix(msg, "BUG: frame") {
					t.Errorf("size %d: panic %q", size, msg)
				}
			}()
			PutHeader(make([]byte, HeaderLen), size)
		}()
	}
}

func TestHeaderAllocatesNothing(t *testing.T) {
	zeros, blanks := []byte("00004096"), []byte("    4096")
	dst := make([]byte, 0, 64)
	allocs := testing.AllocsPerRun(100, func() {
		size, _, err := ParseHeader(zeros, MaxSize)
		padded, _, errPadded := ParsePadded(blanks, MaxSize)
		_, n, errShort := ParseHeader(zeros[:7], MaxSize)
		if size != 4096 || padded != 4096 || n != 0 || err != nil || errPadded != nil || errShort != nil {
			t.Fatal("wrong")
		}
		dst = AppendHeader(dst[:0], size)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkParseHeader(b *testing.B) {
	h := []byte("00004096")
	b.SetBytes(HeaderLen)
	b.ReportAllocs()
	for b.Loop() {
		if size, _, err := ParseHeader(h, MaxSize); size != 4096 || err != nil {
			b.Fatal(size, err)
		}
	}
}

func BenchmarkParsePadded(b *testing.B) {
	for _, h := range []string{"00004096", "    4096"} {
		b.Run(fmt.Sprintf("header=%q", h), func(b *testing.B) {
			h := []byte(h)
			b.SetBytes(HeaderLen)
			b.ReportAllocs()
			for b.Loop() {
				if size, _, err := ParsePadded(h, MaxSize); size != 4096 || err != nil {
					b.Fatal(size, err)
				}
			}
		})
	}
}

func BenchmarkAppendHeader(b *testing.B) {
	dst := make([]byte, 0, 64)
	b.SetBytes(HeaderLen)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendHeader(dst[:0], 65536)
	}
}

package passport

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"roundhouse/codec"
)

// passportV2 and passportV3 are built field by field, as the package comment says.
func passportV2(flags, transaction string) string {
	return "2A54482A" + "02" + "00B9" + flags + strings.Repeat("20", 32) + "0000" + strings.Repeat("20", 32) + strings.Repeat("20", 40) + "0000" +
		strings.Repeat("20", 32) + hex.EncodeToString([]byte(transaction)) + "2A54482A"
}

func passportV3(length, flags, transaction, root, connection, counter, parts string) string {
	return "2a54482a" + "03" + length + flags + strings.Repeat("20", 32) + "0000" + strings.Repeat("20", 32) + strings.Repeat("20", 40) + "0000" +
		strings.Repeat("20", 32) + hex.EncodeToString([]byte(transaction)) + "202020" + "0007" + root + connection + counter + "000000e2" + parts + "2a54482a"
}

const (
	transaction = "a65762116e4e48b6b1fccdc428785d49"
	root        = "dd880e77415f4811bd0b08bcd75cfb74"
	connection  = "a6b60d0f83c340bd8e2458ef6bd29774"
)

func TestParse(t *testing.T) {
	for _, row := range []struct {
		text, suffix string
		level        Level
	}{
		{passportV2("0000", transaction), "#SAP-PPK#V2#" + transaction, Low},
		{passportV2("890A", strings.ToUpper(transaction)), "#SAP-PPK#V2#" + strings.ToUpper(transaction), Medium},
		{passportV3("00e6", "890d", transaction, root, connection, "00000002", ""), "#SAP-PPK#V3#" + transaction + "#" + root + "#" + connection + "#2", Medium},
		{passportV3("00e8", "9f0d", transaction, root, connection, "ffffffff", "0102"), "#SAP-PPK#V3#" + transaction + "#" + root + "#" + connection + "#4294967295", High},
	} {
		p, err := Parse([]byte(row.text))
		if got := string(p.Append(nil)); err != nil || got != row.suffix || p.Level != row.level {
			t.Errorf("%s: %v, %s, level %d", row.text, err, got, p.Level)
		}
	}
	if got := (&Passport{}).Append([]byte("x")); string(got) != "x" {
		t.Errorf("of none: %q", got)
	}
}

func TestParseRejects(t *testing.T) {
	right := passportV2("0000", transaction)
	for name, text := range map[string]string{
		"empty": "", "short": right[:len(right)-2], "odd": right + "0", "no hexadecimal": strings.Replace(right, "20", "2g", 1),
		"no eye catcher": strings.Replace(right, "2A54", "2B54", 1), "no end": right[:len(right)-8] + "00000000",
		"version 1": strings.Replace(right, "2A02", "2A01", 1), "version 4": strings.Replace(right, "2A02", "2A04", 1),
		"another length":            strings.Replace(right, "00B9", "00BA", 1),
		"version 2 too long":        strings.Replace(right[:len(right)-8], "00B9", "00BA", 1) + "002A54482A",
		"version 3 too short":       strings.Replace(right, "2A02", "2A03", 1),
		"a line in the transaction": passportV2("0000", "a65762116e4e48b6b1fccdc428785d4\n"), "a blank": passportV2("0000", strings.Repeat(" ", 32)),
	} {
		if p, err := Parse([]byte(text)); !errors.Is(err, codec.ErrMalformed) || p != (Passport{}) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if _, err := Parse([]byte(strings.Repeat("0", 2*MaxLen+2))); !errors.Is(err, codec.ErrTooLarge) {
		t.Errorf("too long: %v", err)
	}
	for n := range right {
		if _, err := Parse([]byte(right[:n])); err == nil {
			t.Errorf("the first %d digits are taken", n)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	text, out := []byte(passportV3("00e6", "890d", transaction, root, connection, "00000002", "")), make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		p, err := Parse(text)
		if err != nil {
			t.Error(err)
		}
		out = p.Append(out[:0])
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

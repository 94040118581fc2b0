package revcap

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"roundhouse/codec"
	"roundhouse/codec/frame"
)

// wire turns the readable form of a payload into bytes: ^ is a delimiter.
func wire(payload string) []byte { return []byte(strings.ReplaceAll(payload, "^", "\x01")) }

// framed is wire with a header.
func framed(payload string) string {
	return string(append(frame.AppendHeader(nil, len(payload)), wire(payload)...))
}

// orderRows are parsed and, by append, written.
var orderRows = []struct {
	name, payload string
	order         Order
	append        func(dst []byte, o Order) []byte
}{
	{"login", "1^1^joe^secret^BOOKS^2^RUN_ME^1^/srv/books^",
		Order{Code: 1, RID: 1, Login: Login{"joe", "secret", "BOOKS", "2", "RUN_ME", "1", "/srv/books"}}, appendLoginOf},
	{"empty login", "1^2^^^^^^^^", Order{Code: 1, RID: 2}, appendLoginOf},
	{"logoff", "2^0^", Order{Code: Logoff}, appendOrderOf},
	{"break", "100^12^", Order{Code: Break, RID: 12}, appendOrderOf},
	{"debug, the longest rid", "101^999999999999999999^", Order{Code: Debug, RID: 999999999999999999}, appendOrderOf},
	{"input", "19^3^yes", Order{Code: Input, RID: 3, Answer: []byte("yes")}, appendInputOf},
	{"empty input", "19^3^", Order{Code: Input, RID: 3, Answer: []byte{}}, appendInputOf},
	{"raw input", "19^3^a^b^", Order{Code: Input, RID: 3, Answer: wire("a^b^")}, appendInputOf},
	{"execute", "3^4^client^PROC^0^a^b^",
		Order{Code: Execute, RID: 4, Kind: []byte("client"), Procedure: []byte("PROC"), Args: wire("a^b^")}, appendCallOf},
	{"call without arguments", "4^5^startup^^1500^",
		Order{Code: Call, RID: 5, Kind: []byte("startup"), Procedure: []byte{}, DeadlineMs: 1500, Args: []byte{}}, appendCallOf},
	{"call with events, empty arguments", "400^6^timer^T^999999999999999^^^",
		Order{Code: CallEvents, RID: 6, Kind: []byte("timer"), Procedure: []byte("T"), DeadlineMs: 999999999999999, Args: wire("^^")}, appendCallOf},
	{"first verb", "5^7^client^^0^a^", Order{Code: 5, RID: 7, Kind: []byte("client"), Procedure: []byte{}, Args: wire("a^")}, appendCallOf},
	{"last verb", "99^7^client^^0^a", Order{Code: 99, RID: 7, Kind: []byte("client"), Procedure: []byte{}, Args: wire("a")}, appendCallOf},
}

func appendLoginOf(dst []byte, o Order) []byte { return AppendLogin(dst, o.RID, o.Login) }
func appendOrderOf(dst []byte, o Order) []byte { return AppendOrder(dst, o.Code, o.RID) }
func appendInputOf(dst []byte, o Order) []byte { return AppendInput(dst, o.RID, o.Answer) }
func appendCallOf(dst []byte, o Order) []byte {
	return append(AppendCallHead(dst, o.Code, o.RID, string(o.Kind), string(o.Procedure), o.DeadlineMs, len(o.Args)), o.Args...)
}

func TestOrders(t *testing.T) {
	for _, row := range orderRows {
		t.Run(row.name, func(t *testing.T) {
			got, err := ParseOrder(wire(row.payload))
			if err != nil || !sameOrder(got, row.order) {
				t.Errorf("%+v, %v; want %+v", got, err, row.order)
			}
			if out := row.append([]byte("x"), row.order); string(out) != "x"+framed(row.payload) {
				t.Errorf("written as %q, want x%q", out, framed(row.payload))
			}
		})
	}
}

// sameOrder takes an empty slice for a missing one.
func sameOrder(a, b Order) bool {
	return a.Code == b.Code && a.RID == b.RID && a.DeadlineMs == b.DeadlineMs && a.Login == b.Login &&
		bytes.Equal(a.Kind, b.Kind) && bytes.Equal(a.Procedure, b.Procedure) && bytes.Equal(a.Args, b.Args) && bytes.Equal(a.Answer, b.Answer)
}

// TestTruncatedOrders takes bytes from the end of each row: what is left is malformed until all fields are begun, and then says
// the same about the fields in front.
func TestTruncatedOrders(t *testing.T) {
	for _, row := range orderRows {
		whole := wire(row.payload)
		for i := range whole {
			o, err := ParseOrder(whole[:i:i])
			delimiters := strings.Count(string(whole[:i]), "\x01")
			needed := 1
			if IsCall(row.order.Code) {
				needed = 4
			}
			switch {
			case err != nil && (!errors.Is(err, codec.ErrMalformed) || !reflect.DeepEqual(o, Order{})):
				t.Errorf("%q: %+v, %v", whole[:i], o, err)
			case err == nil && delimiters < needed:
				t.Errorf("%q is taken for %+v", whole[:i], o)
			case err != nil && delimiters > needed:
				t.Errorf("%q: %v", whole[:i], err)
			}
		}
	}
}

func TestParseOrderTolerates(t *testing.T) {
	for _, row := range []struct {
		payload string
		want    Order
	}{
		{"2^0", Order{Code: Logoff}},
		{"100^7", Order{Code: Break, RID: 7}},
		{"19^7", Order{Code: Input, RID: 7}},
		{"3^7^client^P^0", Order{Code: Execute, RID: 7, Kind: []byte("client"), Procedure: []byte("P")}},
		{"1^7^joe", Order{Code: 1, RID: 7, Login: Login{User: "joe"}}},
		{"1^7", Order{Code: 1, RID: 7}},
		{"1^7^1^2^3^4^5^6^7^later^", Order{Code: 1, RID: 7, Login: Login{"1", "2", "3", "4", "5", "6", "7"}}},
	} {
		if got, err := ParseOrder(wire(row.payload)); err != nil || !sameOrder(got, row.want) {
			t.Errorf("%s: %+v, %v; want %+v", row.payload, got, err, row.want)
		}
	}
}

func TestParseOrderRefuses(t *testing.T) {
	for _, payload := range []string{
		"", "^", "^^", "1", "1^", "2^^", "x^1^", "-1^1^", "+2^1^", " 2^1^", "0^1^", "18^1^", "102^1^", "399^1^", "401^1^", "1000^1^", "0002^1^",
		"2^x^", "2^-1^", "2^ 1^", "2^1 ^", "2^1000000000000000000^", "2^0000000000000000001^",
		"2^0^x", "2^0^^", "100^1^now^",
		"3^1", "3^1^", "3^1^client", "3^1^client^P", "3^1^client^P^", "3^1^client^P^^", "3^1^client^P^x^", "3^1^client^P^-1^", "3^1^client^P^1.5^",
		"3^1^client^P^1000000000000000^",
	} {
		if o, err := ParseOrder(wire(payload)); !errors.Is(err, codec.ErrMalformed) || !reflect.DeepEqual(o, Order{}) {
			t.Errorf("%q: %+v, %v; want %v", payload, o, err, codec.ErrMalformed)
		}
	}
}

func TestIsCall(t *testing.T) {
	for code := -500; code <= 500; code++ {
		want := code == 3 || code == 4 || code == 400 || code >= 5 && code <= 17 || code >= 20 && code <= 99
		if got := IsCall(code); got != want {
			t.Errorf("IsCall(%d) = %v", code, got)
		}
	}
}

func TestNegativeDeadlineIsNone(t *testing.T) {
	if got := AppendCallHead(nil, Call, 1, KindClient, "P", -5, 0); string(got) != framed("4^1^client^P^0^") {
		t.Errorf("%q", got)
	}
}

func BenchmarkAppendCallHead(b *testing.B) {
	dst := make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendCallHead(dst[:0], Call, 123456, KindClient, "RUN_OECGI_REQUEST", 30_000, 512)
	}
}

func BenchmarkAppendOrder(b *testing.B) {
	dst := make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendOrder(dst[:0], Break, 123456)
	}
}

func BenchmarkParseOrder(b *testing.B) {
	payload := wire("4^123456^client^RUN_OECGI_REQUEST^30000^" + strings.Repeat("a", 64) + "^")
	b.ReportAllocs()
	for b.Loop() {
		if o, err := ParseOrder(payload); err != nil || o.RID != 123456 {
			b.Fatal(o, err)
		}
	}
}

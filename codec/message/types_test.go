package message

import (
	"slices"
	"strings"
	"testing"
)

func TestStandardTypes(t *testing.T) {
	names, numbers := map[string]bool{}, map[Type]bool{}
	all := slices.Concat(standard, monitoring)
	for _, d := range all {
		if names[d.Name] || numbers[d.Type] || d.Type > 0 || !ValidTypeName(d.Name) || d.Name != strings.ToLower(d.Name) {
			t.Errorf("%+v: twice, or not as it should be", d)
		}
		names[d.Name], numbers[d.Type] = true, true
		if d.Type.String() != d.Name || d.Type.Grammar() != d.Grammar {
			t.Errorf("%+v: %s, %s", d, d.Type, d.Type.Grammar())
		}
		if got, ok := TypeByName(strings.ToUpper(d.Name)); got != d.Type || !ok {
			t.Errorf("%s: %d, %v", d.Name, got, ok)
		}
	}
	count := func(suffix string) (n int) {
		for _, d := range monitoring {
			if strings.HasSuffix(d.Name, suffix) {
				n++
			}
		}
		return n
	}
	if count("_set_watch") != 14 || count("_status") != 14 || count("_poll_call") != 33 || count("_poll_result") != 33 {
		t.Error(count("_set_watch"), count("_status"), count("_poll_call"), count("_poll_result"))
	}
	// Spot checks of numbers that everybody else has to agree with.
	for name, number := range map[string]Type{"connect_call": -75, "control": -30, "subject_set_subscribe": -76, "jms_bytes": -914,
		"keep_alive_call": -19, "gmd_ack": -11, "mon_server_conn_status": -421, "mon_server_msg_traffic_poll_call": -471,
		"mon_client_ext_poll_result": -488, "mon_server_msg_traffic_ex_poll_call": -1505} {
		if got, ok := TypeByName(name); got != number || !ok {
			t.Errorf("%s is %d, %v; want %d", name, got, ok, number)
		}
	}
	if Type(100).String() != "100" || Type(-9999).String() != "-9999" || Type(100).Grammar() != "verbose" {
		t.Error(Type(100), Type(-9999), Type(100).Grammar())
	}
	if got, ok := TypeByName("order"); ok {
		t.Errorf("order is %d", got)
	}
}

func TestDefine(t *testing.T) {
	var ts Types
	if err := ts.Define(100, "Order_1%", "str /*symbol*/ { id real8 }"); err != nil {
		t.Fatal(err)
	}
	if d, ok := ts.ByName("ORDER_1%"); !ok || d.Type != 100 || d.Name != "order_1%" {
		t.Errorf("%+v, %v", d, ok)
	}
	if err := ts.Define(100, "order_1%", "verbose"); err != nil {
		t.Errorf("another grammar: %v", err)
	}
	if d, ok := ts.ByType(100); !ok || d.Grammar != "verbose" {
		t.Errorf("%+v, %v", d, ok)
	}
	if d, ok := (*Types)(nil).ByType(TypeInfo); !ok || d.Name != "info" {
		t.Errorf("nil: %+v, %v", d, ok)
	}
	if d, ok := ts.ByType(101); ok {
		t.Errorf("101 is %+v", d)
	}
	if d, ok := ts.ByName("other"); ok {
		t.Errorf("other is %+v", d)
	}
	for _, name := range []string{"x", "_", "A9%_", strings.Repeat("x", MaxTypeName)} {
		var ts Types
		if err := ts.Define(1, name, ""); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	rows := []struct {
		name    string
		number  Type
		grammar string
	}{
		{"", 1, ""}, {strings.Repeat("x", MaxTypeName+1), 1, ""}, {"9x", 1, ""}, {"a-b", 1, ""}, {"a b", 1, ""}, {"é", 1, ""}, {"\u212ax", 1, ""},
		{"a", 0, ""}, {"a", -1, ""}, {"info", 1, ""}, {"INFO", 1, ""}, {"order_1%", 1, ""}, {"other", 100, ""},
		{"verbose", 1, ""}, {"opaque", 1, ""}, {"Compressed", 1, ""},
		{"a", 1, "string"}, {"a", 1, "{"}, {"a", 1, "}"}, {"a", 1, "{ }"}, {"a", 1, "{ str } str"}, {"a", 1, "{ str } { str }"}, {"a", 1, "{ { str } }"},
		{"a", 1, "str /*"}, {"a", 1, "(* x */"}, {"a", 1, "verbose str"}, {"a", 1, "{ str"},
		{"a", 1, strings.Repeat("str ", maxSlots+1)}, {"a", 1, strings.Repeat(" ", maxGrammar+1)},
	}
	for _, row := range rows {
		if err := ts.Define(row.number, row.name, row.grammar); err == nil {
			t.Errorf("%q, %d, %.40q was defined", row.name, row.number, row.grammar)
		}
	}
}

func TestGrammar(t *testing.T) {
	g, err := parseGrammar("str/*label { id */int4(* x *){id\tint4_array}")
	if err != nil || !slices.Equal(g.fixed, []slot{{Str, false}, {Int4, false}}) || !slices.Equal(g.group, []slot{{Str, true}, {Int4Array, false}}) {
		t.Errorf("%+v, %v", g, err)
	}
	if g, err = parseGrammar(" "); err != nil || g.verbose || g.fixed != nil || g.group != nil {
		t.Errorf("%+v, %v", g, err)
	}
	if g, err = parseGrammar(" verbose /* x */"); err != nil || !g.verbose {
		t.Errorf("%+v, %v", g, err)
	}
}

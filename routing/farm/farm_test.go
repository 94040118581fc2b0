package farm

import (
	"strings"
	"testing"
)

func TestNewTable(t *testing.T) {
	rows := []struct {
		name    string
		farms   []FarmSpec
		servers []ServerSpec
		err     []string // what the error names; nil = none
	}{
		{"nothing", nil, nil, nil},
		{"a farm without servers", []FarmSpec{{ID: "web"}}, nil, nil},
		{"one id in two farms", []FarmSpec{{ID: "web"}, {ID: "shop"}}, []ServerSpec{{Farm: "web", ID: "a"}, {Farm: "shop", ID: "a"}}, nil},
		{"ids differ in case", []FarmSpec{{ID: "web"}, {ID: "Web"}}, nil, nil},
		{"farm twice", []FarmSpec{{ID: "web"}, {ID: "shop"}, {ID: "web"}}, nil, []string{`farm "web" is given twice`}},
		{"server twice", []FarmSpec{{ID: "web"}}, []ServerSpec{{Farm: "web", ID: "a"}, {Farm: "web", ID: "a"}}, []string{`server "a" of farm "web" is given twice`}},
		{"unknown farm", []FarmSpec{{ID: "web"}}, []ServerSpec{{Farm: "wed", ID: "a"}}, []string{`server "a": unknown farm "wed"`}},
		{"farm without id", []FarmSpec{{ID: "web"}, {}}, nil, []string{"farm number 2 has no id"}},
		{"server without id", []FarmSpec{{ID: "web"}}, []ServerSpec{{Farm: "web"}}, []string{`server of farm "web" has no id`}},
		{"all at once", []FarmSpec{{ID: "web"}, {ID: "web"}}, []ServerSpec{{Farm: "x", ID: "a"}, {Farm: "y", ID: "b"}}, []string{`"web"`, `"x"`, `"y"`}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			table, err := NewTable(row.farms, row.servers)
			if (err != nil) != (row.err != nil) || (table == nil) != (err != nil) {
				t.Fatalf("NewTable: %v, %v", table, err)
			}
			for _, want := range row.err {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %s: %v", want, err)
				}
			}
		})
	}
}

func TestTableLookup(t *testing.T) {
	table, err := NewTable(
		[]FarmSpec{{ID: "web", Enable: true}, {ID: "shop"}},
		[]ServerSpec{{Farm: "shop", ID: "a", Enable: true}, {Farm: "web", ID: "b"}, {Farm: "web", ID: "a", Enable: true}})
	if err != nil {
		t.Fatal(err)
	}
	web, shop := table.Farm([]byte("web")), table.Farm([]byte("shop"))
	if web == nil || shop == nil || table.Farm([]byte("we")) != nil || table.Farm(nil) != nil || len(table.Farms()) != 2 {
		t.Fatalf("farms: %v %v", web, shop)
	}
	if !web.Enable || shop.Enable || web.Index != 0 || shop.Index != 1 || table.Farms()[1] != shop {
		t.Errorf("farms: %+v %+v", web, shop)
	}
	if a, b := web.Server("a"), web.Server("b"); a != web.Servers[1] || b != web.Servers[0] || !a.Enable || b.Enable || a.Farm != web || a.Index != 2 {
		t.Errorf("servers: %+v %+v", a, b)
	}
	if shop.Server("b") != nil || shop.Server("a") == web.Server("a") {
		t.Errorf("servers of the other farm are found")
	}
	id := []byte("shop")
	if n := testing.AllocsPerRun(100, func() { table.Farm(id) }); n != 0 {
		t.Errorf("Farm allocates %v times", n)
	}
}

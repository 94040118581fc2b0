package farm

import (
	"strings"
	"testing"
	"time"
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
		[]FarmSpec{{ID: "web", Enable: true, Balance: P2C, EjectAfter: 5, EjectTime: time.Minute}, {ID: "shop"}},
		[]ServerSpec{{Farm: "shop", ID: "a", Enable: true, Priority: 7}, {Farm: "web", ID: "b"}, {Farm: "web", ID: "a", Enable: true}})
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
	if web.Balance != P2C || web.EjectAfter != 5 || web.EjectTime != time.Minute || shop.Server("a").Priority != 7 {
		t.Errorf("fields of the specs are lost: %+v %+v", web, shop.Server("a"))
	}
	for _, s := range []*Server{web.Server("a"), web.Server("b"), shop.Server("a")} {
		if s.Key != ServerKey(s.Farm.ID, s.ID) || s.Farm.ServerByKey(s.Key) != s {
			t.Errorf("server %s/%s is not found by its key", s.Farm.ID, s.ID)
		}
	}
	if web.ServerByKey(shop.Server("a").Key) != nil || web.ServerByKey(0) != nil {
		t.Error("a key of another farm, or none, finds a server")
	}
	id := []byte("shop")
	if n := testing.AllocsPerRun(100, func() { table.Farm(id) }); n != 0 {
		t.Errorf("Farm allocates %v times", n)
	}
}

func TestServerKey(t *testing.T) {
	// printf 'web\0a' | sha256sum
	if key := ServerKey("web", "a"); key != 0x559ea144aa3c5ef5 {
		t.Errorf("ServerKey = %#x", key)
	}
	if ServerKey("we", "ba") == ServerKey("web", "a") || ServerKey("a", "web") == ServerKey("web", "a") {
		t.Error("two servers have one key")
	}
}

package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"roundhouse/codec/lane"
	"roundhouse/server/config"
	"roundhouse/server/loop"
)

// tablesRelay starts a relay with two loops and the farms "f", with the servers "one" (which has a token), "off" and, where
// two is set, "two", and "closed", which is disabled.
func tablesRelay(t *testing.T, two bool) *Relay {
	t.Helper()
	before := goleak.IgnoreCurrent()
	cfg := config.Default()
	cfg.Relay.Listen = []string{"127.0.0.1:0"}
	f, closed := config.DefaultFarm(), config.DefaultFarm()
	f.ID, f.Description, closed.ID, closed.Enable = "f", "the farm", "closed", false
	cfg.Relay.Farms = []config.Farm{f, closed}
	for _, id := range []string{"one", "off", "two"} {
		b := config.DefaultBackend()
		b.Farm, b.ID, b.Enable = "f", id, id != "off"
		if id == "one" {
			b.Token = "s3cret"
		}
		if id != "two" || two {
			cfg.Relay.Backends = append(cfg.Relay.Backends, b)
		}
	}
	log := slog.New(slog.DiscardHandler)
	g, err := loop.New(loop.Options{Loops: 2, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := g.Stop(ctx); err != nil {
			t.Error(err)
		}
		// ants runs these for as long as the process lives.
		options := []goleak.Option{before, goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
			goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
			goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1")}
		for end := time.Now().Add(time.Minute); goleak.Find(options...) != nil && time.Now().Before(end); { // which itself waits half a second
		}
		goleak.VerifyNone(t, options...)
	})
	r, err := New(cfg, g, log, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// dialText connects to the relay and sends text.
func dialText(t *testing.T, r *Relay, text string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", r.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() }) // the relay may have closed it
	sendBytes(t, nc, []byte(text))
	return nc
}

func sendBytes(t *testing.T, nc net.Conn, b []byte) {
	t.Helper()
	if _, err := nc.Write(b); err != nil {
		t.Fatal(err)
	}
}

// openHalf opens one half of a lane.
func openHalf(t *testing.T, r *Relay, head, server string, number int) net.Conn {
	t.Helper()
	return dialText(t, r, fmt.Sprintf("%s\r\nHost: relay\r\nIas-Rs-Farm: f\r\nIas-Rs-Server: %s\r\nIas-Rs-Token: s3cret\r\nIas-Rs-Proto: 1\r\nIas-Rs-Lane: run/%d\r\n\r\n",
		head, server, number))
}

// openLane opens a whole lane and returns the half that packets are sent on.
func openLane(t *testing.T, r *Relay, server string, number int) net.Conn {
	t.Helper()
	openHalf(t, r, "GET /srv/iarelayserver HTTP/1.1\r\nIas-Rs-Op: up", server, number)
	down := openHalf(t, r, "POST /srv/iarelayserver HTTP/1.1\r\nTransfer-Encoding: chunked\r\nIas-Rs-Op: down", server, number)
	sendPacket(t, down, lane.AppendHello(nil, lane.Hello{Version: lane.Version, Lane: uint16(number), Window: 1 << 16, Heartbeat: 15000, MaxHead: 1 << 14}))
	return down
}

// sendPacket sends packets as one chunk.
func sendPacket(t *testing.T, nc net.Conn, packets []byte) {
	t.Helper()
	sendBytes(t, nc, fmt.Appendf(nil, "%x\r\n%s\r\n", len(packets), packets))
}

// until waits until ok is true of what get returns.
func until[T any](t *testing.T, get func() T, ok func(T) bool) T {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		got := get()
		if ok(got) {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("it stays %+v", got)
		}
		<-tick.C
	}
}

// serversWithoutTimes are the servers less what differs from run to run.
func serversWithoutTimes(r *Relay) []ServerRow {
	rows := r.Servers()
	for i := range rows {
		rows[i].Since, rows[i].RTT, rows[i].Kinds = time.Time{}, 0, nil
	}
	return rows
}

func same[T any](want T) func(T) bool {
	return func(got T) bool { return reflect.DeepEqual(got, want) }
}

func TestTablesBeforeTheFirstLane(t *testing.T) {
	r := tablesRelay(t, true)
	wantFarms := []FarmRow{
		{ID: "f", Enabled: true, Description: "the farm", Servers: 3, State: FarmUnavailable},
		{ID: "closed", State: FarmUnavailable},
	}
	if got := r.Farms(); !reflect.DeepEqual(got, wantFarms) {
		t.Errorf("farms %+v", got)
	}
	wantServers := []ServerRow{
		{Farm: "f", ID: "one", Enabled: true, Token: true},
		{Farm: "f", ID: "off"},
		{Farm: "f", ID: "two", Enabled: true},
	}
	if got := r.Servers(); !reflect.DeepEqual(got, wantServers) {
		t.Errorf("servers %+v", got)
	}
	rows, more := r.Connections(10)
	text, err := json.Marshal([]any{r.Lanes(), rows, more})
	if err != nil || string(text) != "[[],[],false]" {
		t.Errorf("lanes, connections and more: %s %v", text, err)
	}
}

// TestTablesFollowLanes opens the lanes of a farm one by one, and has one closed again.
func TestTablesFollowLanes(t *testing.T) {
	r := tablesRelay(t, true)
	farmIs := func(connected int, state string) {
		t.Helper()
		until(t, r.Farms, func(rows []FarmRow) bool { return rows[0].Connected == connected && rows[0].State == state })
	}
	first := openLane(t, r, "one", 0)
	farmIs(1, FarmDegraded)
	openLane(t, r, "one", 1)
	openLane(t, r, "two", 0)
	farmIs(2, FarmDegraded)
	openLane(t, r, "two", 1)
	farmIs(2, FarmAvailable)
	rows := r.Servers()
	if want := map[string]int{"http": 2}; !reflect.DeepEqual(rows[0].Kinds, want) {
		t.Errorf("kinds of lanes: %v, want %v", rows[0].Kinds, want)
	}
	if since := rows[0].Since; time.Since(since) > time.Minute || since.After(time.Now()) || !rows[1].Since.IsZero() {
		t.Errorf("since %v, and of the disabled one %v", since, rows[1].Since)
	}
	until(t, func() []ServerRow { return serversWithoutTimes(r) }, same([]ServerRow{
		{Farm: "f", ID: "one", Enabled: true, Token: true, Lanes: 2, Loops: 2, Up: true},
		{Farm: "f", ID: "off"},
		{Farm: "f", ID: "two", Enabled: true, Lanes: 2, Loops: 2, Up: true},
	}))

	sendPacket(t, first, lane.AppendStatus(nil, false, "refused"))
	until(t, func() ServerRow { return serversWithoutTimes(r)[0] },
		same(ServerRow{Farm: "f", ID: "one", Enabled: true, Token: true, Lanes: 2, Loops: 1}))
	farmIs(2, FarmDegraded)
	sendPacket(t, first, lane.AppendStatus(nil, true, "back"))
	farmIs(2, FarmAvailable)
	sendPacket(t, first, lane.AppendUint32(nil, lane.OpGoaway, 0, 1000))
	until(t, func() ServerRow { return serversWithoutTimes(r)[0] },
		same(ServerRow{Farm: "f", ID: "one", Enabled: true, Token: true, Lanes: 2, Draining: 1, Loops: 1, Up: true}))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, func() ServerRow { return serversWithoutTimes(r)[0] },
		same(ServerRow{Farm: "f", ID: "one", Enabled: true, Token: true, Lanes: 1, Loops: 1, Up: true}))
}

func TestLaneRows(t *testing.T) {
	r := tablesRelay(t, false)
	second := openLane(t, r, "one", 1)
	half := openHalf(t, r, "GET /srv/iarelayserver HTTP/1.1\r\nIas-Rs-Op: up", "one", 0)
	rows := until(t, r.Lanes, func(rows []LaneRow) bool { return len(rows) == 2 && !rows[1].Opening && !rows[1].Since.IsZero() })
	for i := range rows {
		if host, _, err := net.SplitHostPort(rows[i].Remote); err != nil || host != "127.0.0.1" || time.Since(rows[i].Since) > time.Minute {
			t.Errorf("row %d: remote %q, since %v", i, rows[i].Remote, rows[i].Since)
		}
		rows[i].Remote, rows[i].Since, rows[i].Pending, rows[i].RTT = "", time.Time{}, 0, 0
	}
	want := []LaneRow{
		{Farm: "f", Server: "one", Loop: 0, Number: 0, Opening: true},
		{Farm: "f", Server: "one", Loop: 1, Number: 1},
	}
	if !reflect.DeepEqual(rows, want) {
		t.Errorf("lanes %+v", rows)
	}
	for _, nc := range []net.Conn{second, half} {
		if err := nc.Close(); err != nil {
			t.Fatal(err)
		}
	}
	until(t, r.Lanes, func(rows []LaneRow) bool { return len(rows) == 0 })
}

func TestConnectionRows(t *testing.T) {
	r := tablesRelay(t, false)
	openLane(t, r, "one", 0)
	openLane(t, r, "one", 1)
	until(t, r.Farms, func(rows []FarmRow) bool { return rows[0].State == FarmAvailable })

	idle := dialText(t, r, "")
	head := dialText(t, r, "GET /")
	busy := dialText(t, r, "GET /cli/iarelayserver/f/path?key=s3cret HTTP/1.1\r\nHost: a\r\n\r\nGET /next")
	byRemote := func() map[string]ConnectionRow {
		rows, _ := r.Connections(0)
		m := map[string]ConnectionRow{}
		for _, row := range rows {
			m[row.Remote] = row
		}
		return m
	}
	rows := until(t, byRemote, func(m map[string]ConnectionRow) bool {
		return len(m) == 3 && m[busy.LocalAddr().String()].Unread > 0 && m[head.LocalAddr().String()].Phase == "head"
	})
	if row := rows[idle.LocalAddr().String()]; row.Phase != "idle" || row.Requests != 0 || row.Request != nil || row.ID == 0 {
		t.Errorf("idle: %+v", row)
	}
	row := rows[busy.LocalAddr().String()]
	if row.Request == nil || row.Request.Age < 0 {
		t.Fatalf("busy: %+v", row)
	}
	row.Request.Age = 0
	if want := (RequestRow{Farm: "f", Server: "one", Method: "GET", Path: "/path"}); *row.Request != want {
		t.Errorf("request %+v", *row.Request)
	}
	if row.Phase != "answer" || row.Requests != 1 || !row.Paused {
		t.Errorf("busy: %+v", row)
	}

	for limit, want := range map[int]int{0: 3, 1: 1, 2: 2, 3: 3, 4: 3} {
		rows, more := r.Connections(limit)
		if len(rows) != want || more != (want < 3) {
			t.Errorf("limit %d: %d rows, more %v", limit, len(rows), more)
		}
	}
}

func TestTablesShowNoSecret(t *testing.T) {
	r := tablesRelay(t, true)
	openLane(t, r, "one", 0)
	openLane(t, r, "one", 1)
	until(t, r.Farms, func(rows []FarmRow) bool { return rows[0].Connected == 1 })
	until(t, r.Lanes, func(rows []LaneRow) bool { return len(rows) == 2 && !rows[0].Opening && !rows[1].Opening })
	dialText(t, r, "GET /cli/iarelayserver/f/path?key=s3cret HTTP/1.1\r\nHost: a\r\nAuthorization: s3cret\r\n\r\n")
	until(t, r.InFlight, func(n int64) bool { return n == 1 })
	rows, _ := r.Connections(0)
	text, err := json.Marshal([]any{r.Farms(), r.Servers(), r.Lanes(), rows})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("s3cret")) || !strings.Contains(string(text), "/path") {
		t.Errorf("%s", text)
	}
}

func TestTablesAfterTheLoops(t *testing.T) {
	r := tablesRelay(t, false)
	if err := r.group.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, more := r.Connections(1)
	if len(r.Lanes())+len(rows) > 0 || more || len(r.Servers()) != 2 || r.Farms()[0].State != FarmUnavailable {
		t.Error("tables of a relay that has ended")
	}
}

package engine

import (
	"cmp"
	"fmt"
	"html"
	"slices"
	"strconv"
	"strings"
	"time"

	"roundhouse/enginepool"
)

// What the client of an engine does, for tables.
type sub int32

const (
	subRunning sub = iota
	subContinue
	subInput
	subZombie
)

// Row is an engine as tables show it.
type Row struct {
	Mine          bool      `json:"-"`
	Engine        string    `json:"engine"`
	Class         string    `json:"class"`
	Category      string    `json:"category"`
	State         string    `json:"state"`
	Application   string    `json:"application"`
	User          string    `json:"user"`
	Procedure     string    `json:"procedure"`
	Client        string    `json:"client"`
	Started       time.Time `json:"started"`
	Active        time.Time `json:"last_activity"`
	Requests      int64     `json:"requests"`
	Busy          float64   `json:"busy_seconds"` // of the current request; 0: none
	PID           int64     `json:"pid"`
	ResidentBytes int64     `json:"resident_bytes"`
	Mode          int       `json:"mode"`
	Location      string    `json:"location"`
	Waiting       int       `json:"waiting"` // requests of its signature that wait
}

// Rows are all engines, in the order of their names.
func (o Observer) Rows() []Row { return o.door.rows(0) }

// rows marks the engine that works for the client mine.
func (d *Door) rows(mine uint64) []Row {
	var rows []Row
	for _, pooled := range d.pool.Engines() {
		v := pooled.View()
		row := Row{
			Engine: pooled.Name, Class: pooled.Class.String(), Application: v.Login.Application, User: v.Login.User, Procedure: v.Login.Procedure, Started: d.at(v.Started),
			Active: d.at(v.Active), Requests: v.Requests, ResidentBytes: v.ResidentBytes, Mode: v.Login.Mode, Location: v.Login.Location,
		}
		doing := subRunning
		if e, ok := pooled.Owner.(*engine); ok {
			row.PID = e.pid.Load()
			doing = sub(e.sub.Load())
			if info := e.client.Load(); info != nil {
				row.Client, row.Mine = info.remote, mine != 0 && info.id == mine
			}
		}
		row.State, row.Category = describe(pooled.Class, v.Phase, doing, row.Client != "")
		if v.Phase == enginepool.Active {
			row.Busy = time.Since(row.Active).Seconds()
		}
		if v.Line != nil {
			row.Waiting = v.Line.Queued()
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Compare(a.Engine, b.Engine) })
	return rows
}

// describe returns the state and the category of an engine.
func describe(class enginepool.Class, p enginepool.Phase, doing sub, hasClient bool) (state, category string) {
	state = p.String()
	switch {
	case doing == subZombie && p <= enginepool.Ready:
		return "zombie", "Abandoned"
	case p == enginepool.Active && doing == subContinue:
		state = "wait-continue"
	case p == enginepool.Active && doing == subInput:
		state = "wait-input"
	case p == enginepool.Active && class == enginepool.Bound:
		state = "running"
	case p >= enginepool.Shutdown && p != enginepool.Breaking:
		state = "stopping"
	}
	switch {
	case class == enginepool.Phantom:
		category = "Phantom"
	case class == enginepool.Bound:
		category = "Synchronous"
	case p == enginepool.Idle || p == enginepool.Timer || p == enginepool.Ready:
		category = "Available Asynchronous"
	default:
		category = "Active Asynchronous"
	}
	return state, category
}

// columns are the columns of a list, in the order of the array.
func (r *Row) columns() []string {
	mine := ""
	if r.Mine {
		mine = "*"
	}
	return []string{
		mine, r.Engine, r.Category, r.State, r.Application, r.User, r.Procedure, r.Client, stamp(r.Started), stamp(r.Active),
		strconv.FormatInt(r.Requests, 10), strconv.Itoa(int(r.Busy)), strconv.FormatInt(r.PID, 10), strconv.FormatInt(r.ResidentBytes>>20, 10),
		strconv.Itoa(r.Mode), r.Location, strconv.Itoa(r.Waiting),
	}
}

var columnNames = []string{
	"", "Engine", "Category", "State", "Application", "User", "Procedure", "Client", "Started", "Last activity", "Requests", "Seconds", "PID",
	"MiB", "Mode", "Location", "Waiting",
}

// Marks of a dynamic array.
const (
	fieldMark = 0xFE
	valueMark = 0xFD
)

// appendArray appends rows as a dynamic array: an engine a field, a column a value.
func appendArray(dst []byte, rows []Row) []byte {
	for i := range rows {
		if i > 0 {
			dst = append(dst, fieldMark)
		}
		for j, column := range rows[i].columns() {
			if j > 0 {
				dst = append(dst, valueMark)
			}
			dst = append(dst, cleanText(column)...)
		}
	}
	return dst
}

// QueueRow is a signature for which requests wait, or which is paused.
type QueueRow struct {
	Application string  `json:"application"`
	User        string  `json:"user"`
	Procedure   string  `json:"procedure"`
	Location    string  `json:"location"`
	Mode        int     `json:"mode"` // of the login that was first
	Waiting     int     `json:"waiting"`
	Oldest      float64 `json:"oldest_seconds"` // since when the request has waited that came first
	Paused      bool    `json:"paused"`
}

// Queues are the signatures for which requests wait or that are paused, those with most requests first.
func (o Observer) Queues() []QueueRow {
	d := o.door
	var rows []QueueRow
	for _, l := range d.pool.Lines() {
		row := QueueRow{
			Application: l.Login.Application, User: l.Login.User, Procedure: l.Login.Procedure, Location: l.Login.Location, Mode: l.Login.Mode,
			Waiting: l.Queued(), Paused: l.Paused(),
		}
		if row.Waiting == 0 && !row.Paused {
			continue
		}
		if oldest := l.Oldest(); oldest != 0 {
			row.Oldest = max(0, time.Since(d.at(oldest)).Seconds())
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b QueueRow) int {
		return cmp.Or(cmp.Compare(b.Waiting, a.Waiting), cmp.Compare(a.Application, b.Application), cmp.Compare(a.User, b.User))
	})
	return rows
}

// QueueOf is whose requests wait: an application, as metrics show it, and a mode.
type QueueOf struct {
	Application string
	Mode        int
}

// QueueLengths are the numbers of requests that wait, of all applications and modes that are in use.
func (o Observer) QueueLengths() map[QueueOf]int {
	lengths := map[QueueOf]int{}
	for _, l := range o.door.pool.Lines() {
		lengths[QueueOf{o.Label(l.Login.Application), l.Login.Mode}] += l.Queued()
	}
	return lengths
}

// asRow is a queue as a row of the table of engines.
func (q *QueueRow) asRow() Row {
	since := time.Now().Add(-time.Duration(q.Oldest * float64(time.Second)))
	return Row{
		Category: "Queue", State: "waiting", Application: q.Application, User: q.User, Procedure: q.Procedure, Started: since, Active: since,
		Busy: q.Oldest, Mode: q.Mode, Location: q.Location, Waiting: q.Waiting,
	}
}

// withQueues adds a row for each signature for which requests wait.
func (o Observer) withQueues(rows []Row) []Row {
	for _, q := range o.Queues() {
		if q.Waiting > 0 {
			rows = append(rows, q.asRow())
		}
	}
	return rows
}

// htmlTable is rows as a table.
func htmlTable(rows []Row) string {
	var b strings.Builder
	b.WriteString("<table><tr>")
	for _, name := range columnNames {
		fmt.Fprintf(&b, "<th>%s</th>", name)
	}
	b.WriteString("</tr>")
	for i := range rows {
		b.WriteString("<tr>")
		for _, column := range rows[i].columns() {
			fmt.Fprintf(&b, "<td>%s</td>", html.EscapeString(string(cleanText(column))))
		}
		b.WriteString("</tr>")
	}
	b.WriteString("</table>")
	return b.String()
}

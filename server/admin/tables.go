package admin

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Table is a table of the server, shown as JSON.
type Table struct {
	Name  string // the last part of its path
	About string // its line in the index
	Limit int    // most rows when the request names no limit; 0: all
	// Rows returns at most limit rows, 0 being all, and whether there are more. rows is a slice that encoding/json can write;
	// no secret may be in it. Any goroutine may call it.
	Rows func(limit int) (rows any, more bool)
}

// rowsBody is what a table looks like.
type rowsBody struct {
	Rows any  `json:"rows"`
	More bool `json:"more"`
}

// table answers with t. ?limit=N: at most N rows; 0: all.
func (s *Server) table(t Table) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		limit := t.Limit
		if text := r.URL.Query().Get("limit"); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 {
				http.Error(w, "limit is not a number of rows", http.StatusBadRequest)
				return
			}
			limit = n
		}
		rows, more := t.Rows(limit)
		b, err := json.MarshalIndent(rowsBody{rows, more}, "", " ")
		if err != nil {
			s.log.Error("a table cannot be shown", "table", t.Name, "error", err)
			http.Error(w, "the table cannot be shown", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(append(b, '\n')) // the reader has gone
	}
}

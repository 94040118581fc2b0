// Package farm decides which back-end server takes a request.
//
// A farm is a set of back-end servers that answer the same requests. Each server is reached through lanes, which an enabler
// beside it holds open; a lane belongs to one loop. Farms and servers are configured: a Table holds them, built once, read by
// all. Which of them can take a request now is known to each loop for itself: a Roster, told of every lane that comes, drains
// and goes and of how requests end, and asked for a server and a lane for each request.
//
//	what                          can be picked
//	server                        when it and its farm are enabled, its back end is up and one of its lanes takes requests
//	lane                          when it has joined and does not drain
//
// Of the servers that can be picked, these are asked first, in this order: not the one that the request comes back from, not
// ejected, lowest priority number. Among equals the farm's Balance decides:
//
//	RoundRobin                    the servers take turns
//	LeastConn                     the one with the fewest requests in flight on this loop; among equals they take turns
//	P2C                           of two at random the one with fewer requests in flight on this loop
//	Hash                          each client has its server, and only the clients of a server that goes get another one
//
// Taking turns: who becomes able to take requests stands at the end of the queue, and who is picked goes there; so one that stays
// able is picked before any other is picked twice, whoever comes and goes meanwhile. The lanes of a server take turns as well.
//
// A server is ejected when too many requests in a row have failed on this loop: for a while it gets none, unless no other can.
//
// A session id (Session, Signer) binds a client to a server; it is made and checked here, and means the same at every relay that
// has the key.
//
// A Table is immutable. A Roster and a Signer are owned by their loop; nothing here blocks, locks or reads a clock.
package farm

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// FarmSpec is the configuration of a farm.
type FarmSpec struct {
	ID     string // unique, not empty
	Enable bool   // false: none of its servers is ever picked

	Balance    Balance
	EjectAfter int           // failures in a row after which a server is ejected; 0 or less: never
	EjectTime  time.Duration // how long it is; 0 or less: not at all
}

// ServerSpec is the configuration of a back-end server.
type ServerSpec struct {
	Farm   string // ID of a farm
	ID     string // unique within the farm, not empty
	Enable bool   // false: it is never picked

	Priority int // servers with a higher number stand by for those with a lower one
}

// Table is the set of configured farms. It is immutable, and so safe for concurrent use.
type Table struct {
	farms   []*Farm          // by Index, in the order of the specs
	servers []*Server        // by Index, in the order of the specs
	byID    map[string]*Farm // the same farms
}

// Farm is one configured farm. Its fields are read only.
type Farm struct {
	ID      string
	Enable  bool
	Index   int       // its position in the table, from 0
	Servers []*Server // in the order of the specs

	Balance    Balance
	EjectAfter int
	EjectTime  time.Duration

	byID  map[string]*Server // the same servers
	byKey map[uint64]*Server // the same servers
}

// Server is one configured back-end server. Its fields are read only.
type Server struct {
	Farm     *Farm
	ID       string
	Enable   bool
	Index    int // its position among all servers of the table, from 0
	Priority int
	Key      uint64 // its ServerKey
}

// NewTable builds a table. The error names every empty or repeated id and every unknown farm.
func NewTable(farms []FarmSpec, servers []ServerSpec) (*Table, error) {
	t := &Table{byID: make(map[string]*Farm, len(farms))}
	var bad []error
	for _, spec := range farms {
		if err := t.addFarm(spec); err != nil {
			bad = append(bad, err)
		}
	}
	for _, spec := range servers {
		if err := t.addServer(spec); err != nil {
			bad = append(bad, err)
		}
	}
	if len(bad) > 0 {
		return nil, errors.Join(bad...)
	}
	return t, nil
}

func (t *Table) addFarm(spec FarmSpec) error {
	if spec.ID == "" {
		return fmt.Errorf("farm: farm number %d has no id", len(t.farms)+1)
	}
	if t.byID[spec.ID] != nil {
		return fmt.Errorf("farm: farm %q is given twice", spec.ID)
	}
	f := &Farm{
		ID: spec.ID, Enable: spec.Enable, Index: len(t.farms),
		Balance: spec.Balance, EjectAfter: spec.EjectAfter, EjectTime: spec.EjectTime,
		byID: map[string]*Server{}, byKey: map[uint64]*Server{},
	}
	t.farms = append(t.farms, f)
	t.byID[f.ID] = f
	return nil
}

func (t *Table) addServer(spec ServerSpec) error {
	f := t.byID[spec.Farm]
	switch {
	case f == nil:
		return fmt.Errorf("farm: server %q: unknown farm %q", spec.ID, spec.Farm)
	case spec.ID == "":
		return fmt.Errorf("farm: a server of farm %q has no id", spec.Farm)
	case f.byID[spec.ID] != nil:
		return fmt.Errorf("farm: server %q of farm %q is given twice", spec.ID, spec.Farm)
	}
	s := &Server{
		Farm: f, ID: spec.ID, Enable: spec.Enable, Index: len(t.servers),
		Priority: spec.Priority, Key: ServerKey(f.ID, spec.ID),
	}
	t.servers = append(t.servers, s)
	f.Servers = append(f.Servers, s)
	f.byID[s.ID], f.byKey[s.Key] = s, s
	return nil
}

// Farm returns the farm of that id; nil when there is none. id is not kept; nothing is allocated. Any goroutine may call it.
func (t *Table) Farm(id []byte) *Farm { return t.byID[string(id)] }

// Farms returns all farms, in the order of the specs. The slice is read only.
func (t *Table) Farms() []*Farm { return t.farms }

// Server returns the farm's server of that id; nil when there is none. Any goroutine may call it.
func (f *Farm) Server(id string) *Server { return f.byID[id] }

// ServerByKey returns the farm's server of that ServerKey; nil when there is none. Any goroutine may call it.
func (f *Farm) ServerByKey(key uint64) *Server { return f.byKey[key] }

// ServerKey names a server of a farm in 8 bytes: the first of SHA-256(farm NUL id), big endian. It is the same in every process.
func ServerKey(farm, id string) uint64 {
	sum := sha256.Sum256([]byte(farm + "\x00" + id))
	return binary.BigEndian.Uint64(sum[:])
}

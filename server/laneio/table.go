package laneio

// Table finds the streams of a lane by their number: a slot in the low bits and a generation in the high ones, so that what
// still comes for a stream that has ended meets nobody. It is owned by the lane's loop.
type Table[T any] struct {
	slots []slot[T]
	free  []uint32
	n     int
	gen   uint32 // of the number given out last
}

type slot[T any] struct {
	id  uint32 // 0: free
	own bool   // Alloc gave it out, so Delete takes it back
	v   *T
}

const (
	slotBits = 20
	slotMask = 1<<slotBits - 1
	// MaxStreams is how many streams a lane can have at a time.
	MaxStreams = 1 << slotBits
)

// Len is the number of streams.
func (t *Table[T]) Len() int { return t.n }

// Alloc numbers a new stream. ok is false when the lane has MaxStreams.
func (t *Table[T]) Alloc(v *T) (id uint32, ok bool) {
	var i uint32
	if k := len(t.free); k > 0 {
		i, t.free = t.free[k-1], t.free[:k-1]
	} else if len(t.slots) == MaxStreams {
		return 0, false
	} else {
		i = uint32(len(t.slots))
		t.slots = append(t.slots, slot[T]{})
	}
	s := &t.slots[i]
	*s = slot[T]{id: t.nextID(i), own: true, v: v}
	t.n++
	return s.id, true
}

// nextID numbers slot i anew; the number of a stream is never 0.
func (t *Table[T]) nextID(i uint32) uint32 {
	t.gen++
	id := t.gen<<slotBits | i
	if id == 0 {
		t.gen++
		id = t.gen<<slotBits | i
	}
	return id
}

// Put takes a stream that the other end has numbered. ok is false when the number is taken or 0.
func (t *Table[T]) Put(id uint32, v *T) (ok bool) {
	i := int(id & slotMask)
	for len(t.slots) <= i {
		t.slots = append(t.slots, slot[T]{})
	}
	if id == 0 || t.slots[i].v != nil {
		return false
	}
	t.slots[i] = slot[T]{id: id, v: v}
	t.n++
	return true
}

// Get returns the stream, or nil when there is none of that number.
func (t *Table[T]) Get(id uint32) *T {
	if i := int(id & slotMask); i < len(t.slots) && t.slots[i].id == id {
		return t.slots[i].v
	}
	return nil
}

// Delete forgets a stream. Its number may be any.
func (t *Table[T]) Delete(id uint32) {
	i := id & slotMask
	if int(i) < len(t.slots) && t.slots[i].id == id && t.slots[i].v != nil {
		if t.slots[i].own {
			t.free = append(t.free, i)
		}
		t.slots[i] = slot[T]{}
		t.n--
	}
}

// Each calls f for every stream; f may delete it.
func (t *Table[T]) Each(f func(id uint32, v *T)) {
	for i := range t.slots {
		if s := t.slots[i]; s.v != nil {
			f(s.id, s.v)
		}
	}
}

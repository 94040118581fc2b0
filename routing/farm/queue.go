package farm

import "slices"

// queue is a circle of items that take turns: items[next] is the first, the one before it in the circle the last.
type queue[T comparable] struct {
	items []T // no item twice
	next  int // 0 <= next < len(items), or 0
}

func (q *queue[T]) len() int { return len(q.items) }

// first is the item whose turn it is; the queue must not be empty.
func (q *queue[T]) first() T { return q.items[q.next] }

// take returns the first item and makes it the last; the queue must not be empty.
func (q *queue[T]) take() T {
	item := q.items[q.next]
	q.next = q.after(q.next)
	return item
}

// swap lets the second item go before the first; when the second is taken then, the first is the first still.
func (q *queue[T]) swap() {
	second := q.after(q.next)
	q.items[q.next], q.items[second] = q.items[second], q.items[q.next]
}

// takeAt returns items[i] and makes it the last; the others keep their order.
func (q *queue[T]) takeAt(i int) T {
	item := q.items[i]
	for i != q.next { // who goes before it moves up by one
		before := i - 1
		if before < 0 {
			before = len(q.items) - 1
		}
		q.items[i] = q.items[before]
		i = before
	}
	q.items[i] = item
	return q.take()
}

// after is the position that follows i in the circle.
func (q *queue[T]) after(i int) int {
	if i++; i < len(q.items) {
		return i
	}
	return 0
}

// add makes item the last.
func (q *queue[T]) add(item T) {
	if len(q.items) == 0 {
		q.items = append(q.items, item)
		return
	}
	q.items = slices.Insert(q.items, q.next, item)
	q.next++
}

// remove takes item out and tells whether it was there; the others keep their turns.
func (q *queue[T]) remove(item T) bool {
	i := slices.Index(q.items, item)
	if i < 0 {
		return false
	}
	q.items = slices.Delete(q.items, i, i+1)
	if i < q.next {
		q.next--
	}
	if q.next == len(q.items) {
		q.next = 0
	}
	return true
}

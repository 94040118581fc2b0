package subject

// maxChanges bounds a change log; half of it stays when it is full.
const maxChanges = 2048

// changes is the list of the patterns that were changed last. It is a value: add returns the next one, and whoever has an older one
// may go on reading it, although both share their array: add writes only behind what any older one sees.
type changes struct {
	list []string // the changes total-len(list)+1 to total
	// Fixed.
	total uint64 // how many there were from the beginning
}

func (c changes) add(pattern string) changes {
	if len(c.list) == maxChanges {
		list := make([]string, maxChanges/2, maxChanges)
		copy(list, c.list[maxChanges/2:])
		c.list = list
	}
	return changes{append(c.list, pattern), c.total + 1}
}

// since returns the patterns changed after the first seen changes; false when they are no longer known.
func (c changes) since(seen uint64) ([]string, bool) {
	if seen > c.total || c.total-seen > uint64(len(c.list)) {
		return nil, false
	}
	return c.list[len(c.list)-int(c.total-seen):], true
}

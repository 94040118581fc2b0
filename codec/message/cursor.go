package message

// cursor reads the fields of a message in order. After the first error it returns zeros.
type cursor struct {
	t    Type
	rest []byte
	err  error
}

// open begins to read a message, which must be of type t and not compressed.
func open(m *Message, t Type) cursor {
	c := cursor{t: t, rest: m.Fields}
	switch {
	case m.Type != t:
		c.err = malformed("type %s where %s should be", m.Type, t)
	case m.Flags&FlagCompressed != 0:
		c.err = malformed("%s is compressed", t)
	}
	return c
}

// next takes the next field, which has no name and is of kind k; its value may be unknown.
func (c *cursor) next(k Kind) Field {
	if c.err != nil {
		return Field{}
	}
	f, n, err := NextField(c.rest)
	switch {
	case err != nil:
		c.err = err
	case n == 0:
		c.err = malformed("%s ends before its %s field", c.t, k)
	case f.Kind != k || f.Name != nil:
		c.err = malformed("%s has a %s field where a %s without a name should be", c.t, f.Kind, k)
	default:
		c.rest = c.rest[n:]
		return f
	}
	return Field{}
}

// field is next for a value that is known.
func (c *cursor) field(k Kind) Field {
	f := c.next(k)
	if f.Unknown {
		c.err = malformed("%s has an unknown %s", c.t, k)
		return Field{}
	}
	return f
}

func (c *cursor) bytes(k Kind) []byte { return c.field(k).Value }
func (c *cursor) text() string        { return string(c.field(Str).Value) }

// maybeText is text for a value that may be unknown.
func (c *cursor) maybeText() (s string, known bool) {
	f := c.next(Str)
	return string(f.Value), c.err == nil && !f.Unknown
}

func (c *cursor) int4() int32 { return int32(c.int(Int4)) }
func (c *cursor) int8() int64 { return c.int(Int8) }

func (c *cursor) int(k Kind) int64 {
	f := c.field(k)
	if c.err != nil {
		return 0
	}
	v, err := f.Int()
	c.err = err
	return v
}

func (c *cursor) bool() bool {
	f := c.field(Bool)
	if c.err != nil {
		return false
	}
	v, err := f.Bool()
	c.err = err
	return v
}

// end is the error so far; a field that is left over is one.
func (c *cursor) end() error {
	if c.err == nil && len(c.rest) > 0 {
		return malformed("%s has %d bytes too many", c.t, len(c.rest))
	}
	return c.err
}

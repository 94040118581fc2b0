package message

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"roundhouse/codec"
	"roundhouse/codec/frame"
)

// Format is one of the two formats of message files.
type Format uint8

// The formats. A binary file keeps all of a message; a text file keeps its type, destination and fields.
const (
	FormatText   Format = iota
	FormatBinary        // Magic, then a length of 4 bytes and a message for each
)

// Magic is what a binary file begins with.
const Magic = "RTMSGF1\n"

// Detect returns the format of a file from its first len(Magic) bytes, or all of it when it has fewer.
func Detect(head []byte) Format {
	if bytes.HasPrefix(head, []byte(Magic)) {
		return FormatBinary
	}
	return FormatText
}

// Reader reads message files, of whichever format. In a text file a message is its type, its destination and its fields:
//
//	numeric_data /plant/boiler { temp 88.5 level 3 }              by the grammar { id real8 }
//	boolean_data /valve open true                                 braces can be left out when the group occurs once
//	order /x { str "ab" int4 7 int4_array { 1 2 3 } n=int2 5 }    the kinds stand in it when the type has no grammar
//	order /x { msg { info /y { str "z" } } unknown:int4 }         so they do in every message within a message
//	info /x verbose { int4 7 "a name"=bool true }                 and where the fields do not fit the grammar
//	100 "/a b" { binary { 0a 0xff 10ffee } }                      a type can be a number, a destination a string
//	info /x opaque { 07 }                                         the bytes of all fields, when they are malformed
//	info /x compressed { 1f 8b }                                  or compressed
//
// By a grammar, the word unknown stands for a value that is unknown, but for an id. Strings have the escapes \" \\ \n \t \xHH.
// Comments are /* */, (* *), and // to the end of the line. They cannot begin within a destination, and a destination that
// begins like one is a string. Names of types and kinds may be in upper case.
type Reader struct {
	in      *bufio.Reader
	limit   int
	text    *textReader  // nil in a binary file
	records int          // of a binary file, that were begun
	record  bytes.Buffer // the message of a binary file
	whole   []byte       // that of a text file
	err     error        // what ended it
}

// NewReader returns a reader of messages of at most limit bytes, at most frame.MaxSize. types may be nil.
func NewReader(in io.Reader, types *Types, limit int) *Reader {
	limit = min(limit, frame.MaxSize)
	r := &Reader{in: bufio.NewReader(in), limit: limit}
	head, err := r.in.Peek(len(Magic))
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		r.err = err
	case Detect(head) == FormatBinary:
		_, _ = r.in.Discard(len(Magic)) // they were peeked at
	default:
		r.text = &textReader{scan: scanner{in: r.in, line: 1, limit: limit}, types: types, limit: limit}
	}
	return r
}

// Format returns the format of the file.
func (r *Reader) Format() Format {
	if r.text != nil {
		return FormatText
	}
	return FormatBinary
}

// Read reads the next message into m, which is good until the next call.
// Errors: io.EOF at the end; *TextError with the line; of a binary file codec.ErrMalformed, codec.ErrTooLarge and
// io.ErrUnexpectedEOF with the number of the message; those of the file. After an error there is nothing more to read.
func (r *Reader) Read(m *Message) error {
	if r.err != nil {
		return r.err
	}
	var b []byte
	if r.text != nil {
		r.whole, r.err = r.text.message(r.whole[:0])
		b = r.whole
	} else {
		r.err = r.next()
		b = r.record.Bytes()
	}
	if r.err != nil {
		return r.err
	}
	if r.err = Parse(b, m); r.err != nil {
		r.err = fmt.Errorf("message %d: %w", r.records, r.err) // a text file makes no such message
	}
	return r.err
}

// next reads a length and a message of a binary file.
func (r *Reader) next() error {
	r.record.Reset()
	var head [4]byte
	_, err := io.ReadFull(r.in, head[:])
	if err == io.EOF { // between two messages; within one it is another error
		return io.EOF
	}
	r.records++
	if err == nil {
		size := binary.BigEndian.Uint32(head[:])
		if uint64(size) > uint64(max(r.limit, 0)) {
			return fmt.Errorf("message %d: %d bytes, limit %d: %w", r.records, size, r.limit, codec.ErrTooLarge)
		}
		_, err = io.CopyN(&r.record, r.in, int64(size)) // grows with what is there, not with what is said
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("message %d: %w", r.records, err)
	}
	return nil
}

// AppendFileHeader appends what a file of a format begins with.
func AppendFileHeader(dst []byte, f Format) []byte {
	if f == FormatBinary {
		return append(dst, Magic...)
	}
	return dst
}

// AppendRecord appends a message to a file of a format. For a binary file, with what Append wants of m. types may be nil.
func AppendRecord(dst []byte, f Format, m *Message, types *Types) []byte {
	if f == FormatBinary {
		return Append(appendLen(dst, Size(m)), m)
	}
	return AppendText(dst, m, types)
}

// Writer writes message files.
type Writer struct {
	out    io.Writer
	format Format
	types  *Types
	buf    []byte
}

// NewWriter returns a writer of a file of a format. whether fresh: the file is empty, so its header has to be written, with the
// first message. A file that has something is continued in its own format: see Detect. types may be nil.
func NewWriter(out io.Writer, f Format, fresh bool, types *Types) *Writer {
	w := &Writer{out: out, format: f, types: types}
	if fresh {
		w.buf = AppendFileHeader(nil, f)
	}
	return w
}

// Write writes m with a single call of the writer below, whose error it returns. For a binary file, with what Append wants of m.
func (w *Writer) Write(m *Message) error {
	w.buf = AppendRecord(w.buf, w.format, m, w.types)
	_, err := w.out.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

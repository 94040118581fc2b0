package http1

import (
	"bytes"
	"strconv"
)

// ChunkKind says what Chunked.Next found.
type ChunkKind uint8

// What Next found.
const (
	ChunkMore ChunkKind = iota // nothing to deliver before more input comes
	ChunkData                  // bytes of the body
	ChunkEnd                   // body and trailer section are complete
)

type chunkState uint8

const (
	chunkSize    chunkState = iota // at the front of a size line
	chunkBody                      // within the data of a chunk
	chunkCRLF                      // before the CR that ends the data
	chunkTrailer                   // at the front of the trailer section
	chunkDone
)

// Chunked decodes one chunked body (RFC 9112, 7.1). The zero value is ready.
type Chunked struct {
	trailer []Field
	left    uint64 // bytes of the running chunk that have not come
	ext     int    // bytes of extensions in the size lines so far
	state   chunkState
}

// Reset makes d ready for another body and keeps its memory.
func (d *Chunked) Reset() { *d = Chunked{trailer: d.trailer[:0]} }

// Trailer returns the fields of the trailer section once Next has said ChunkEnd, without those that a trailer must not
// carry. They alias the input of that call.
func (d *Chunked) Trailer() []Field { return d.trailer }

// Next decodes from the front of in and consumes n bytes of it, which may be more than 0 with every kind. data is set with
// ChunkData only, is not empty, and aliases in; it is delivered as it comes, so it may be a part of a chunk. What was not
// consumed must be given again, with more bytes after it when kind was ChunkMore. Call again after ChunkData, even with
// nothing left, until another kind comes. Every error is an *Error; see Error.Gateway for the body of a response.
func (d *Chunked) Next(in []byte, lim *Limits) (data []byte, n int, kind ChunkKind, err error) {
	for {
		var used int
		var refusal *Error
		switch d.state {
		case chunkSize:
			used, refusal = d.readSize(in[n:], lim)
		case chunkBody:
			if n == len(in) {
				return nil, n, ChunkMore, nil
			}
			data = d.take(in[n:])
			return data, n + len(data), ChunkData, nil
		case chunkCRLF:
			used, refusal = d.readCRLF(in[n:])
		case chunkTrailer:
			used, refusal = d.readTrailer(in[n:], lim)
		case chunkDone:
			return nil, n, ChunkEnd, nil
		}
		if refusal != nil {
			return nil, 0, ChunkMore, refusal
		}
		if used == 0 {
			return nil, n, ChunkMore, nil
		}
		n += used
	}
}

// take cuts off the data of the running chunk.
func (d *Chunked) take(in []byte) []byte {
	if uint64(len(in)) >= d.left {
		in = in[:d.left]
		d.state = chunkCRLF
	}
	d.left -= uint64(len(in))
	return in
}

// Unread gives back the last size bytes of the data that Next has just returned, which the caller cannot take yet: Next will
// return them again. 0 <= size <= len(data).
func (d *Chunked) Unread(size int) {
	if size > 0 {
		d.left += uint64(size)
		d.state = chunkBody
	}
}

// readCRLF is strict: RFC 9112, 7.1 ends the data of a chunk with CRLF, and a parser that skips two bytes whatever they
// are disagrees with one that looks for a line end.
func (d *Chunked) readCRLF(in []byte) (int, *Error) {
	switch {
	case len(in) >= 1 && in[0] != '\r', len(in) >= 2 && in[1] != '\n':
		return 0, errChunkEnd
	case len(in) < 2:
		return 0, nil
	}
	d.state = chunkSize
	return 2, nil
}

const maxSizeDigits = 16

// readSize reads size [ ext ] CRLF.
func (d *Chunked) readSize(in []byte, lim *Limits) (int, *Error) {
	line, n, err := cutLine(in, maxSizeDigits+lim.ChunkExt-d.ext+2, errChunkLine)
	if n == 0 || err != nil {
		return 0, err
	}
	size, digits := uint64(0), 0
	for digits < len(line) && digits <= maxSizeDigits && hexValue[line[digits]] != 0xFF {
		size = size<<4 | uint64(hexValue[line[digits]])
		digits++
	}
	if digits == 0 || digits > maxSizeDigits {
		return 0, errChunkSize
	}
	ext := line[digits:]
	if len(ext) > 0 {
		if ext[0] != ';' {
			return 0, errChunkSize
		}
		if !validExtensions(ext) {
			return 0, errChunkExt
		}
		if d.ext += len(ext); d.ext > lim.ChunkExt {
			return 0, errChunkLine
		}
	}
	d.left, d.state = size, chunkBody
	if size == 0 {
		d.state = chunkTrailer
	}
	return n, nil
}

// validExtensions is 1*( ";" token [ "=" ( token / quoted-string ) ] ) without the blanks that RFC 9112, 7.1.1 lets a
// recipient accept.
func validExtensions(b []byte) bool {
	for len(b) > 0 {
		if b[0] != ';' {
			return false
		}
		b = b[1:]
		name := tokenLen(b)
		if name == 0 {
			return false
		}
		if b = b[name:]; len(b) == 0 || b[0] != '=' {
			continue
		}
		b = b[1:]
		value := tokenLen(b)
		if value == 0 {
			value = quotedLen(b)
		}
		if value == 0 {
			return false
		}
		b = b[value:]
	}
	return true
}

// quotedLen returns the length of the quoted string at the front of b (RFC 9110, 5.6.4), 0 if there is none.
func quotedLen(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return 0
	}
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < 0x20 && c != '\t' || c == 0x7F:
			return 0
		case c == '\\':
			if i++; i == len(b) || b[i] < 0x20 && b[i] != '\t' || b[i] == 0x7F {
				return 0
			}
		}
	}
	return 0
}

// notInTrailer are the fields that decide about framing, routing, authentication or the meaning of the content: whoever
// merges a trailer into the head must not meet them (RFC 9110, 6.5.1).
var notInTrailer = setOf(IDHost, IDContentLength, IDTransferEncoding, IDFramingAlias, IDConnection, IDKeepAlive,
	IDProxyConnection, IDProxyAuthenticate, IDProxyAuthorization, IDTE, IDTrailer, IDUpgrade, IDExpect, IDXForwardedFor,
	IDXForwardedHost, IDXForwardedProto, IDForwarded, IDVia, IDAuthorization, IDWWWAuthenticate, IDCookie, IDSetCookie,
	IDIasRs, IDSecWebSocketKey, IDSecWebSocketVersion, IDSecWebSocketAccept, IDContentType, IDContentEncoding,
	IDContentRange, IDCacheControl, IDMaxForwards)

// readTrailer reads the trailer section when it is complete, and nothing before.
func (d *Chunked) readTrailer(in []byte, lim *Limits) (int, *Error) {
	if bytes.HasPrefix(in, []byte("\r\n")) && lim.Trailer >= 2 {
		d.state = chunkDone
		return 2, nil
	}
	s := section{limit: lim.Trailer, count: lim.Fields, over: errTrailer, fields: d.trailer[:0]}
	pos := 0
	for {
		f, n, err := s.next(in[pos:])
		if n == 0 || err != nil {
			d.trailer = s.fields[:0]
			return 0, err
		}
		pos += n
		if f == nil {
			break
		}
	}
	d.trailer = s.fields[:0]
	for _, f := range s.fields {
		if !notInTrailer.has(f.ID) {
			d.trailer = append(d.trailer, f)
		}
	}
	d.state = chunkDone
	return pos, nil
}

// AppendChunkHeader appends the size line of a chunk. size is in bytes and more than 0, since a chunk of none ends the
// body; the caller appends the data and CRLF.
func AppendChunkHeader(dst []byte, size int) []byte {
	dst = strconv.AppendUint(dst, uint64(size), 16)
	return append(dst, '\r', '\n')
}

// AppendTrailer appends the last chunk, the fields and the end of the trailer section.
func AppendTrailer(dst []byte, fields []Field) []byte {
	dst = append(dst, "0\r\n"...)
	for i := range fields {
		dst = appendField(dst, &fields[i])
	}
	return append(dst, '\r', '\n')
}

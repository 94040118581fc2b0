package message

import (
	"encoding/binary"
	"math"
)

// text is what a string value can be made of.
type text interface{ ~string | ~[]byte }

func appendText[T text](dst []byte, k Kind, v T) []byte {
	return append(appendLen(append(dst, byte(k)), len(v)), v...)
}

// AppendBinary appends a Binary.
func AppendBinary[T text](dst []byte, v T) []byte { return appendText(dst, Binary, v) }

// AppendObject appends an Object.
func AppendObject[T text](dst []byte, v T) []byte { return appendText(dst, Object, v) }

// AppendStr appends a Str.
func AppendStr[T text](dst []byte, v T) []byte { return appendText(dst, Str, v) }

// AppendUTF8 appends a UTF8; it is not judged.
func AppendUTF8[T text](dst []byte, v T) []byte { return appendText(dst, UTF8, v) }

// AppendXML appends an XML; it is not judged.
func AppendXML[T text](dst []byte, v T) []byte { return appendText(dst, XML, v) }

// AppendChar appends a Char.
func AppendChar(dst []byte, v int8) []byte { return append(dst, byte(Char), byte(v)) }

// AppendByte appends a Byte.
func AppendByte(dst []byte, v uint8) []byte { return append(dst, byte(Byte), v) }

// AppendBool appends a Bool.
func AppendBool(dst []byte, v bool) []byte { return append(dst, byte(Bool), bit(v)) }

// AppendInt2 appends an Int2.
func AppendInt2(dst []byte, v int16) []byte {
	return binary.BigEndian.AppendUint16(append(dst, byte(Int2)), uint16(v))
}

// AppendInt4 appends an Int4.
func AppendInt4(dst []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(Int4)), uint32(v))
}

// AppendInt8 appends an Int8.
func AppendInt8(dst []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(Int8)), uint64(v))
}

// AppendReal4 appends a Real4.
func AppendReal4(dst []byte, v float32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(Real4)), math.Float32bits(v))
}

// AppendReal8 appends a Real8.
func AppendReal8(dst []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(Real8)), math.Float64bits(v))
}

// AppendTimestamp appends a Timestamp, in seconds since 1970.
func AppendTimestamp(dst []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(Timestamp)), math.Float64bits(v))
}

// AppendReal16 appends a Real16.
func AppendReal16(dst []byte, v [16]byte) []byte { return append(append(dst, byte(Real16)), v[:]...) }

// AppendGUID appends a GUID.
func AppendGUID(dst []byte, v [16]byte) []byte { return append(append(dst, byte(GUID)), v[:]...) }

// AppendMessage appends a Msg, with what Append wants of m.
func AppendMessage(dst []byte, m *Message) []byte {
	return Append(appendLen(append(dst, byte(Msg)), Size(m)), m)
}

func bit(v bool) byte {
	if v {
		return 1
	}
	return 0
}

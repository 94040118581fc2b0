package message

import (
	"encoding/binary"
	"iter"
	"math"
)

// Len returns how many elements an array has, and 0 when f is unknown or no array.
func (f Field) Len() int {
	if f.Unknown || !f.Kind.IsArray() {
		return 0
	}
	if size := kinds[f.Kind].size; size != hasLength {
		return len(f.Value) / size
	}
	count := 0
	for range f.Elements() {
		count++
	}
	return count
}

// Elements goes through an array; each element is a field without a name. There are none when f is unknown or no array.
func (f Field) Elements() iter.Seq[Field] {
	return func(yield func(Field) bool) {
		if f.Unknown || !f.Kind.IsArray() {
			return
		}
		k := f.Kind.Element()
		for rest := f.Value; len(rest) > 0; {
			head, size, ok := measure(k, rest)
			if !ok || !yield(Field{Kind: k, Value: rest[head : head+size : head+size]}) {
				return // NextField has measured it: ok
			}
			rest = rest[head+size:]
		}
	}
}

// collect reads the elements of an array of kind a or b.
func collect[T any](f Field, a, b Kind, get func(Field) (T, error)) ([]T, error) {
	if err := f.want(a, b); err != nil {
		return nil, err
	}
	all := make([]T, 0, f.Len())
	for e := range f.Elements() {
		v, err := get(e)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// Texts returns copies of the elements of a StrArray or UTF8Array. Errors: ErrKind, ErrUnknown.
func (f Field) Texts() ([]string, error) { return collect(f, StrArray, UTF8Array, Field.Text) }

// Ints returns the elements of an Int2Array, Int4Array or Int8Array. Errors: ErrKind, ErrUnknown.
func (f Field) Ints() ([]int64, error) {
	if f.Kind == Int2Array {
		return collect(f, Int2Array, Int2Array, Field.Int)
	}
	return collect(f, Int4Array, Int8Array, Field.Int)
}

// Reals returns the elements of a Real4Array, Real8Array or TimestampArray. Errors: ErrKind, ErrUnknown.
func (f Field) Reals() ([]float64, error) {
	if f.Kind == TimestampArray {
		return collect(f, TimestampArray, TimestampArray, Field.Real)
	}
	return collect(f, Real4Array, Real8Array, Field.Real)
}

// Bools returns the elements of a BoolArray. Errors: ErrKind, ErrUnknown, codec.ErrMalformed when one is neither 0 nor 1.
func (f Field) Bools() ([]bool, error) { return collect(f, BoolArray, BoolArray, Field.Bool) }

// appendArray appends an array, whose elements put writes.
func appendArray[T any](dst []byte, k Kind, all []T, put func([]byte, T) []byte) []byte {
	dst = appendLen(append(dst, byte(k)), len(all))
	for _, v := range all {
		dst = put(dst, v)
	}
	return dst
}

func putText[T text](dst []byte, v T) []byte { return append(appendLen(dst, len(v)), v...) }

// AppendStrArray appends a StrArray.
func AppendStrArray[T text](dst []byte, v []T) []byte {
	return appendArray(dst, StrArray, v, putText[T])
}

// AppendUTF8Array appends a UTF8Array; its elements are not judged.
func AppendUTF8Array[T text](dst []byte, v []T) []byte {
	return appendArray(dst, UTF8Array, v, putText[T])
}

// AppendInt2Array appends an Int2Array.
func AppendInt2Array(dst []byte, v []int16) []byte {
	return appendArray(dst, Int2Array, v, func(dst []byte, v int16) []byte {
		return binary.BigEndian.AppendUint16(dst, uint16(v))
	})
}

// AppendInt4Array appends an Int4Array.
func AppendInt4Array(dst []byte, v []int32) []byte {
	return appendArray(dst, Int4Array, v, func(dst []byte, v int32) []byte {
		return binary.BigEndian.AppendUint32(dst, uint32(v))
	})
}

// AppendInt8Array appends an Int8Array.
func AppendInt8Array(dst []byte, v []int64) []byte {
	return appendArray(dst, Int8Array, v, func(dst []byte, v int64) []byte {
		return binary.BigEndian.AppendUint64(dst, uint64(v))
	})
}

// AppendReal4Array appends a Real4Array.
func AppendReal4Array(dst []byte, v []float32) []byte {
	return appendArray(dst, Real4Array, v, func(dst []byte, v float32) []byte {
		return binary.BigEndian.AppendUint32(dst, math.Float32bits(v))
	})
}

// AppendReal8Array appends a Real8Array.
func AppendReal8Array(dst []byte, v []float64) []byte { return appendReals(dst, Real8Array, v) }

// AppendTimestampArray appends a TimestampArray, in seconds since 1970.
func AppendTimestampArray(dst []byte, v []float64) []byte { return appendReals(dst, TimestampArray, v) }

func appendReals(dst []byte, k Kind, v []float64) []byte {
	return appendArray(dst, k, v, func(dst []byte, v float64) []byte {
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(v))
	})
}

// AppendReal16Array appends a Real16Array.
func AppendReal16Array(dst []byte, v [][16]byte) []byte {
	return appendArray(dst, Real16Array, v, func(dst []byte, v [16]byte) []byte { return append(dst, v[:]...) })
}

// AppendBoolArray appends a BoolArray.
func AppendBoolArray(dst []byte, v []bool) []byte {
	return appendArray(dst, BoolArray, v, func(dst []byte, v bool) []byte { return append(dst, bit(v)) })
}

// AppendMessageArray appends a MsgArray, with what Append wants of each.
func AppendMessageArray(dst []byte, v []Message) []byte {
	dst = appendLen(append(dst, byte(MsgArray)), len(v))
	for i := range v {
		dst = Append(appendLen(dst, Size(&v[i])), &v[i])
	}
	return dst
}

package message

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Tag says what a property is. Tags that are not listed are carried like the others.
type Tag uint8

// The properties. The unit and the form of the value are beside each; numbers are big endian.
const (
	TagSender          Tag = 1  // subject of the sender
	TagReplyTo         Tag = 2  // subject
	TagDeliveryTimeout Tag = 3  // seconds, 8-byte real; 0: never
	TagCorrelationID   Tag = 4  // any bytes
	TagMessageID       Tag = 5  // any bytes
	TagExpiration      Tag = 6  // seconds from TagSenderTimestamp, 8-byte real; 0: never
	TagSenderTimestamp Tag = 7  // seconds since 1970, 8-byte real
	TagUserProp        Tag = 8  // 4-byte signed integer
	TagTypeName        Tag = 9  // name of a type that the receivers need not know
	TagEncryption      Tag = 10 // any bytes, for the receivers
)

const propertyHeaderLen = 3

// NextProperty takes the first property of props apart. ok is false when props is empty, or ends within it, which Parse has ruled
// out. value and rest alias props.
func NextProperty(props []byte) (t Tag, value, rest []byte, ok bool) {
	if len(props) < propertyHeaderLen {
		return 0, nil, nil, false
	}
	end := propertyHeaderLen + int(binary.BigEndian.Uint16(props[1:]))
	if len(props) < end {
		return 0, nil, nil, false
	}
	return Tag(props[0]), props[propertyHeaderLen:end:end], props[end:], true
}

func wholeProperties(props []byte) bool {
	for len(props) > 0 {
		if len(props) < propertyHeaderLen {
			return false
		}
		end := propertyHeaderLen + int(binary.BigEndian.Uint16(props[1:]))
		if len(props) < end {
			return false
		}
		props = props[end:]
	}
	return true
}

// Property returns the value of the first property t; it aliases m.Props.
func (m *Message) Property(t Tag) ([]byte, bool) {
	for props := m.Props; len(props) > 0; {
		tag, value, rest, ok := NextProperty(props)
		if !ok {
			break
		}
		if tag == t {
			return value, true
		}
		props = rest
	}
	return nil, false
}

// RealProperty is Property for an 8-byte real; false also when the value has another length.
func (m *Message) RealProperty(t Tag) (float64, bool) {
	v, ok := m.Property(t)
	if !ok || len(v) != 8 {
		return 0, false
	}
	return math.Float64frombits(binary.BigEndian.Uint64(v)), true
}

// IntProperty is Property for a 4-byte integer; false also when the value has another length.
func (m *Message) IntProperty(t Tag) (int32, bool) {
	v, ok := m.Property(t)
	if !ok || len(v) != 4 {
		return 0, false
	}
	return int32(binary.BigEndian.Uint32(v)), true
}

// PropertySize is what AppendProperty appends for a value of n bytes.
func PropertySize(n int) int { return propertyHeaderLen + n }

// AppendProperty appends a property. A value above MaxProps bytes is a bug of the caller.
func AppendProperty(dst []byte, t Tag, value []byte) []byte {
	return append(appendPropertyHeader(dst, t, len(value)), value...)
}

// AppendTextProperty is AppendProperty for a string.
func AppendTextProperty(dst []byte, t Tag, value string) []byte {
	return append(appendPropertyHeader(dst, t, len(value)), value...)
}

// AppendRealProperty appends a property that RealProperty reads.
func AppendRealProperty(dst []byte, t Tag, value float64) []byte {
	return binary.BigEndian.AppendUint64(appendPropertyHeader(dst, t, 8), math.Float64bits(value))
}

// AppendIntProperty appends a property that IntProperty reads.
func AppendIntProperty(dst []byte, t Tag, value int32) []byte {
	return binary.BigEndian.AppendUint32(appendPropertyHeader(dst, t, 4), uint32(value))
}

func appendPropertyHeader(dst []byte, t Tag, n int) []byte {
	if n > MaxProps {
		panic(fmt.Sprintf("BUG: message: property %d of %d bytes", t, n))
	}
	return append(dst, byte(t), byte(n>>8), byte(n))
}

// Package passport reads SAP Passports, which name a business transaction over several programs, and may ask each of them to log more.
//
// In HTTP a passport is the field SAP-PASSPORT: in hexadecimal, either case,
//
//	0    eye catcher *TH*   4  version, 1 byte   5  length of all, 2 bytes, big endian   7  trace flags, 2 bytes, big endian
//	9    component 32 | service 2 | user 32 | action 40 | type of action 2 | component before 32
//	149  transaction, 32 hexadecimal digits as text
//	181  version 2: eye catcher, the end
//	181  version 3: client 3 | type of component 2
//	186  root context, 16 bytes   202  connection, 16 bytes   218  counter of the connection, 4 bytes, big endian
//	222  variable parts: number 2, offset 2, the parts; then the eye catcher
//
// Trace flags of 0 are the level low; senders write 890A or 890D for medium and 9F0D for high. What other flags mean is not public: those that
// have all bits of 9F00 count as high, others as medium.
//
// Source: how public clients build and read it: OpenUI5 (sap/ui/performance/trace/Passport), CAP telemetry, pysap (SAPEPP).
package passport

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"

	"roundhouse/codec"
)

// Lengths, in bytes.
const (
	MaxLen = 4 << 10 // the longest passport that is read

	lenV2, lenV3                           = 185, 230 // the shortest
	atVersion, atLength, atFlags           = 4, 5, 7
	atTransaction, atRoot, atConn, atCount = 149, 186, 202, 218
	transactionLen, idLen                  = 32, 16
)

const eyeCatcher = "*TH*"

// Level is how much a passport asks for, as a verbosity of the relay server. The zero Level is that of no passport.
type Level uint8

// The levels.
const (
	Low    Level = 1
	Medium Level = 4
	High   Level = 5
)

// Passport is what is read of one. The zero Passport is none.
type Passport struct {
	Version     uint8 // 2 or 3
	Level       Level
	Transaction [transactionLen]byte // hexadecimal digits
	Root        [idLen]byte          // version 3 only, as what follows
	Connection  [idLen]byte
	Counter     uint32
}

// Parse reads the value of the field. Nothing is allocated but errors, which are codec.ErrMalformed or codec.ErrTooLarge.
func Parse(value []byte) (p Passport, err error) {
	if len(value) > 2*MaxLen {
		return p, fmt.Errorf("passport: %d digits, limit %d: %w", len(value), 2*MaxLen, codec.ErrTooLarge)
	}
	size := len(value) / 2
	if size < lenV2 || len(value)%2 != 0 {
		return p, fmt.Errorf("passport: %d digits, at least %d are needed: %w", len(value), 2*lenV2, codec.ErrMalformed)
	}
	var b [lenV3]byte
	if _, err := hex.Decode(b[:], value[:2*min(size, lenV3)]); err != nil {
		return p, fmt.Errorf("passport: no hexadecimal: %w", codec.ErrMalformed)
	}
	var end [len(eyeCatcher)]byte
	if _, err := hex.Decode(end[:], value[len(value)-2*len(eyeCatcher):]); err != nil {
		return p, fmt.Errorf("passport: no hexadecimal: %w", codec.ErrMalformed)
	}
	version, length := b[atVersion], int(binary.BigEndian.Uint16(b[atLength:]))
	switch {
	case string(b[:len(eyeCatcher)]) != eyeCatcher, string(end[:]) != eyeCatcher:
		return p, fmt.Errorf("passport: no eye catcher: %w", codec.ErrMalformed)
	case length != size, version == 2 && size != lenV2, version == 3 && size < lenV3, version != 2 && version != 3:
		return p, fmt.Errorf("passport: version %d, length %d in %d bytes: %w", version, length, size, codec.ErrMalformed)
	}
	p.Version, p.Level = version, levelOf(binary.BigEndian.Uint16(b[atFlags:]))
	copy(p.Transaction[:], b[atTransaction:])
	for _, c := range p.Transaction { // it goes into logs
		if ('0' > c || c > '9') && ('a' > c || c > 'f') && ('A' > c || c > 'F') {
			return Passport{}, fmt.Errorf("passport: a transaction that is no hexadecimal: %w", codec.ErrMalformed)
		}
	}
	if version == 3 {
		copy(p.Root[:], b[atRoot:])
		copy(p.Connection[:], b[atConn:])
		p.Counter = binary.BigEndian.Uint32(b[atCount:])
	}
	return p, nil
}

func levelOf(flags uint16) Level {
	const high = 0x9F00
	switch {
	case flags == 0:
		return Low
	case flags&high == high:
		return High
	default:
		return Medium
	}
}

// Append appends what stands at the end of a log line: #SAP-PPK#V2#TRANSACTION or #SAP-PPK#V3#TRANSACTION#ROOT#CONNECTION#COUNTER; nothing of
// the zero Passport.
func (p *Passport) Append(dst []byte) []byte {
	if p.Version == 0 {
		return dst
	}
	dst = strconv.AppendUint(append(dst, "#SAP-PPK#V"...), uint64(p.Version), 10)
	dst = append(append(dst, '#'), p.Transaction[:]...)
	if p.Version == 2 {
		return dst
	}
	dst = hex.AppendEncode(append(dst, '#'), p.Root[:])
	dst = hex.AppendEncode(append(dst, '#'), p.Connection[:])
	return strconv.AppendUint(append(dst, '#'), uint64(p.Counter), 10)
}

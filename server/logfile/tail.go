package logfile

import (
	"bytes"
	"io"
	"os"
)

// maxTail is the most that Tail returns, in bytes.
const maxTail = 4 << 20

// Tail returns the last lines of the file, at most n of them, whole ones, and at most 4 MiB.
func (f *File) Tail(n int) ([]byte, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer file.Close() // it was only read
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	from := max(0, info.Size()-maxTail)
	b := make([]byte, info.Size()-from)
	read, err := file.ReadAt(b, from)
	if err != nil && err != io.EOF { // it may have been emptied meanwhile
		return nil, err
	}
	b = b[:read]
	if from > 0 { // in the middle of a line
		_, b, _ = bytes.Cut(b, []byte{'\n'})
	}
	at := len(bytes.TrimSuffix(b, []byte{'\n'}))
	for ; n > 0 && at >= 0; n-- {
		at = bytes.LastIndexByte(b[:at], '\n')
	}
	return b[at+1:], nil
}

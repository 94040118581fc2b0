// Package logfile keeps log files that are put away when they have grown, and writes the log lines of the original.
//
// A File takes one record a Write. When it has grown to its size it is renamed to yymmddnn.olg in its directory (year, month, day,
// and the next free number of 00 to 99) and begun anew; Archive does the same on request, to yymmddnn.log. A file that somebody
// else has renamed or removed is noticed within a second and opened again, so that two processes can write to one path while one
// takes the other's place.
//
// A Handler is the slog.Handler whose lines look like
//
//	I. 2012-07-19 15:06:32.909 <15852.3.F0B0S6R0> text name=value
//
// with the level (E, W, I, or D for debugging), the local time, the process, the loop (0: none) and, where they are known, the indexes
// of farm, back-end server, session and request.
package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Options say how a File is kept. The zero value is a file that is appended to and grows for ever.
type Options struct {
	// MaxSize is the size in bytes from which on the file is put away. 0: never.
	MaxSize int64
	// Truncate empties the file first.
	Truncate bool
	// Header returns what each new file begins with, and what is appended when a file is opened; nil: nothing.
	Header func() []byte
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// File is a log file. It is safe for concurrent use.
type File struct {
	// Fixed at open.
	path string
	now  func() time.Time
	max  int64

	// Guarded by mu, which is held over writes: nobody on a loop may write to a File but through a LineWriter.
	mu     sync.Mutex
	file   *os.File // nil: closed
	size   int64
	cut    bool  // the last record could not be written whole
	retry  int64 // the size at which the file is looked at again, because it could not be put away before
	looked time.Time
	header func() []byte
}

// Names of files that were put away, after the day and the number.
const (
	rotatedSuffix  = ".olg"
	archivedSuffix = ".log"
	namesADay      = 100
)

// lookEvery is how often a File looks whether its path is still its own.
const lookEvery = time.Second

// ErrNoName is returned when all numbers of a day are used.
var ErrNoName = errors.New("all numbers of this day are used")

// Open opens the file at path, which is made if there is none.
func Open(path string, o Options) (*File, error) {
	f := &File{path: path, now: o.Now, max: o.MaxSize, header: o.Header}
	if f.now == nil {
		f.now = time.Now
	}
	mode := 0
	if o.Truncate {
		mode = os.O_TRUNC
	}
	if err := f.open(mode); err != nil {
		return nil, fmt.Errorf("logfile: %w", err)
	}
	return f, nil
}

// open opens what is at the path, or makes it, in place of the file that f has.
func (f *File) open(mode int) error {
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND|mode, 0o640)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	if f.file != nil {
		_ = f.file.Close() // every record was written when it came
	}
	f.file, f.size, f.retry, f.looked = file, info.Size(), f.max, f.now()
	return f.begin()
}

// begin writes the header.
func (f *File) begin() error {
	if f.header == nil {
		return nil
	}
	n, err := f.file.Write(f.header())
	f.size += int64(n)
	return err
}

// SetHeader gives the file a header when it is open already, and writes it. head is called with the file locked: it must not write to it.
func (f *File) SetHeader(head func() []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.header = head
	if f.file == nil {
		return os.ErrClosed
	}
	return f.begin()
}

// Path is where the file is.
func (f *File) Path() string { return f.path }

// Write appends a record, or several whole ones, in one piece. Before it, the file is put away if it has grown to its size.
func (f *File) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return 0, fmt.Errorf("logfile: %s: %w", f.path, os.ErrClosed)
	}
	f.lookAgain()
	if f.max > 0 && f.size > 0 && f.size+int64(len(b)) > f.retry {
		if _, err := f.putAway(rotatedSuffix); err != nil {
			f.retry = f.size + f.max // it grows on rather than that anything is lost
		}
	}
	if f.cut { // what follows begins a line
		if _, err := f.file.Write([]byte{'\n'}); err != nil {
			return 0, fmt.Errorf("logfile: %w", err)
		}
		f.cut = false
		f.size++
	}
	n, err := f.file.Write(b)
	f.size += int64(n)
	if err != nil {
		f.cut = n > 0
		return n, fmt.Errorf("logfile: %w", err)
	}
	return n, nil
}

// lookAgain opens the path again if somebody has put another file there, or none.
func (f *File) lookAgain() {
	now := f.now()
	if now.Sub(f.looked) < lookEvery {
		return
	}
	f.looked = now
	if !f.own() {
		_ = f.open(0) // else what there is goes on
	}
}

// Look opens the path again at once if somebody has put another file there, or none: what follows is in the new file.
func (f *File) Look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file != nil {
		f.looked = time.Time{}
		f.lookAgain()
	}
}

// own tells whether the path leads to the file that is open.
func (f *File) own() bool {
	there, err := os.Stat(f.path)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	here, err := f.file.Stat()
	return err != nil || os.SameFile(there, here)
}

// Archive puts the file away under the name yymmddnn.log, which is returned, and begins it anew.
func (f *File) Archive() (name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return "", fmt.Errorf("logfile: %s: %w", f.path, os.ErrClosed)
	}
	if name, err = f.putAway(archivedSuffix); err != nil {
		return "", fmt.Errorf("logfile: %s cannot be put away: %w", f.path, err)
	}
	if name == "" {
		return "", fmt.Errorf("logfile: %s was moved away by another program; it is begun anew", f.path)
	}
	return name, nil
}

// putAway renames the file and begins it anew. Where somebody else has done so just now, his new file is taken and name is empty.
func (f *File) putAway(suffix string) (name string, err error) {
	if !f.own() {
		return "", f.open(0)
	}
	stem := filepath.Join(filepath.Dir(f.path), f.now().Format("060102"))
	for n := range namesADay {
		name = fmt.Sprintf("%s%02d%s", stem, n, suffix)
		err := renameToNew(f.path, name)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		return name, f.open(0)
	}
	return "", ErrNoName
}

// renameToNew renames a file to a name that nothing has.
func renameToNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) { // which file systems say that cannot do it in one step
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return fs.ErrExist
	}
	return os.Rename(from, to)
}

// Close closes the file. It may be called more than once.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

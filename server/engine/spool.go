package engine

import (
	"io"
	"os"
)

// A block mode's reply says how long it is before it says anything else, so all output of a call has to be kept until it ends. A spool
// keeps it in a file without a name once it is more than a little: memory stays flat whatever an engine sends. Its methods run on the
// loop, but for what they do to the file: that is done in a goroutine each, one at a time, while the engine, or the client, waits.
type spool struct {
	answer *answer
	call   *call
	file   *os.File // nil until the first write; owned by the goroutine that runs
	size   int      // bytes that have been written, or are being
	read   int      // of them, bytes that have been sent
	busy   bool     // a goroutine has the file
	closed bool     // nobody wants it any more
	rest   []byte   // what stands behind the file's content, as far as it has come
	sends  bool     // the reply's head has gone out: the content follows
	over   bool     // the call is over, and its outcome is to be sent to the end
}

const (
	spoolBytes = 1 << 20   // of output that is kept in memory
	spoolChunk = 256 << 10 // read from the file at a time
)

// do runs f in a goroutine, and then done with its error on the loop, unless nobody wants the spool any more.
func (s *spool) do(f func() error, done func(error)) {
	shard := s.answer.client.shard
	s.busy = true
	shard.door.starting.Go(func() { // ends with f; Door.Close waits for it
		err := f()
		posted := shard.loop.Post(func() {
			s.busy = false
			if s.closed {
				s.closeFile()
				return
			}
			done(err)
		})
		if !posted && s.file != nil {
			_ = s.file.Close() // the loop has ended
		}
	})
}

// write appends b, which it keeps, and has the engine wait for the disk.
func (s *spool) write(k *call, b []byte) {
	s.size += len(b)
	k.engine.hold(s.answer.client)
	s.do(func() (err error) {
		if s.file == nil {
			if s.file, err = nameless(); err != nil {
				return err
			}
		}
		_, err = s.file.Write(b)
		return err
	}, func(err error) {
		if err != nil {
			s.answer.client.shard.log.Error("output of an engine cannot be kept", "error", err)
			s.answer.spoil("Reply could not be kept")
		}
		if k.engine != nil {
			k.engine.letGo()
		}
		s.next() // if the reply has begun meanwhile
	})
}

// nameless makes a file that is gone when it is closed.
func nameless() (*os.File, error) {
	f, err := os.CreateTemp("", "roundhouse-output-")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// send sends the content, and then rest. The engine waits until then.
func (s *spool) send(k *call) {
	s.sends = true
	k.engine.hold(s.answer.client)
	s.next()
}

// next reads and sends one piece more, when the client has room for it.
func (s *spool) next() {
	conn := s.answer.client.conn
	if s.busy || conn.High() || !s.sends {
		return
	}
	if s.read == s.size {
		s.sends = false
		s.answer.spooled(s)
		return
	}
	b := make([]byte, min(spoolChunk, s.size-s.read))
	s.do(func() error {
		_, err := s.file.ReadAt(b, int64(s.read))
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}, func(err error) {
		if err != nil { // half of the reply has gone out
			s.answer.client.shard.log.Error("output of an engine cannot be read again", "error", err)
			conn.Abort(err)
			return
		}
		s.read += len(b)
		conn.Write(b)
		s.next()
	})
}

// close gives the file back.
func (s *spool) close() {
	s.closed = true
	if !s.busy {
		s.closeFile()
	}
}

func (s *spool) closeFile() {
	if f := s.file; f != nil {
		s.file = nil
		s.answer.client.shard.door.starting.Go(func() { _ = f.Close() }) // ends at once; only read from, or no longer wanted
	}
}

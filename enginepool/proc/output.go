package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// Output gets each line that a process writes; stream is stdout or stderr. It is called by goroutines of the process, one for each
// stream, and holds up the process when it does not return. line is without its end and valid only during the call; what could be
// mistaken for something else in a log, such as control characters, is written as in a Go string. Longer lines than 4 KiB come in
// pieces. Of more than 200 lines a second the rest is left out, and a line says how many were.
type Output func(stream string, line []byte)

const (
	maxLine     = 4 << 10 // bytes; longer lines are cut
	maxLines    = 200     // in each rateWindow, both streams together
	rateWindow  = time.Second
	lastLines   = 20                     // of standard error, for Exit
	outputGrace = 500 * time.Millisecond // after the end, for what is still in the pipes
)

// output reads the pipes of one process.
type output struct {
	// Fixed by newOutput.
	out   Output
	pipes []*pipe
	done  chan struct{} // closed when nothing is read any more

	mu     sync.Mutex // guards all below and what is in pipes; not held while out is called
	window time.Time  // since when passed counts
	passed int        // 0 <= passed <= maxLines
	final  time.Time  // when reading ends at the latest; zero: the process lives
	tail   [lastLines][]byte
	tailed int // lines ever put into tail
}

// pipe is one stream of a process. Its goroutine reads and closes the file.
type pipe struct {
	stream  string
	f       *os.File
	dropped int // lines since the last report; guarded by the output's mu
}

// newOutput takes over the reading ends of the pipes; -1: there is none.
func newOutput(out Output, stdout, stderr int) *output {
	if out == nil {
		out = func(string, []byte) {}
	}
	o := &output{out: out, done: make(chan struct{})}
	o.pipes = append(o.pipes, &pipe{stream: "stderr", f: os.NewFile(uintptr(stderr), "stderr")})
	if stdout >= 0 {
		o.pipes = append(o.pipes, &pipe{stream: "stdout", f: os.NewFile(uintptr(stdout), "stdout")})
	}
	return o
}

// start starts to read.
func (o *output) start() {
	var readers sync.WaitGroup
	for _, p := range o.pipes {
		readers.Go(func() { o.read(p) }) // ends with the pipe, or soon after the process; end waits
	}
	go func() { // ends with the readers
		readers.Wait()
		close(o.done)
	}()
}

// end reads what is still in the pipes and returns the last lines of standard error. A descendant in another group may keep the
// pipes open: it is not waited for longer than outputGrace, and its next write fails.
func (o *output) end() []string {
	o.mu.Lock()
	o.final = time.Now().Add(outputGrace)
	for _, p := range o.pipes {
		_ = p.f.SetReadDeadline(o.final) // fails when the reader has closed it
	}
	o.mu.Unlock()
	late := time.NewTimer(2 * outputGrace)
	defer late.Stop()
	select {
	case <-o.done:
	case <-late.C: // out does not return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var last []string
	for i := max(0, o.tailed-lastLines); i < o.tailed; i++ {
		last = append(last, string(appendPrintable(nil, o.tail[i%lastLines])))
	}
	return last
}

// read hands on the lines of a pipe until it ends.
func (o *output) read(p *pipe) {
	defer p.f.Close()
	buf := make([]byte, maxLine+1) // one more, to see whether the line ends there
	begun := 0                     // bytes of a line that has not ended, at the front of buf
	for {
		n, err := p.f.Read(buf[begun:])
		begun = o.lines(p, buf[:begun+n])
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) && o.report(p) {
			continue
		}
		if begun > 0 {
			o.line(p, buf[:begun])
		}
		o.report(p)
		return
	}
}

// lines hands on the lines in b and moves what is left to its front: at most maxLine bytes.
func (o *output) lines(p *pipe, b []byte) (left int) {
	rest := b
	for {
		line, after, ok := bytes.Cut(rest, []byte{'\n'})
		if !ok {
			break
		}
		o.line(p, bytes.TrimSuffix(line, []byte{'\r'}))
		rest = after
	}
	if len(rest) > maxLine {
		at := wholeRunes(rest[:maxLine])
		o.line(p, rest[:at])
		rest = rest[at:]
	}
	return copy(b, rest)
}

// wholeRunes is how much of b to take so that no character at its end is cut.
func wholeRunes(b []byte) int {
	for i := 1; i < utf8.UTFMax; i++ {
		if last := b[len(b)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return len(b) - i
			}
			break
		}
	}
	return len(b)
}

// line hands on one line, or counts it.
func (o *output) line(p *pipe, line []byte) {
	o.mu.Lock()
	if p.stream == "stderr" {
		last := &o.tail[o.tailed%lastLines]
		*last = append((*last)[:0], line...)
		o.tailed++
	}
	missed := 0
	if now := time.Now(); now.Sub(o.window) >= rateWindow {
		o.window, o.passed = now, 0
	}
	pass := o.passed < maxLines
	if pass {
		o.passed++
		missed, p.dropped = p.dropped, 0
	} else {
		p.dropped++
		if p.dropped == 1 && o.final.IsZero() { // when no more lines come it is report that tells
			_ = p.f.SetReadDeadline(o.window.Add(rateWindow)) // it is open: its reader called
		}
	}
	o.mu.Unlock()
	o.leftOut(p.stream, missed)
	if pass {
		o.out(p.stream, appendPrintable(nil, line))
	}
}

// report says how many lines were left out, and takes back the time limit of reading that line has set. false means that the
// process has ended and its time is over.
func (o *output) report(p *pipe) bool {
	o.mu.Lock()
	missed := p.dropped
	p.dropped = 0
	live := o.final.IsZero()
	if live {
		_ = p.f.SetReadDeadline(time.Time{}) // it is open: its reader called
	}
	again := live || time.Now().Before(o.final)
	o.mu.Unlock()
	o.leftOut(p.stream, missed)
	return again
}

func (o *output) leftOut(stream string, n int) {
	if n > 0 {
		o.out(stream, fmt.Appendf(nil, "(%d lines left out: more than %d came within %v)", n, maxLines, rateWindow))
	}
}

// appendPrintable appends line with everything that is not a printable character written as in a Go string, so that a line stays
// one and does nothing to a terminal. Quotes and backslashes are left as they are.
func appendPrintable(dst, line []byte) []byte {
	for len(line) > 0 {
		r, n := utf8.DecodeRune(line)
		switch {
		case r == utf8.RuneError && n == 1:
			dst = fmt.Appendf(dst, `\x%02x`, line[0])
		case strconv.IsPrint(r):
			dst = append(dst, line[:n]...)
		default:
			quoted := strconv.QuoteRune(r)
			dst = append(dst, quoted[1:len(quoted)-1]...)
		}
		line = line[n:]
	}
	return dst
}

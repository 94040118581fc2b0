package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"roundhouse/bench/harness"
	"roundhouse/bench/router/load"
)

// phase is a part of a round. Every message says in which one it was published.
type phase uint8

const (
	phaseWarm    phase = iota // not counted
	phaseReading              // all subscribers read
	phaseBlocked              // one does not
	phaseCut                  // the server has ended its connection
	phases
)

// phaseAt is where a payload has its phase, behind the stamp of package load. The rest is the same in all messages.
const phaseAt = load.StampLen

// subscriber is a connection that has to get every message.
type subscriber struct {
	socket socket
	number int
	next   uint64 // number of the message that comes next
	carry  []byte // a message of which the rest is still to come
}

// poller reads the connections of many subscribers on one goroutine.
type poller struct {
	// Fixed at start.
	epoll    int
	protocol protocol
	began    time.Time // when the clock of the stamps began
	payload  []byte    // what all have in common, from behind phaseAt
	subs     []*subscriber
	slow     int // index in subs of the one that may be held; -1: none
	fail     func(error)
	received *atomic.Int64 // messages, those of the slow one left out
	// Owned by its goroutine.
	buf        []byte
	histograms [phases]harness.Histogram
	// Any goroutine.
	hold  atomic.Bool   // read the slow one no more
	held  chan struct{} // closed when that is so
	quit  atomic.Bool
	ended chan struct{}
}

func newPoller(p protocol, began time.Time, payload []byte, received *atomic.Int64, fail func(error)) (*poller, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &poller{
		epoll: epoll, protocol: p, began: began, payload: payload[phaseAt+1:], slow: -1, fail: fail, received: received,
		buf: make([]byte, 256<<10), held: make(chan struct{}), ended: make(chan struct{}),
	}, nil
}

// add takes a subscriber that has introduced itself, before the poller runs.
func (p *poller) add(s *subscriber) error {
	if err := s.socket.blocking(false); err != nil {
		return err
	}
	p.subs = append(p.subs, s)
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(len(p.subs) - 1)}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_ADD, int(s.socket), &ev))
}

// run reads until it is told to quit, or something is wrong.
func (p *poller) run() {
	defer close(p.ended)
	const patience = 20 // milliseconds
	events := make([]syscall.EpollEvent, 256)
	holding := false
	for !p.quit.Load() {
		n, err := syscall.EpollWait(p.epoll, events, patience)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			p.fail(os.NewSyscallError("epoll_wait", err))
			return
		}
		if !holding && p.slow >= 0 && p.hold.Load() {
			holding = true
			if err := syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_DEL, int(p.subs[p.slow].socket), nil); err != nil {
				p.fail(os.NewSyscallError("epoll_ctl", err))
			}
			close(p.held)
		}
		for _, ev := range events[:n] {
			if i := int(ev.Fd); !holding || i != p.slow {
				if err := p.read(p.subs[i], i == p.slow); err != nil {
					p.fail(fmt.Errorf("subscriber %d, after %d messages: %w", p.subs[i].number, p.subs[i].next, err))
					return
				}
			}
		}
	}
}

// read reads what one subscriber has got, once.
func (p *poller) read(s *subscriber, slow bool) error {
	have := copy(p.buf, s.carry)
	n, err := s.socket.Read(p.buf[have:])
	if errors.Is(err, syscall.EAGAIN) {
		return nil
	}
	if err != nil {
		return err
	}
	now := time.Since(p.began)
	have += n
	first := s.next
	at, err := p.take(s, p.buf[:have], now)
	if err != nil {
		return err
	}
	if have-at == len(p.buf) {
		return fmt.Errorf("a message of more than %d bytes", have-at)
	}
	s.carry = append(s.carry[:0], p.buf[at:have]...)
	if !slow && s.next > first {
		p.received.Add(int64(s.next - first))
	}
	return nil
}

// take handles what is whole of b and returns how much that is.
func (p *poller) take(s *subscriber, b []byte, now time.Duration) (at int, err error) {
	var e event
	for {
		n, err := p.protocol.next(b[at:], &e)
		if err != nil || n == 0 {
			return at, err
		}
		at += n
		switch e.kind {
		case eventMessage:
			sent, in, err := s.check(e.payload, p.payload)
			if err != nil {
				return at, err
			}
			p.histograms[in].Record(now - sent)
		case eventPing:
			if _, err := s.socket.Write(p.protocol.pong(nil)); err != nil {
				return at, err
			}
		case eventEnd:
			return at, errors.New("the server says " + e.text)
		}
	}
}

// check compares a payload with the one that has to come next, and tells when and in which phase it was published.
func (s *subscriber) check(payload, same []byte) (sent time.Duration, in phase, err error) {
	if len(payload) != phaseAt+1+len(same) || !bytes.Equal(payload[phaseAt+1:], same) || payload[phaseAt] >= byte(phases) {
		return 0, 0, fmt.Errorf("a payload of %d bytes came, or one that nobody sent: %.100q", len(payload), payload)
	}
	count := binary.BigEndian.Uint64(payload[8:])
	if count != s.next {
		return 0, 0, fmt.Errorf("message %d came, want %d", count, s.next)
	}
	s.next++
	return time.Duration(binary.BigEndian.Uint64(payload)), phase(payload[phaseAt]), nil
}

// close ends the goroutine, if it runs, and all connections.
func (p *poller) close(running bool) {
	p.quit.Store(true)
	if running {
		<-p.ended
	}
	for _, s := range p.subs {
		s.socket.close()
	}
	_ = syscall.Close(p.epoll) // it has no data
}

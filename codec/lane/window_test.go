package lane

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"roundhouse/codec"
)

func TestSendWindow(t *testing.T) {
	w := NewSendWindow(100)
	for _, row := range []struct {
		spend int
		grant uint32
		left  int
		err   error
	}{
		{0, 0, 100, nil},
		{40, 0, 60, nil},
		{60, 0, 0, nil},
		{0, 1, 1, nil},
		{1, MaxWindow - 1, MaxWindow - 1, nil},
		{0, 1, MaxWindow, nil},
		{0, 0, MaxWindow, nil},
		{0, 1, MaxWindow, codec.ErrTooLarge},
		{0, math.MaxUint32, MaxWindow, codec.ErrTooLarge},
		{MaxWindow, MaxWindow + 1, 0, codec.ErrTooLarge},
		{0, MaxWindow, MaxWindow, nil},
	} {
		w.Spend(row.spend)
		if err := w.Grant(row.grant); !errors.Is(err, row.err) || w.Left() != row.left {
			t.Fatalf("spend %d, grant %d: left %d, %v; want %d, %v", row.spend, row.grant, w.Left(), err, row.left, row.err)
		}
	}
}

func TestRecvWindow(t *testing.T) {
	w := NewRecvWindow(100)
	for _, row := range []struct {
		receive, release int
		credit           uint32
		err              error
	}{
		{0, 0, 0, nil},
		{101, 0, 0, codec.ErrTooLarge}, // one over
		{100, 24, 0, nil},              // at the limit; less than a quarter is not worth a credit
		{1, 1, 25, codec.ErrTooLarge},  // what is released counts only when credit has been given
		{25, 0, 0, nil},
		{1, 100, 100, codec.ErrTooLarge},
		{100, 50, 50, nil},
		{50, 0, 0, nil},
		{1, 0, 0, codec.ErrTooLarge},
	} {
		err := w.Receive(row.receive)
		w.Release(row.release)
		if got := w.Credit(); got != row.credit || !errors.Is(err, row.err) {
			t.Fatalf("receive %d, release %d: %v, credit %d; want %v, %d", row.receive, row.release, err, got, row.err, row.credit)
		}
	}
}

// TestSmallWindows checks that no window is so small that its credit never comes.
func TestSmallWindows(t *testing.T) {
	for size := 1; size <= 9; size++ {
		w := NewRecvWindow(size)
		for range 3 {
			if err := w.Receive(size); err != nil {
				t.Fatal(err)
			}
			w.Release(size)
			if got := w.Credit(); int(got) != size {
				t.Errorf("window %d: credit %d", size, got)
			}
		}
	}
}

// TestWindowsAgree runs a sender and a receiver against each other: the sender's credit and what the receiver counts as given
// differ only by what is on its way, and a stream never stands still.
func TestWindowsAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		size := 1 + rng.IntN(1000)
		send, recv := NewSendWindow(uint32(size)), NewRecvWindow(size)
		held, credits := 0, []uint32{}
		for range 1000 {
			switch n := rng.IntN(size + 1); rng.IntN(3) {
			case 0:
				n = min(n, send.Left())
				send.Spend(n)
				if err := recv.Receive(n); err != nil {
					t.Fatal(err)
				}
				held += n
			case 1:
				n = min(n, held)
				recv.Release(n)
				held -= n
				if c := recv.Credit(); c > 0 {
					credits = append(credits, c)
				}
			case 2:
				for _, c := range credits {
					if err := send.Grant(c); err != nil {
						t.Fatal(err)
					}
				}
				credits = credits[:0]
			}
			onWay := 0
			for _, c := range credits {
				onWay += int(c)
			}
			if send.Left()+onWay != recv.left || recv.left+recv.done+held != size {
				t.Fatalf("size %d: sender %d, on its way %d, receiver %+v, held %d", size, send.Left(), onWay, recv, held)
			}
			if held == 0 && onWay == 0 && send.Left() == 0 {
				t.Fatalf("size %d: stands still, receiver %+v", size, recv)
			}
		}
	}
}

func TestWindowMisuse(t *testing.T) {
	for _, row := range []struct {
		name string
		f    func()
	}{
		{"send: first credit too large", func() { NewSendWindow(MaxWindow + 1) }},
		{"send: more than the credit", func() { w := NewSendWindow(5); w.Spend(6) }},
		{"send: less than nothing", func() { w := NewSendWindow(5); w.Spend(-1) }},
		{"receive: no window", func() { NewRecvWindow(0) }},
		{"receive: negative window", func() { NewRecvWindow(-1) }},
		{"receive: window too large", func() { NewRecvWindow(MaxWindow + 1) }},
		{"receive: less than nothing", func() { w := NewRecvWindow(5); _ = w.Receive(-1) }}, // it panics before it returns
		{"release: what never came", func() { w := NewRecvWindow(5); w.Release(1) }},
		{"release: twice", func() { w := NewRecvWindow(8); _ = w.Receive(4); w.Release(3); w.Release(2) }}, // within the window
		{"release: less than nothing", func() { w := NewRecvWindow(5); w.Release(-1) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			defer func() {
				if msg := fmt.Sprint(recover()); !strings.HasPrefix(msg, "BUG: lane") {
					t.Errorf("panic %q", msg)
				}
			}()
			row.f()
		})
	}
	NewSendWindow(MaxWindow) // at the limits
	NewRecvWindow(MaxWindow)
	NewRecvWindow(1)
}

package relay

import (
	"net/netip"
	"strconv"
	"testing"
	"time"
)

func TestSuspects(t *testing.T) {
	var s suspects
	now := time.Now()
	who := suspect{addr: wholeAddr(netip.MustParseAddr("2001:db8::1")), server: serverName{"f", "s"}}
	for i := range wrongTokens {
		if wait := s.wait(who, "", now); wait != 0 {
			t.Fatalf("after %d wrong tokens it has to wait %v", i, wait)
		}
		s.add(who, "", now)
	}
	neighbour, other, stranger := who, who, who
	neighbour.addr = wholeAddr(netip.MustParseAddr("2001:db8::ffff"))
	other.server.server = "t"
	stranger.addr = wholeAddr(netip.MustParseAddr("2001:db8:0:1::1"))
	if s.wait(who, "", now) != doubtTime || s.wait(neighbour, "", now) != doubtTime || s.wait(other, "", now) != 0 || s.wait(stranger, "", now) != 0 {
		t.Errorf("%v, %v, %v, %v", s.wait(who, "", now), s.wait(neighbour, "", now), s.wait(other, "", now), s.wait(stranger, "", now))
	}
	now = now.Add(doubtTime)
	s.add(who, "", now)
	if wait := s.wait(who, "", now); wait != 0 {
		t.Errorf("a minute later, after one more, it has to wait %v", wait)
	}
	for i := range 2 * maxSuspects {
		s.add(suspect{server: serverName{"f", strconv.Itoa(i)}}, "", now)
	}
	if n := len(s.table); n > maxSuspects {
		t.Errorf("%d suspects", n)
	}
}

// TestProven has others guess tokens from behind the address of an enabler that has shown the right one.
func TestProven(t *testing.T) {
	var s suspects
	now := time.Now()
	who := suspect{addr: netip.MustParseAddr("192.0.2.1"), server: serverName{"f", "s"}}
	s.prove(who, "good")
	s.prove(who, "")
	for range wrongTokens {
		s.add(who, "guesses", now)
	}
	elsewhere := suspect{addr: netip.MustParseAddr("192.0.2.2"), server: who.server}
	for range wrongTokens {
		s.add(elsewhere, "", now)
	}
	if s.wait(who, "good", now) != 0 || s.wait(who, "guesses", now) == 0 || s.wait(who, "", now) == 0 || s.wait(elsewhere, "good", now) == 0 {
		t.Error(s.wait(who, "good", now), s.wait(who, "guesses", now), s.wait(who, "", now), s.wait(elsewhere, "good", now))
	}
	s.add(who, "good", now) // its token holds no more
	if s.wait(who, "good", now) == 0 {
		t.Error("it may guess")
	}
	for i := range maxProven + 10 {
		s.prove(who, strconv.Itoa(i))
	}
	if n := len(s.proven); n > maxProven {
		t.Errorf("%d are known", n)
	}
}

func TestNonces(t *testing.T) {
	now := time.Now()
	n := nonces{mostForTest: 3}
	take := func(first byte, at, signed time.Time, want *failure) {
		t.Helper()
		if no := n.take(signature{ts: signed.Unix(), nonce: [16]byte{first}}, at); no.failure != want {
			t.Errorf("nonce %d: %v, want %v", first, no.failure, want)
		}
	}
	take(1, now, now, nil)
	take(1, now, now, failUnauthorized)
	take(2, now, now.Add(-signatureLife), nil)
	take(3, now, now.Add(-signatureLife-2*time.Second), failUnauthorized)
	take(3, now, now.Add(signatureLife), nil)
	take(4, now, now, failBusy)
	later := now.Add(2*signatureLife + time.Second)
	take(3, later, later.Add(-signatureLife), failUnauthorized) // it is remembered for as long as it could be right
	take(4, later, later, nil)
}

func TestClaims(t *testing.T) {
	var s claims
	name, now := serverName{"f", "s"}, time.Now()
	want := func(run string, at time.Time, state claimState) {
		t.Helper()
		if got := s.claim(name, run, at); got != state {
			t.Errorf("%s: %d, want %d", run, got, state)
		}
	}
	want("a", now, claimFree)
	want("b", now, claimTaken)
	s.joined(name, "a")
	s.joined(name, "a")
	want("a", now, claimFree)
	want("b", now, claimHeld)
	s.left(name, "a")
	want("b", now, claimHeld)
	s.left(name, "a")
	want("b", now, claimFree)
	want("a", now.Add(openingTime+time.Second), claimFree)
	if !s.serves(name) || s.serves(serverName{"f", "t"}) {
		t.Error("who serves what?")
	}
}

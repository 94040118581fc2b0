package server_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"roundhouse/server/config"
)

// sniffer passes connections on, and keeps what clients send.
type sniffer struct {
	net.Listener
	mu    sync.Mutex // guards heads
	heads []*bytes.Buffer
}

// sniff listens before a relay.
func sniff(t *testing.T, to string) *sniffer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sniffer{Listener: ln}
	var pipes sync.WaitGroup
	t.Cleanup(func() { ln.Close(); pipes.Wait() })
	pipes.Go(func() { // ends with the listener
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			kept := s.keep()
			pipes.Go(func() { _, _ = io.Copy(in, out); in.Close(); out.Close() }) // ends with either connection
			pipes.Go(func() {
				_, _ = io.Copy(io.MultiWriter(out, writerFunc(func(b []byte) (int, error) {
					s.mu.Lock()
					defer s.mu.Unlock()
					return kept.Write(b)
				})), in)
				in.Close()
				out.Close()
			})
		}
	})
	return s
}

func (s *sniffer) keep() *bytes.Buffer {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := new(bytes.Buffer)
	s.heads = append(s.heads, b)
	return b
}

// head returns the head of a call that has come: the last one of that operation.
func (s *sniffer) head(op string) (text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.heads {
		if head, _, ok := strings.Cut(b.String(), "\r\n\r\n"); ok && strings.Contains(head, "Ias-Rs-Op: "+op+"\r\n") {
			text = head + "\r\n\r\n"
		}
	}
	return text
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestCapturedCalls sends the calls of a real enabler, as somebody on the way has read them, to its own relay server and to another of the same
// configuration: nobody becomes an enabler by that.
func TestCapturedCalls(t *testing.T) {
	r, other := startRelay(t, nil), startRelay(t, nil)
	between := sniff(t, r.addr)
	e := startEnablerWith(t, r, "s1", "127.0.0.1:9", func(cfg *config.Enabler) {
		host, port := split(t, between.Addr().String())
		cfg.Relays[0].Host, cfg.Relays[0].Port = host, port
	})
	for _, op := range []string{"up", "down"} {
		head := between.head(op)
		if head == "" || strings.Contains(head, "secret") {
			t.Fatalf("%s: captured %q", op, head)
		}
		for _, row := range []struct{ to, head, want string }{
			{r.addr, head, "401 2001"},
			{other.addr, head, "401 2010"},
			{other.addr, strings.Replace(head, "Ias-Rs-Instance: ", "Ias-Rs-Was: ", 1), "401 2010"},
			{other.addr, strings.Replace(head, "Ias-Rs-Proto: 2", "Ias-Rs-Proto: 1", 1), "401 2001"},
			{other.addr, strings.Replace(head, "Ias-Rs-Op: "+op, "Ias-Rs-Op: peers", 1), "401 2001"},
		} {
			if got := answerTo(t, row.to, row.head); got != row.want {
				t.Errorf("%s: %s, want %s, for\n%s", op, got, row.want, row.head)
			}
		}
	}
	// The name of the other process does not make a signature right that was made for this one.
	name := nameOf(t, other)
	own := nameOf(t, r)
	if name == own || len(name) != 32 {
		t.Errorf("processes call themselves %q and %q", own, name)
	}
	if got := answerTo(t, other.addr, strings.Replace(between.head("up"), own, name, 1)); got != "401 2001" {
		t.Errorf("a call with the other's name gets %s", got)
	}
	if e.log.has("lane down") {
		t.Error("the enabler's log calls the first meeting a failure")
	}
}

// nameOf asks a relay server how its process calls itself.
func nameOf(t *testing.T, r *relayUnderTest) string {
	t.Helper()
	resp := calling(t, &http.Client{Timeout: patience}, "POST", "http://"+r.addr+"/srv/iarelayserver", enablerCall("f", "s2", "r1", "Ias-Rs-Token", "secret")...)
	return resp.Header.Get("Ias-Rs-Instance")
}

// answerTo sends a head, and returns status and error number of the answer.
func answerTo(t *testing.T, addr, head string) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience)) // an error shows below
	if _, err := io.WriteString(c, head); err != nil {
		t.Fatal(err)
	}
	return statusAndNumber(t, c)
}

// TestEarlierEnabler lets an enabler in that signs as those before this release did, but not where the administrator wants nothing to be of use
// for somebody on the way.
func TestEarlierEnabler(t *testing.T) {
	for _, strict := range []bool{false, true} {
		s := startSecured(t, func(cfg *config.Config) { cfg.Relay.Trust.PlainTokens = !strict })
		for _, https := range []bool{false, true} {
			want, url := "200 ", "http://"+s.addr
			if https {
				url = "https://" + s.tlsAddr
			} else if strict {
				want = "426 2006"
			}
			resp := calling(t, s.httpClient(t, ""), "POST", url+"/srv/iarelayserver",
				append(enablerCall("f", "s1", "r1"), "Ias-Rs-Proto", "1", "Ias-Rs-Auth", signedEarlier("secret", "POST|f|s1|r1"))...)
			if got := fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Ias-Rs-Error")); got != want {
				t.Errorf("strict %v, https %v: %s, want %s", strict, https, got, want)
			}
		}
	}
}

// signedEarlier is the value of Ias-Rs-Auth in the first version of calls.
func signedEarlier(token, said string) string {
	nonce := newNonce()
	n, ts, key := hex.EncodeToString(nonce[:]), fmt.Sprint(time.Now().Unix()), sha256.Sum256([]byte(token))
	mac := hmac.New(sha256.New, key[:])
	io.WriteString(mac, said+"|"+ts+"|"+n)
	return ts + "," + n + "," + hex.EncodeToString(mac.Sum(nil))
}

// TestSignedPurpose changes each thing that a signature covers.
func TestSignedPurpose(t *testing.T) {
	t.Parallel() // it waits most of its time
	r := startRelay(t, nil)
	name := nameOf(t, r)
	is := map[string]string{"method": "GET", "op": "up", "farm": "f", "server": "s1", "run": "r1", "lane": "r1.1/0", "instance": name}
	said := []string{"method", "op", "farm", "server", "run", "lane", "instance"}
	for _, row := range []struct{ key, as, want string }{
		{"", "", "200 "}, {"method", "POST", "401 2001"}, {"op", "down", "401 2001"}, {"farm", "g", "401 2001"}, {"server", "s2", "401 2001"},
		{"run", "r2", "401 2001"}, {"lane", "r1.1/1", "401 2001"}, {"instance", strings.Repeat("0", 32), "401 2001"},
	} {
		nonce := newNonce()
		n, ts, key := hex.EncodeToString(nonce[:]), fmt.Sprint(time.Now().Unix()), sha256.Sum256([]byte("secret"))
		text := "Ias-Rs-Proto: 2"
		for _, k := range said {
			if text += "\n"; k == row.key {
				text += row.as
			} else {
				text += is[k]
			}
		}
		mac := hmac.New(sha256.New, key[:])
		io.WriteString(mac, text+"\n"+ts+"\n"+n)
		head := "GET /srv/iarelayserver HTTP/1.1\r\nHost: relay\r\nIas-Rs-Op: up\r\nIas-Rs-Farm: f\r\nIas-Rs-Server: s1\r\nIas-Rs-Proto: 2\r\nIas-Rs-Oe-Id: r1\r\nIas-Rs-Lane: r1.1/0\r\nIas-Rs-Instance: " +
			name + "\r\nIas-Rs-Auth: " + ts + "," + n + "," + hex.EncodeToString(mac.Sum(nil)) + "\r\n\r\n"
		if got := answerTo(t, r.addr, head); got != row.want {
			t.Errorf("signed %s %q: %s, want %s", row.key, row.as, got, row.want)
		}
	}
}

// statusAndNumber reads the head of an answer.
func statusAndNumber(t *testing.T, c net.Conn) string {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Ias-Rs-Error"))
}

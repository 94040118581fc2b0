package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"roundhouse/bench/harness"
	"roundhouse/codec/oes"
)

// poolForTest listens and hands each connection to serve.
func poolForTest(t *testing.T, protocol harness.Protocol, serve func(net.Conn) error) *harness.Pool {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() { // ends with the listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				defer c.Close()
				_ = serve(c) // the client tells
			}()
		}
	}()
	return &harness.Pool{Protocol: protocol, Port: ln.Addr().(*net.TCPAddr).Port}
}

// readFrame reads a frame's payload.
func readFrame(r io.Reader) ([]byte, error) {
	var size int
	if _, err := fmt.Fscanf(io.LimitReader(r, 8), "%08d", &size); err != nil {
		return nil, err
	}
	payload := make([]byte, size)
	_, err := io.ReadFull(r, payload)
	return payload, err
}

func echoFrames(c net.Conn) error {
	for {
		payload, err := readFrame(c)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(c, "%08d%s", len(payload), payload); err != nil {
			return err
		}
	}
}

func echoDoor(c net.Conn) error {
	for {
		payload, err := readFrame(c)
		if err != nil {
			return err
		}
		code, fields, err := oes.ParseCommand(payload)
		if err != nil {
			return err
		}
		reply := oes.AppendReply(nil, true, oes.Done, "engine", "details", "")
		if code == oes.Execute {
			reply = oes.AppendReplyBytes(nil, true, oes.Done, bytes.TrimSuffix(fields, []byte{1}))
		}
		if _, err := c.Write(reply); err != nil {
			return err
		}
	}
}

func echoHTTP(c net.Conn) error {
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nServer: test\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
			return err
		}
	}
}

var protocols = map[string]struct {
	protocol harness.Protocol
	serve    func(net.Conn) error
}{
	"frames": {harness.ProtocolFrames, echoFrames},
	"door":   {harness.ProtocolEngine, echoDoor},
	"http":   {harness.ProtocolHTTP, echoHTTP},
}

func TestLoad(t *testing.T) {
	for name, p := range protocols {
		for _, size := range []int{stampLen, 100, 64 << 10, 1 << 20} {
			t.Run(fmt.Sprintf("%s/%d", name, size), func(t *testing.T) {
				l, err := startLoad(t.Context(), poolForTest(t, p.protocol, p.serve), size, 5, 2)
				if err != nil {
					t.Fatal(err)
				}
				l.recording.Store(true)
				err = harness.WaitFor(t.Context(), time.Minute, "replies", func() error {
					if l.served() < 20 {
						return errors.New("not yet")
					}
					return nil
				})
				latencies, failed, first := l.stop()
				if err != nil || failed != 0 || first != nil {
					t.Fatalf("%v, %d failed: %v", err, failed, first)
				}
				if latencies.Count() == 0 || latencies.Quantile(0.5) <= 0 {
					t.Errorf("%d latencies, median %v", latencies.Count(), latencies.Quantile(0.5))
				}
			})
		}
	}
}

// corrupting changes what is written.
type corrupting struct {
	net.Conn
	change func([]byte)
}

func (r corrupting) Write(b []byte) (int, error) {
	b = bytes.Clone(b)
	r.change(b)
	return r.Conn.Write(b)
}

func TestLoadNoticesWrongReplies(t *testing.T) {
	for name, p := range protocols {
		t.Run(name, func(t *testing.T) {
			pool := poolForTest(t, p.protocol, func(c net.Conn) error {
				return p.serve(corrupting{c, func(b []byte) {
					if len(b) > 100 { // not the login's
						b[len(b)-30] ^= 1
					}
				}})
			})
			if err := verify(t.Context(), pool, 100); err == nil || !strings.Contains(err.Error(), "of the reply: got") {
				t.Errorf("err = %v", err)
			}
		})
	}
	closing := poolForTest(t, harness.ProtocolFrames, func(c net.Conn) error {
		_, err := readFrame(c)
		return err
	})
	if err := verify(t.Context(), closing, 100); err == nil || !strings.Contains(err.Error(), "16 of 16 clients: read") {
		t.Errorf("err = %v", err)
	}
	refusing := poolForTest(t, harness.ProtocolEngine, func(c net.Conn) error {
		_, err := c.Write(oes.AppendReply(nil, true, oes.Failed, "no"))
		return errors.Join(err, echoFrames(c))
	})
	if err := verify(t.Context(), refusing, 100); err == nil || !strings.Contains(err.Error(), "login: ") {
		t.Errorf("err = %v", err)
	}
}

func TestReply(t *testing.T) {
	stamp := bytes.Repeat([]byte("s"), stampLen)
	for name, p := range protocols {
		w, err := newWire(p.protocol, 40)
		if err != nil {
			t.Fatal(err)
		}
		payload := append(bytes.Clone(stamp), w.tail...)
		full := fmt.Appendf(nil, "%s%s%s", w.replyHead, payload, w.replyEnd)
		if w.replyHead == nil {
			full = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 40\r\nDate: y\r\n\r\n%s", payload)
		}
		for cut := range full { // split everywhere
			var r reply
			done, err := r.take(w, stamp, full[:cut])
			if done || err != nil {
				t.Fatalf("%s, %d bytes: %t, %v", name, cut, done, err)
			}
			if done, err = r.take(w, stamp, full[cut:]); !done || err != nil {
				t.Fatalf("%s, split at %d: %t, %v", name, cut, done, err)
			}
			if _, err = r.take(w, stamp, []byte("x")); err == nil {
				t.Errorf("%s: a byte too many: no error", name)
			}
		}
		for i := len(full) - len(payload) - len(w.replyEnd); i < len(full); i++ { // each byte counts
			wrong := bytes.Clone(full)
			wrong[i] ^= 1
			if _, err := new(reply).take(w, stamp, wrong); err == nil {
				t.Errorf("%s: wrong byte %d: no error", name, i)
			}
		}
	}
	w, err := newWire(harness.ProtocolHTTP, 40)
	if err != nil {
		t.Fatal(err)
	}
	for _, head := range []string{"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 40\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n", strings.Repeat("x", 9000)} {
		if _, err := new(reply).take(w, stamp, []byte(head)); err == nil {
			t.Errorf("%.40q: no error", head)
		}
	}
}

func TestMediansAndReport(t *testing.T) {
	round := func(perSecond float64, p99 time.Duration, failed int64) sample {
		return sample{perSecond: perSecond, p99: p99, server: 20 * time.Microsecond, engines: 4 * time.Microsecond, pss: 3 << 20, failed: failed}
	}
	c := cell{size: 64 << 10, clients: 3, rows: []row{
		{"ours", "peer", []sample{round(30, 8*time.Millisecond, 0), round(10, 2*time.Millisecond, 1), round(20, 4*time.Millisecond, 2)}},
		{"peer", "peer", []sample{round(5, 8*time.Millisecond, 0), round(15, 8*time.Millisecond, 0)}},
		{"other", "absent", []sample{round(1, time.Second, 0)}},
	}}
	var b strings.Builder
	c.report(&b)
	for _, want := range []string{
		"### Engine calls, 64 KiB, 3 clients",
		"| ours | 20 | 2.00 | 0.00 ms | 4.00 ms | 0.50 | 20.0 | 1.00 | 4.0 | 1.00 | 0.0 | 3.0 | 3 |",
		"| peer | 10 | 1.00 | 0.00 ms | 8.00 ms | 1.00 | 20.0 | 1.00 | 4.0 | 1.00 | 0.0 | 3.0 | 0 |",
		"| other | 1 | - | 0.00 ms | 1000 ms | - | 20.0 | - | 4.0 | - | 0.0 | 3.0 | 0 |",
	} {
		if !strings.Contains(b.String(), want+"\n") {
			t.Errorf("no line %q in:\n%s", want, &b)
		}
	}
}

func TestParseFlags(t *testing.T) {
	o, err := parseFlags([]string{"-quick", "-sizes", "100,64k", "-only", "roadrunner-go,nginx-php-fpm"})
	if err != nil {
		t.Fatal(err)
	}
	if o.rounds != 1 || len(o.clients) != 1 || o.sizes[1] != 64<<10 || o.wants("roundhouse-go") || !o.wants("roadrunner-go") {
		t.Errorf("options = %+v", o)
	}
	if o, err = parseFlags([]string{"-quick", "-rounds", "5", "-clients", "1,2"}); err != nil || o.rounds != 5 || len(o.clients) != 2 {
		t.Errorf("-quick overrides: %+v, %v", o, err)
	}
	for _, bad := range [][]string{
		{"-only", "nobody"}, {"-queue", "-only", "nginx-php-fpm"}, {"-clients", "0"}, {"-sizes", "15"}, {"-rounds", "0"}, {"-waiting", "1000000"}, {"stray"},
	} {
		if _, err := parseFlags(bad); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}

func TestWaiters(t *testing.T) {
	pool := poolForTest(t, harness.ProtocolFrames, func(c net.Conn) error {
		payload, err := readFrame(c)
		if err != nil {
			return err
		}
		switch payload[stampLen-1] { // the stamp's last digit is the client's number
		case '0':
			_, err = fmt.Fprintf(c, "%08d%s", len(payload), payload)
		case '1':
			return nil // closes
		}
		_, readErr := io.Copy(io.Discard, c)
		return errors.Join(err, readErr)
	})
	ws, err := openClients(t.Context(), pool, 5)
	defer ws.close()
	if err == nil {
		err = ws.send(pool)
	}
	if err != nil {
		t.Fatal(err)
	}
	err = harness.WaitFor(t.Context(), time.Minute, "one answer, one close", func() error {
		held, answered, lost, err := ws.count()
		if err == nil && (held != 3 || answered != 1 || lost != 1) {
			err = fmt.Errorf("%d wait, %d answered, %d lost", held, answered, lost)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCanceledRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := verify(ctx, poolForTest(t, harness.ProtocolFrames, echoFrames), 100); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}

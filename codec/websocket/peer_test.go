package websocket_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	peer "github.com/coder/websocket"

	"roundhouse/codec/websocket"
)

// TestPeer talks to an independent implementation: its frames, masked and in parts, are read, and ours come back.
func TestPeer(t *testing.T) {
	message := bytes.Repeat([]byte("0123456789"), 20_000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		c, in, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+
			websocket.Accept(q.Header.Get("Sec-WebSocket-Key"))+"\r\n\r\n")
		echo(t, c, in)
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, _, err := peer.Dial(ctx, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	got := make(chan []byte, 1)
	go func() { // ends with the connection
		for {
			kind, b, err := c.Read(ctx)
			if err != nil {
				close(got)
				return
			}
			if kind == peer.MessageBinary {
				got <- b
			}
		}
	}()
	w, err := c.Writer(ctx, peer.MessageBinary) // in frames of its own choice
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(message); i += 50_000 {
		if _, err := w.Write(message[i : i+50_000]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if b := <-got; !bytes.Equal(b, message) {
		t.Errorf("%d bytes came back", len(b))
	}
	if err := c.Ping(ctx); err != nil {
		t.Error("ping:", err)
	}
	if err := c.Close(peer.StatusNormalClosure, "bye"); err != nil {
		t.Error("close:", err)
	}
}

// echo sends every message back as one frame, and answers control frames.
func echo(t *testing.T, c net.Conn, in io.Reader) {
	r := websocket.Reader{Masked: true, MaxMessage: 1 << 20}
	var message []byte
	buf := make([]byte, 4096)
	for {
		n, err := in.Read(buf)
		if err != nil {
			return
		}
		for b := buf[:n]; len(b) > 0; {
			p, n, err := r.Next(b)
			if err != nil {
				t.Error(err)
				return
			}
			b = b[n:]
			var out []byte
			switch p.Op {
			case websocket.OpBinary:
				if message = append(message, p.Data...); p.Last {
					out = append(websocket.AppendHead(nil, websocket.OpBinary, len(message), nil), message...)
				}
			case websocket.OpPing:
				out = websocket.AppendControl(nil, websocket.OpPong, p.Data, nil)
			case websocket.OpClose:
				if code, reason, err := websocket.ParseClose(p.Data); code != websocket.CloseNormal || string(reason) != "bye" || err != nil {
					t.Error("close:", code, string(reason), err)
				}
				out = websocket.AppendControl(nil, websocket.OpClose, p.Data, nil)
			}
			_, _ = c.Write(out) // that the peer has gone, the next read tells
		}
	}
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os/exec"
	"time"

	"github.com/roadrunner-server/goridge/v3/pkg/frame"
	"github.com/roadrunner-server/pool/ipc/pipe"
	"github.com/roadrunner-server/pool/payload"
	"github.com/roadrunner-server/pool/pool"
	"github.com/roadrunner-server/pool/pool/static_pool"
	"go.uber.org/zap"
)

const (
	headerLen  = 8
	maxPayload = 64 << 20 // bytes
	// smallReply is the size in bytes up to which header and payload are copied together and written by one plain write.
	smallReply = 4 << 10
	// queueTimeout is longer than a measurement of waiting clients takes. RoadRunner's own default is a minute.
	queueTimeout = 10 * time.Minute
)

// newPool starts the workers on pipes, which is RoadRunner's default and its fastest relay. Its log is off.
func newPool(workers uint64, argv []string) (*static_pool.Pool, error) {
	quiet := zap.NewNop()
	command := func([]string) *exec.Cmd { return exec.Command(argv[0], argv[1:]...) }
	return static_pool.NewPool(context.Background(), command, pipe.NewPipeFactory(quiet),
		&pool.Config{NumWorkers: workers, AllocateTimeout: queueTimeout}, quiet)
}

// serve accepts until the listener fails.
func serve(ln net.Listener, p *static_pool.Pool) error {
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		// Ends with its connection; the end of the process waits for nobody.
		go func() {
			defer c.Close()
			if err := answer(c, p); err != nil && !errors.Is(err, io.EOF) {
				log.Printf("%s: %v", c.RemoteAddr(), err)
			}
		}()
	}
}

// answer serves one connection, one request at a time. Its buffers live as long as the connection.
func answer(c net.Conn, p *static_pool.Pool) error {
	r := bufio.NewReader(c)
	stop := make(chan struct{}, 1) // only streams would need it
	var body, out []byte
	for {
		size, err := readHeader(r)
		if err != nil {
			return err
		}
		if cap(body) < size {
			body = make([]byte, size)
		}
		body = body[:size] // the pool has copied it when Exec returns
		if _, err := io.ReadFull(r, body); err != nil {
			return err
		}
		results, err := p.Exec(context.Background(), &payload.Payload{Codec: frame.CodecRaw, Body: body}, stop)
		if err != nil {
			return err
		}
		result := <-results
		if result.Error() != nil {
			return result.Error()
		}
		if out, err = writeReply(c, out, result.Body()); err != nil {
			return err
		}
	}
}

// readHeader reads the length of a payload.
func readHeader(r *bufio.Reader) (size int, err error) {
	head, err := r.Peek(headerLen)
	if err != nil {
		return 0, err
	}
	for _, c := range head {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("header %q", head)
		}
		size = 10*size + int(c-'0')
	}
	if size == 0 || size > maxPayload {
		return 0, fmt.Errorf("payload of %d bytes, limit %d", size, maxPayload)
	}
	_, err = r.Discard(headerLen)
	return size, err
}

// writeReply writes header and body by one system call. buf is a buffer to be used again; it is returned.
func writeReply(c net.Conn, buf, body []byte) ([]byte, error) {
	buf = fmt.Appendf(buf[:0], "%08d", len(body))
	if len(body) <= smallReply {
		buf = append(buf, body...)
		_, err := c.Write(buf)
		return buf, err
	}
	vector := net.Buffers{buf, body}
	_, err := vector.WriteTo(c)
	return buf, err
}

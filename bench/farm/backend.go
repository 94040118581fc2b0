package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"roundhouse/bench/harness"
)

// backendCommand as the first argument makes this program a back end.
const backendCommand = "serve-as-back-end"

// maxBody is the longest body in either direction, in bytes.
const maxBody = 64 << 10

// bodySizes are the sizes of bodies in both directions, in bytes.
var bodySizes = []int64{100, 3000, 30000}

// bodies are the bytes of a body of each size.
var bodies = func() map[int64][]byte {
	all := make(map[int64][]byte)
	for _, size := range bodySizes {
		all[size], _ = io.ReadAll(harness.NewBodyReader(size)) // it does not fail
	}
	return all
}()

// backend answers requests for /ID/SIZE with its own name, the number of the request and the SHA-256 of the request's body on a line, and
// SIZE bytes after it.
type backend struct {
	name   string
	work   time.Duration // how long an answer takes, on the average
	ledger *ledger
}

// serveAsBackend runs until it is killed. args: name, port, path of the ledger, requests in it, work.
func serveAsBackend(args []string) error {
	if len(args) != 5 {
		return fmt.Errorf("%s: %d arguments", backendCommand, len(args))
	}
	requests, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	b := backend{name: args[0]}
	if b.work, err = time.ParseDuration(args[4]); err != nil {
		return err
	}
	if b.ledger, err = openLedger(args[2], requests); err != nil {
		return err
	}
	return http.ListenAndServe("127.0.0.1:"+args[1], b)
}

func (b backend) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	id, size, err := parseWork(q.URL.Path)
	if err != nil || !b.ledger.add(id) {
		http.NotFound(w, q)
		return
	}
	sum, _, err := harness.SumReader(http.MaxBytesReader(w, q.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if b.work > 0 {
		time.Sleep(time.Duration(rand.Int64N(int64(2 * b.work))))
	}
	answer := appendAnswer(nil, b.name, id, sum, size)
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	_, _ = w.Write(answer) // whether the client got it, the client knows
}

// workPath is the path for a request: its number, and the size of the body that it wants.
func workPath(id int, size int64) string { return fmt.Sprintf("/%d/%d", id, size) }

func parseWork(path string) (id int, size int64, err error) {
	first, second, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if id, err = strconv.Atoi(first); err != nil {
		return 0, 0, err
	}
	if size, err = strconv.ParseInt(second, 10, 64); err != nil {
		return 0, 0, err
	}
	if bodies[size] == nil {
		return 0, 0, fmt.Errorf("size %d", size)
	}
	return id, size, nil
}

// appendAnswer appends what a back end answers.
func appendAnswer(dst []byte, name string, id int, sum string, size int64) []byte {
	return append(fmt.Appendf(dst, "%s %d %s\n", name, id, sum), bodies[size]...)
}

// checkAnswer returns the name of the back end that has answered, and whether the answer is right.
func checkAnswer(answer []byte, id int, sum string, size int64) (name string, right bool) {
	line, rest, _ := bytes.Cut(answer, []byte{'\n'})
	name, more, _ := strings.Cut(string(line), " ")
	return name, more == fmt.Sprintf("%d %s", id, sum) && bytes.Equal(rest, bodies[size])
}

// path of this program, for what runs in processes of its own.
func self() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("farm: %w", err)
	}
	return path, nil
}

package sdk

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"roundhouse/codec/frame"
	"roundhouse/codec/revcap"
)

// BenchmarkEcho is a request and its answer with an engine in a process of its own; ahead of them are sent together.
func BenchmarkEcho(b *testing.B) {
	if os.Getenv("SDK_BENCH_ENGINE") != "" {
		b.Skip("this is the engine")
	}
	for _, kind := range []string{"plain", "quick"} {
		for _, ahead := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/ahead=%d", kind, ahead), func(b *testing.B) { benchmarkEcho(b, kind, ahead) })
		}
	}
}

func benchmarkEcho(b *testing.B, kind string, ahead int) {
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), exe, "-test.run=^TestBenchmarkEngine$")
	cmd.Env = append(os.Environ(), "SDK_BENCH_ENGINE="+kind)
	conn, theirs := engineEnd(b, cmd, "ENGINE_FD=3")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = conn.Close() // ends the engine
		_ = cmd.Wait()
	}()
	for _, f := range theirs {
		_ = f.Close() // the process has it
	}
	// The hello has a length of its own; after it, answers have one length.
	head := make([]byte, frame.HeaderLen)
	if _, err := io.ReadFull(conn, head); err != nil {
		b.Fatal(err)
	}
	size, _, err := frame.ParseHeader(head, frame.MaxSize)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, conn, int64(size)); err != nil {
		b.Fatal(err)
	}
	arg := string(bytes.Repeat([]byte("x"), 128))
	var orders, answers []byte
	for range ahead {
		orders = append(orders, call(7, "P", arg)...)
		if kind == "plain" {
			answers = revcap.AppendEvent(answers, revcap.Unprocessed, 7, "", nil)
		}
		answers = revcap.AppendEvent(answers, revcap.Completed, 7, "", []byte(arg))
	}
	got := make([]byte, len(answers))
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += ahead {
		if _, err := conn.Write(orders); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, answers) {
			b.Fatalf("%q, %v", got, err)
		}
	}
}

// TestBenchmarkEngine is the engine of BenchmarkEcho.
func TestBenchmarkEngine(t *testing.T) {
	kind := os.Getenv("SDK_BENCH_ENGINE")
	if kind == "" {
		t.Skip("there is no benchmark")
	}
	e := Engine{Name: kind, Ahead: 8, Quick: kind == "quick", Handler: func(c *Context) ([]byte, error) {
		return bytes.TrimSuffix(c.Args, []byte{frame.Delimiter}), nil
	}}
	if err := Serve(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

// repeat is a connection whose input never ends: the same orders over and over.
type repeat struct {
	orders []byte
	left   int
}

func (r *repeat) Read(b []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	r.left--
	return copy(b, r.orders), nil
}

func (r *repeat) Write(b []byte) (int, error) { return len(b), nil }

// BenchmarkQuick is what a quick engine does for a request, without the kernel.
func BenchmarkQuick(b *testing.B) {
	r := &repeat{orders: bytes.Repeat(call(7, "P", "argument"), 8), left: b.N/8 + 1}
	ch := channel{r: r, w: r, cut: func() {}, close: func() error { return nil }}
	b.ReportAllocs()
	err := serve(b.Context(), ch, Engine{Quick: true, Ahead: 8, Handler: func(c *Context) ([]byte, error) { return c.Args, nil }}, "", nil)
	if err != nil {
		b.Fatal(err)
	}
}

package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"roundhouse/bench/harness"
)

// serveForTest runs the origin, with corrupt applied to what a GET of a body answers.
func serveForTest(t *testing.T, corrupt func([]byte)) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if corrupt == nil {
			serve(w, r)
			return
		}
		rec := httptest.NewRecorder()
		serve(rec, r)
		b := rec.Body.Bytes()
		corrupt(b)
		_, _ = w.Write(b) // the client tells
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/"
}

func TestTransfers(t *testing.T) {
	base := serveForTest(t, nil)
	body := harness.Body{Name: "3m.bin", Size: 3 << 20}
	want, err := harness.BodySum(body.Size)
	if err != nil {
		t.Fatal(err)
	}
	for _, tr := range []transfer{{"down", download}, {"up", upload}} {
		if sum, err := tr.move(t.Context(), base, body); err != nil || sum != want {
			t.Errorf("%s: %s, %v, want %s", tr.name, sum, err, want)
		}
	}
	if _, err := download(t.Context(), base, harness.Body{Name: "none", Size: 1}); err == nil {
		t.Error("an unknown body: no error")
	}
}

func TestRunFast(t *testing.T) {
	l, err := runFast(t.Context(), serveForTest(t, nil)+fastBody.Name, 4, 20*time.Millisecond)
	if err != nil || l.p50 <= 0 || l.p99 < l.p50 || l.perSecond <= 0 {
		t.Errorf("%+v, %v", l, err)
	}
	if _, err := runFast(t.Context(), serveForTest(t, nil)+"200b.bin", 1, time.Millisecond); err == nil {
		t.Error("a body of the wrong length: no error")
	}
}

func TestReaders(t *testing.T) {
	body := harness.Body{Name: "1m.bin", Size: 1 << 20}
	o := &options{slow: 3, slowBody: body, slowRate: 10_000}
	rs := startReaders(t.Context(), o, serveForTest(t, nil)+body.Name)
	defer rs.stop()
	if err := harness.WaitFor(t.Context(), time.Minute, "first bytes", rs.allBegan); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := rs.finish(&b); err != nil || !strings.Contains(b.String(), "Slow readers: 3, failed 0;") {
		t.Errorf("%v: %s", err, &b)
	}
}

func TestReaderNoticesWrongBytes(t *testing.T) {
	body := harness.Body{Name: "1k.bin", Size: 1 << 10}
	url := serveForTest(t, func(b []byte) { b[700] ^= 1 }) + body.Name
	o := &options{slow: 1, slowBody: body, slowRate: 10_000}
	rs := startReaders(t.Context(), o, url)
	defer rs.stop()
	err := harness.WaitFor(t.Context(), time.Minute, "end", func() error {
		if !rs.each[0].ended.Load() {
			return errors.New("still reading")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := rs.finish(io.Discard); err == nil || !strings.Contains(err.Error(), "wrong bytes after 0") {
		t.Errorf("err = %v", err)
	}
}

func TestSummarize(t *testing.T) {
	all := make([]time.Duration, 200)
	for i := range all {
		all[i] = time.Duration(200 - i)
	}
	if got, want := summarize(all, 2*time.Second), (latencies{perSecond: 100, p50: 101, p99: 199}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestCanceledRunFails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := runFast(ctx, serveForTest(t, nil)+fastBody.Name, 1, time.Hour); err == nil {
		t.Error("no error")
	}
}

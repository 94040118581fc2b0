package harness

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestParseBody(t *testing.T) {
	for text, want := range map[string]Body{
		"100": {"100b.bin", 100}, "100b": {"100b.bin", 100}, "64k": {"64k.bin", 64 << 10}, "10M": {"10m.bin", 10 << 20}, "1g": {"1g.bin", 1 << 30},
	} {
		if got, err := ParseBody(text); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "k", "0", "-1", "1kk", "99999999999"} {
		if got, err := ParseBody(bad); err == nil {
			t.Errorf("%q: got %+v, want an error", bad, got)
		}
	}
}

func TestVerify(t *testing.T) {
	bytes, err := io.ReadAll(NewBodyReader(1000))
	if err != nil {
		t.Fatal(err)
	}
	full := string(bytes)
	answers := map[string]string{"/good/": full, "/short/": full[:999], "/wrong/": full[:999] + "!"}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, found := answers[strings.TrimSuffix(r.URL.Path, "1000b.bin")]
		if !found {
			w.WriteHeader(http.StatusBadGateway)
		}
		w.Write([]byte(answer))
	}))
	defer srv.Close()
	body := Body{Name: "1000b.bin", Size: 1000}
	for path, good := range map[string]bool{"/good/": true, "/short/": false, "/wrong/": false, "/none/": false} {
		if err := Verify(t.Context(), srv.URL+path, body); (err == nil) != good {
			t.Errorf("%s: %v", path, err)
		}
	}
}

package http1

import (
	"strings"
	"testing"
)

func TestLookupField(t *testing.T) {
	for _, row := range []struct {
		name string
		want FieldID
	}{
		{"Host", IDHost}, {"CONTENT-LENGTH", IDContentLength}, {"Content_Length", IDFramingAlias}, {"transfer_Encoding", IDFramingAlias},
		{"X-Forwarded-For", IDXForwardedFor}, {"X_Forwarded_For", IDXForwardedFor}, {"x-forwarded_proto", IDXForwardedProto},
		{"Keep_Alive", IDOther}, {"User-Agent", IDUserAgent}, {"User_Agent", IDOther}, {"Ias-Rs-Farm", IDIasRs}, {"ias_rs_X", IDIasRs},
		{"Ias-Rs-", IDOther}, {"Ias-Rs", IDOther}, {"A", IDOther}, {"X-Forwarded-Port", IDPeerClaim}, {"x_forwarded-Ssl", IDPeerClaim},
		{"X-Forwarded-", IDOther}, {"X_Real_IP", IDPeerClaim}, {"SSL-Client-Cert", IDSSLClient}, {"ssl_client_cert_chain_7", IDSSLClient},
		{"Ssl_Cipher", IDSSLClient}, {"SSL_CLIENT_", IDOther}, {"client_cert", IDClientCert}, {"X-Forwarded-Client-Cert", IDClientCert}, {strings.Repeat("x", 300), IDOther},
	} {
		if got := LookupField([]byte(row.name)); got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
	for size, names := range knownNames {
		for _, k := range names {
			if len(k.lower) != size || LookupField([]byte(strings.ToUpper(k.lower))) != k.id {
				t.Errorf("%s is not found", k.lower)
			}
		}
	}
}

// TestValidValue checks every byte at every place of a word.
func TestValidValue(t *testing.T) {
	for c := range 256 {
		want := c >= 0x20 && c != 0x7F || c == '\t'
		for size := 1; size <= 20; size++ {
			for at := range size {
				v := []byte(strings.Repeat("\xffa\x80", size))[:size]
				v[at] = byte(c)
				if validValue(v) != want {
					t.Fatalf("byte %#x at %d of %d: want %v", c, at, size, want)
				}
			}
		}
	}
}

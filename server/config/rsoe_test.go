package config

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// parse reads a command line with blanks between its arguments, or with tabs where arguments hold blanks.
func parse(line string, env, texts map[string]string) (*Enabler, []Warning, error) {
	cut := strings.Fields(line)
	if strings.Contains(line, "\t") {
		cut = strings.Split(line, "\t")
	}
	return ParseEnabler(cut, func(name string) string { return env[name] }, files(texts))
}

const least = "-f F -id S -cr host=h "

func TestEnabler(t *testing.T) {
	base := func(change func(*Enabler)) Enabler {
		e := Enabler{
			Farm: "F", ID: "S", Retry: 5 * time.Second, LogFormat: "auto",
			Transport: "auto", MaxJunction: 1000, SpareLow: 10, SpareHigh: 50, MemoryBytes: 64 << 20,
			Backend: BackendAddr{Host: "localhost", Port: 80},
			Relays:  []RelayAddr{{Host: "h", Port: 80, URLSuffix: "/srv/iarelayserver"}},
		}
		change(&e)
		return e
	}
	relay := func(host string, port int, suffix string, tls TLS) func(*Enabler) {
		return func(e *Enabler) { e.Relays = []RelayAddr{{TLS: tls, Host: host, Port: port, URLSuffix: suffix}} }
	}
	for _, row := range []struct {
		line string
		want Enabler
	}{
		{least, base(func(*Enabler) {})},
		{least + "-t T -v 5 -d 30 -o log -log json -check", base(func(e *Enabler) {
			e.Token, e.Verbosity, e.Retry, e.LogFile, e.LogFormat, e.Check = "T", 5, 30*time.Second, "log", "json", true
		})},
		{least + "-ot log -d 5 -d 7", base(func(e *Enabler) { e.LogFile, e.LogTruncate, e.Retry = "log", true, 7*time.Second })},
		{least + "-t -t", base(func(e *Enabler) { e.Token = "-t" })},
		{least + "-cs port=8000;", base(func(e *Enabler) { e.Backend.Port = 8000 })},
		{least + "-cs host=b;https=1;certificate_name=n", base(func(e *Enabler) {
			e.Backend = BackendAddr{TLS: TLS{HTTPS: true, CertificateName: "n"}, Host: "b", Port: 443}
		})},
		{least + "-cr host=i;port=81", base(func(e *Enabler) {
			e.Relays = append(e.Relays, RelayAddr{Host: "i", Port: 81, URLSuffix: "/srv/iarelayserver"})
		})},
		{"-f F -id S -cr port=81", base(relay("localhost", 81, "/srv/iarelayserver", TLS{}))},
		{"-f F -id S -cr https=1", base(relay("localhost", 443, "/srv/iarelayserver", TLS{HTTPS: true}))},
		{"-f F -id S -cr host=[::1];url_suffix=/rs16/server/rs_server.dll/", base(relay("::1", 80, "/rs16/server/rs_server.dll", TLS{}))},
		{"-f\tF\t-id\tS\t-cr\t HOST = h ; Port=\"81\" ; ;https=YES;trusted_certificates='a;b \"c'; ",
			base(relay("h", 81, "/srv/iarelayserver", TLS{HTTPS: true, TrustedCertificates: `a;b "c`}))},
	} {
		got, warnings, err := parse(row.line, nil, nil)
		if err != nil || len(warnings) > 0 || !reflect.DeepEqual(*got, row.want) {
			t.Errorf("%q: %v, %q\ngot  %+v\nwant %+v", row.line, err, texts(warnings), got, row.want)
		}
	}
}

func TestEnablerMistakes(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for _, row := range []struct{ line, want string }{
		{"", "option \"-f\": missing: the farm of the back-end server\ncommand line: option \"-id\": missing: the id of the back-end server\n" +
			"command line: option \"-cr\": missing: where the relay is, as \"host=relay.example.com;port=80\""},
		{least + "-x 1", `option "-x": unknown; rsoe -h lists them`},
		{least + "stray", `argument without an option before it: quote values that hold blanks`},
		{least + "-d", `option "-d": no value: 1 to 86400 seconds`},
		{least + "-d 0", `option "-d": value "0": 1 to 86400 seconds`},
		{least + "-d 5s", `option "-d": value "5s": 1 to 86400 seconds`},
		{least + "-v 6", `option "-v": value "6": 0 to 5`},
		{least + "-v -1", `option "-v": value "-1": 0 to 5`},
		{least + "-f ä", `option "-f": value "ä": the farm's id, printable ASCII`},
		{least + "-id " + long, `option "-id": value "` + long[:80] + `"... (2049 bytes): the back-end server's id, printable ASCII`},
		{least + "-t ä", `option "-t": value ***: a token of printable ASCII`},
		{least + "-log xml", `option "-log": value "xml": auto, text or json`},
		{least + "-af x", `option "-af": not supported: nothing is known about what it did; leave it out`},
		{least + "-s", `option "-s": not supported: end an enabler by sending its process SIGTERM`},
		{least + "-os 1k", `option "-os": value "1k": a size of 10k or more`},
		{least + "-cm x", `option "-cm": value "x": a size, as 64m`},
		{least + "-jl 0", `option "-jl": value "0": a whole number of 1 or more`},
		{least + "-jsl 60", `options "-jsl", "-jsh", "-jl": values 60, 50, 1000: each at least the one before`},
		{least + "-jl 20", `options "-jsl", "-jsh", "-jl": values 10, 50, 20: each at least the one before`},
		{least + "-mac 01", `option "-mac": value "01": six pairs of hexadecimal digits`},
		{least + "-metrics x", `option "-metrics": value "x": an address as 127.0.0.1:9090`},
		{least + "-health x", `option "-health": value "x": an address as 127.0.0.1:9091`},
		{least + "-transport tcp", `option "-transport": value "tcp": auto, ws, h2 or http`},
		{least + "@none", `@none: neither an environment variable nor a file that can be read: file does not exist`},
		{least + "@", `@: a file or an environment variable after it`},
		{least + "-cs hots=x", `option "-cs": "hots": unknown; there are certificate_company, certificate_name, certificate_unit, connect_timeout, h2c, host,`},
		{least + "-cs url_suffix=/x", `option "-cs": "url_suffix": unknown; there are `},
		{least + "-cr status_url=/x", `option "-cr": "status_url": unknown; there are `},
		{least + "-cs host=a;host=b", `option "-cs": "host": given twice`},
		{least + "-cs host=", `option "-cs": "host": value "": a name or an IP address, without scheme and port`},
		{least + "-cs host=http://x", `option "-cs": "host": value "http://x": a name or an IP address, without scheme and port`},
		{least + "-cs port=0", `option "-cs": "port": value "0": 1 to 65535`},
		{least + "-cs port=65536", `option "-cs": "port": value "65536": 1 to 65535`},
		{least + "-cs https=2", `option "-cs": "https": value "2": 0 or 1`},
		{least + "-cs status_url=x", `option "-cs": "status_url": value "x": a path that starts with /`},
		{least + "-cs host_header=x", `option "-cs": "host_header": value "x": preserve or back-end`},
		{least + "-cs max_conns=x", `option "-cs": "max_conns": value "x": a whole number`},
		{least + "-cs port=1;x", `option "-cs": pair 2: no = in it`},
		{least + "-cs p-rt=1", `option "-cs": pair 1: a name is letters, digits and _`},
		{least + "-cs host='a", `option "-cs": pair 1: "host": a quote without its partner`},
		{least + "-cs host='a'b;port=0", `option "-cs": pair 1: "host": text after the closing quote` + "\n" + `command line: option "-cs": "port": value "0"`},
		{least + "-cr url_suffix=x", `option "-cr": "url_suffix": value "x": a path that starts with /, as /srv/iarelayserver`},
		{least + "-cr url_suffix=/", `option "-cr": "url_suffix": value "/": a path that starts with /`},
		{least + "-cr proxy_host=p", `option "-cr": "proxy_host" and "proxy_port": one without the other`},
		{least + "-cr proxy_host=p;proxy_port=x", `option "-cr": "proxy_port": value "x": 1 to 65535`},
		{least + "-cr fips=x", `option "-cr": "fips": value "x": yes or no`},
		{least + "-cr tls_type=DSA", `option "-cr": "tls_type": value "DSA": RSA or ECC`},
	} {
		_, _, err := parse(row.line, nil, nil)
		if err == nil || !strings.Contains("\n"+err.Error(), "\ncommand line: "+row.want) {
			t.Errorf("%q:\ngot  %v\nwant command line: %s", row.line, err, row.want)
		}
	}
	_, _, err := parse("-f -id S -cr host=h;port=x -v 9 -cs h=1", nil, nil)
	if err == nil || strings.Count(err.Error(), "\n") != 4 {
		t.Errorf("want 5 mistakes: two stray arguments, -id, -cr's port, -v and -cs, got\n%v", err)
	}
}

func TestEnablerWarnings(t *testing.T) {
	for _, option := range []string{
		"-dl", "-oq", "-q", "-qc", "-ud", "-uc", "-ui", "-um", "-ux", "-os 10MB", "-cm 64m", "-jl 100", "-jsl 1", "-jsh 60",
		"-mac 01-23-45-67-89-ab", "-metrics :1", "-health :1", "-config f.toml", "-transport http",
	} {
		want := fmt.Sprintf("command line: option %q: has no effect yet", strings.Fields(option)[0])
		if _, warnings, err := parse(least+option, nil, nil); err != nil || !slices.Equal(texts(warnings), []string{want}) {
			t.Errorf("%s: %v, %q", option, err, texts(warnings))
		}
	}
	for option, params := range map[string]map[string]connParam{"-cr": relayParams, "-cs": backendParams} {
		for name, p := range params {
			value := map[string]string{
				"tls_type": "rsa", "proxy_host": "p;proxy_port=1", "proxy_port": "1;proxy_host=p", "h2c": "1", "status_url": "/",
				"fips": "no", "skip_certificate_name_check": "no", "host_header": "preserve",
			}[name]
			if value == "" {
				value = "1"
			}
			_, warnings, err := parse(least+option+" "+name+"="+value, nil, nil)
			want := fmt.Sprintf("command line: option %q: %q: has no effect yet", option, name)
			if p.later && (err != nil || !slices.Contains(texts(warnings), want)) {
				t.Errorf("%s %s: %v, %q", option, name, err, texts(warnings))
			}
		}
	}
	_, warnings, err := parse(least+"-cr certificate_name=n", nil, nil)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0].Text, "mean nothing without https=1") {
		t.Errorf("a certificate without https=1: %v, %q", err, texts(warnings))
	}
}

func TestEnablerSpecial(t *testing.T) {
	for line, want := range map[string]error{
		"-h": ErrHelp, "--help": ErrHelp, "-x -help": ErrHelp, "-version": ErrVersion, least + "--version": ErrVersion,
	} {
		if _, _, err := parse(line, nil, nil); !errors.Is(err, want) {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestEnablerFiles(t *testing.T) {
	env := map[string]string{"TOKEN": "secret", "both": "-v 3"}
	texts := map[string]string{
		"oe.config": "\xef\xbb\xbf# an enabler\r\n-f F\r\n  # indented\r\n-id \"S\" -cr \"host=h;trusted_certificates='a b'\"\r\n@more -t @TOKEN",
		"more":      "-v\n2 -o \"\"x\" y\" -cs host=\"b\"",
		"both":      "-v 4",
		"at":        least + "-t \"@x\" @both",
		"wrong":     "-f F\n\n-d x\n\"-v\" 9\n-t \"secret\n-cr @none\n-cs port=0",
		"self":      "@self",
		"minus":     least + "-t \"-x\" \"-v\" 1",
		"stray":     least + "\"-x\"",
	}
	got, _, err := parse("@oe.config -d 9", env, texts)
	want := &Enabler{
		Farm: "F", ID: "S", Token: "secret", Verbosity: 2, Retry: 9 * time.Second, LogFile: "x y", LogFormat: "auto",
		Transport: "auto", MaxJunction: 1000, SpareLow: 10, SpareHigh: 50, MemoryBytes: 64 << 20,
		Backend: BackendAddr{Host: "b", Port: 80},
		Relays:  []RelayAddr{{TLS: TLS{TrustedCertificates: "a b"}, Host: "h", Port: 80, URLSuffix: "/srv/iarelayserver"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
	if got, _, err = parse("@at", env, texts); err != nil || got.Token != "@x" || got.Verbosity != 3 {
		t.Errorf("a quoted @ is data, and a variable goes before a file: %v, %+v", err, got)
	}
	if got, _, err = parse("@minus", env, texts); err != nil || got.Token != "-x" || got.Verbosity != 1 {
		t.Errorf("a quoted option: %v, %+v", err, got)
	}
	for line, want := range map[string]string{
		"@wrong": `wrong:5: a double quote without its partner on the line
wrong:6: @***: neither an environment variable nor a file that can be read: file does not exist
wrong:3: option "-d": value "x": 1 to 86400 seconds
wrong:4: option "-v": value "9": 0 to 5
`,
		least + "-t @none -v 9": `command line: @***: neither an environment variable nor a file that can be read: file does not exist
command line: option "-v": value "9": 0 to 5`,
		"@self":  `self:1: @self: that is where this stands`,
		"@stray": `stray:1: argument without an option before it`,
	} {
		_, _, err := parse(line, env, texts)
		var mistakes *Error
		if !errors.As(err, &mistakes) || mistakes.InFiles() == strings.HasPrefix(want, commandLine) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v\nwant %s", line, err, want)
		}
	}
	for i := 1; i <= maxArgFileDepth; i++ {
		texts[fmt.Sprint(i)] = fmt.Sprintf("@%d", i+1)
	}
	if _, _, err := parse("@1", nil, texts); err == nil || !strings.HasPrefix(err.Error(), "8:1: @9: at most 8 deep") {
		t.Errorf("nine deep: %v", err)
	}
	texts["8"] = least
	if _, _, err := parse("@1", nil, texts); err != nil {
		t.Errorf("eight deep: %v", err)
	}
	texts["many"] = strings.Repeat("@empty\n", maxArgFiles)
	texts["empty"] = ""
	if _, _, err := parse("@many", nil, texts); err == nil || !strings.HasPrefix(err.Error(), "many:255: @empty: at most 256 files") {
		t.Errorf("many: %v", err)
	}
}

func TestEnablerHidesSecrets(t *testing.T) {
	const secret = "hunter2"
	for _, line := range []string{
		"-t\t" + secret + "\x01", "-t\tmy\t" + secret, "-t\t@" + secret, "-cr\thost=h;http_password=\x01" + secret, "-cr\thttp_password=a;" + secret,
		"-cr\thttp_password='a'" + secret, "-cr\thttp_password='" + secret, "-cs\tidentity_password=\x01" + secret, "@f\t-x", "@g\t-x",
	} {
		_, warnings, err := parse(line, nil, map[string]string{"f": `-t my "` + secret + `"`, "g": `-t "` + secret})
		if err == nil || strings.Contains(fmt.Sprint(err, warnings), secret) {
			t.Errorf("%q: %v, %v", line, err, warnings)
		}
	}
}

func TestAddrString(t *testing.T) {
	for _, s := range []string{
		"host=h;port=80;url_suffix=/x", "host=::1;port=443;https=1;trusted_certificates=\"a;b\";certificate_name=' \"';url_suffix=\"/x;'y\"",
	} {
		e, _, err := parse("-f\tF\t-id\tS\t-cr\t"+s, nil, nil)
		if err != nil || e.Relays[0].String() != s {
			t.Errorf("%s: %v, %+v", s, err, e)
		}
	}
}

func TestLogLevels(t *testing.T) {
	for verbosity, want := range map[int]slog.Level{-1: 8, 0: 8, 1: 0, 2: -4, 4: -4, 5: -8, 6: -8} {
		if got := VerbosityLevel(verbosity); got != want {
			t.Errorf("verbosity %d: got %v, want %v", verbosity, got, want)
		}
	}
	for level, want := range map[string]slog.Level{"": slog.LevelError, "debug": slog.LevelDebug, "warn": slog.LevelWarn} {
		if got := (Log{Level: level}).MinLevel(); got != want {
			t.Errorf("level %q: got %v, want %v", level, got, want)
		}
	}
	for format, want := range map[string]string{"auto": "{", "json": "{", "text": "time="} {
		var out bytes.Buffer
		log := NewLogger(&out, format, slog.LevelWarn)
		log.Info("not this")
		log.Warn("this")
		if !strings.HasPrefix(out.String(), want) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("format %q: %q", format, out.String())
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	if got := (Limits{MemoryBytes: 5}).MemoryLimit(100); got != 5 {
		t.Errorf("configured: got %d", got)
	}
	if got := (Limits{}).MemoryLimit(100); got != 25 {
		t.Errorf("of a machine of 100 bytes: got %d", got)
	}
}

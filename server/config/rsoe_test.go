package config

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
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
			Transport: "auto", MaxJunction: 1000, SpareHigh: 50, MemoryBytes: 64 << 20,
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
		{least + "-os 10KB -o log -q -dl -cm 1m -log rs -transport ws -ud", base(func(e *Enabler) {
			e.LogSize, e.LogFile, e.Quiet, e.LogToTerminal, e.MemoryBytes, e.LogFormat, e.Transport, e.Daemon =
				10<<10, "log", true, true, 1<<20, "rs", "ws", true
		})},
		{least + "-oq -qc -uc -ui -um -ux -cr tls_type=ECC;fips=no;host=h -cs h2c=0;tls_type=rsa", base(func(e *Enabler) { e.Relays = append(e.Relays, e.Relays[0]) })},
		{least + "-mac 01-23-45-67-89-AB!02-23-45-67-89-ab", base(func(e *Enabler) { e.MACs = []string{"01-23-45-67-89-ab", "02-23-45-67-89-ab"} })},
		{least + "-jl 20", base(func(e *Enabler) { e.MaxJunction, e.SpareHigh = 20, 20 })},
		{least + "-jl 5", base(func(e *Enabler) { e.MaxJunction, e.SpareHigh = 5, 5 })},
		{least + "-jsh 2000", base(func(e *Enabler) { e.MaxJunction, e.SpareHigh = 2000, 2000 })},
		{least + "-jsl 60", base(func(e *Enabler) { e.SpareLow, e.SpareHigh = 60, 60 })},
		{least + "-jsh 0", base(func(e *Enabler) { e.SpareHigh = 0 })},
		{least + "-metrics :9", base(func(e *Enabler) { e.AdminListen = ":9" })},
		{least + "-health :9", base(func(e *Enabler) { e.AdminListen = ":9" })},
		{least + "-health :9 -metrics :8 -metrics :9", base(func(e *Enabler) { e.AdminListen = ":9" })},
		{"-s", base(func(e *Enabler) { e.Stop, e.Farm, e.ID, e.Relays = true, "", "", nil })},
		{"-s -f F -id S", base(func(e *Enabler) { e.Stop, e.Relays = true, nil })},
		{least + "-cs unix=/run/b;status_url=/up?x;host_header=back-end;max_conns=7;keepalive=8;connect_timeout=9;response_timeout=10;proxy_protocol=2;https=1;" +
			"identity=i;identity_password=p;certificate_company=c;certificate_unit=u;skip_certificate_name_check=yes", base(func(e *Enabler) {
			e.Backend = BackendAddr{
				TLS:  TLS{HTTPS: true, Identity: "i", IdentityPassword: "p", CertificateCompany: "c", CertificateUnit: "u", SkipNameCheck: true},
				Host: "localhost", Port: 443, Unix: "/run/b", StatusURL: "/up?x", OwnHost: true, ProxyProtocol: 2,
				MaxConns: 7, KeepAlive: 8 * time.Second, ConnectTimeout: 9 * time.Second, ResponseTimeout: 10 * time.Second,
			}
		})},
		{"-f F -id S -cr host=h;http_userid=u;http_password=p:w;proxy_host=[::2];proxy_port=3128;http_proxy_userid=v;http_proxy_password=q", base(func(e *Enabler) {
			e.Relays[0] = RelayAddr{
				Host: "h", Port: 80, URLSuffix: DefaultURLSuffix, HTTPUser: "u", HTTPPassword: "p:w",
				ProxyHost: "::2", ProxyPort: 3128, ProxyUser: "v", ProxyPassword: "q",
			}
		})},
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
		{least + "-log xml", `option "-log": value "xml": auto, text, json, rs`},
		{least + "-af x", `option "-af": not supported: nothing is known about what it did; leave it out`},
		{"-s -f F", `option "-s": both "-f" and "-id", or neither of them`},
		{least + "-os 1k", `option "-os": value "1k": a size of 10k or more`},
		{least + "-cm x", `option "-cm": value "x": a size of 1m or more`},
		{least + "-cm 1023k", `option "-cm": value "1023k": a size of 1m or more`},
		{least + "-jl 0", `option "-jl": value "0": 1 to 1000000`},
		{least + "-jsh 1000001", `option "-jsh": value "1000001": 0 to 1000000`},
		{least + "-jsl 60 -jsh 50", `options "-jsl", "-jsh", "-jl": values 60, 50, 1000: each at least the one before`},
		{least + "-jl 20 -jsh 21", `options "-jsl", "-jsh", "-jl": values 0, 21, 20: each at least the one before`},
		{least + "-mac 01", `option "-mac": value "01": six pairs of hexadecimal digits`},
		{least + "-metrics x", `option "-metrics": value "x": an address as 127.0.0.1:9090`},
		{least + "-health x", `option "-health": value "x": an address as 127.0.0.1:9090`},
		{least + "-health :1 -metrics :2", `option "-health": value ":1": there is one address for both, and "-metrics" has ":2"`},
		{least + "-transport h2", `option "-transport": value "h2": auto, http or ws`},
		{least + "-config none", `option "-config": cannot read "none": file does not exist`},
		{least + "@none", `@none: neither an environment variable nor a file that can be read: file does not exist`},
		{least + "@", `@: a file or an environment variable after it`},
		{least + "-cs hots=x", `option "-cs": "hots": unknown; there are certificate_company, certificate_name, certificate_unit, connect_timeout, fips, h2c, host,`},
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
		{least + "-cs status_url=/a#b", `option "-cs": "status_url": value "/a#b": a path that starts with /`},
		{least + "-cs max_conns=x", `option "-cs": "max_conns": value "x": 0 to 1000000`},
		{least + "-cs max_conns=1000001", `option "-cs": "max_conns": value "1000001": 0 to 1000000`},
		{least + "-cs keepalive=-1", `option "-cs": "keepalive": value "-1": 0 to 86400 seconds`},
		{least + "-cs connect_timeout=1s", `option "-cs": "connect_timeout": value "1s": 0 to 86400 seconds`},
		{least + "-cs response_timeout=86401", `option "-cs": "response_timeout": value "86401": 0 to 86400 seconds`},
		{least + "-cs proxy_protocol=3", `option "-cs": "proxy_protocol": value "3": 0, 1 or 2`},
		{least + "-cs unix=", `option "-cs": "unix": value "": the path of a socket`},
		{least + "-cr 'host=h;port=81'", `option "-cr": pair 1: a quote before a name: quotes go around a value, and double quotes around the whole string`},
		{least + "-cr host=h,port=80", `option "-cr": "host": value "h,port=80": a name or an IP address`},
		{least + "-cr host==h", `option "-cr": "host": value "=h": a name or an IP address`},
		{least + "-cs h2c=1", `option "-cs": "h2c": value "1": 0: back-end servers are spoken to in HTTP/1.1, never in HTTP/2`},
		{least + "-cs identity_password=p", `option "-cs": "identity_password": not without "identity"`},
		{least + "-cr http_password=p", `option "-cr": "http_password": not without "http_userid"`},
		{least + "-cr http_userid=a:b", `option "-cr": "http_userid": value "a:b": a name without a colon`},
		{least + "-cr http_proxy_userid=p", `option "-cr": "http_proxy_userid": not without "proxy_host"`},
		{least + "-cr http_userid=u;http_password=***", `option "-cr": "http_password": value ***: a text`},
		{least + "-cs port=1;x", `option "-cs": pair 2: no = in it`},
		{least + "-cs p-rt=1", `option "-cs": pair 1: a name is letters, digits and _`},
		{least + "-cs host='a", `option "-cs": pair 1: "host": a quote without its partner`},
		{least + "-cs host='a'b;port=0", `option "-cs": pair 1: "host": text after the closing quote` + "\n" + `command line: option "-cs": "port": value "0"`},
		{least + "-cr url_suffix=x", `option "-cr": "url_suffix": value "x": a path that starts with /, as /srv/iarelayserver`},
		{least + "-cr url_suffix=/", `option "-cr": "url_suffix": value "/": a path that starts with /`},
		{least + "-cr proxy_host=p", `option "-cr": "proxy_host": not without "proxy_port"`},
		{least + "-cr proxy_port=1", `option "-cr": "proxy_port": not without "proxy_host"`},
		{least + "-cr proxy_host=p;proxy_port=x", `option "-cr": "proxy_port": value "x": 1 to 65535`},
		{least + "-cr fips=x", `option "-cr": "fips": value "x": yes, no, on, off`},
		{least + "-cr tls_type=DSA", `option "-cr": "tls_type": value "DSA": RSA or ECC`},
	} {
		_, _, err := parse(row.line, nil, nil)
		if err == nil || !strings.Contains("\n"+withoutColumns(err), "\ncommand line: "+row.want) {
			t.Errorf("%q:\ngot  %v\nwant command line: %s", row.line, err, row.want)
		}
	}
	_, _, err := parse("-f -id S -cr host=h;port=x -v 9 -cs h=1", nil, nil)
	if err == nil || strings.Count(withoutColumns(err), "\n") != 4 {
		t.Errorf("want 5 mistakes: two stray arguments, -id, -cr's port, -v and -cs, got\n%v", err)
	}
}

func TestEnablerWarnings(t *testing.T) {
	for option, want := range map[string]string{
		"-cr certificate_name=n": `option "-cr": certificates mean nothing without https=1`,
		"-cs identity=f":         `option "-cs": certificates mean nothing without https=1`,
		"-cr https=1;fips=yes":   `option "-cr": "fips": has no effect`,
		"-cr https=1;certificate_name=n;skip_certificate_name_check=1": `option "-cr": certificate_name means nothing with skip_certificate_name_check`,
		"-os 10k": `option "-os": means nothing without -o or -ot`,
	} {
		_, warnings, err := parse(least+option, nil, nil)
		if err != nil || len(warnings) != 1 || !strings.HasPrefix(warnings[0].String(), "command line: "+want) {
			t.Errorf("%s: %v, %q", option, err, texts(warnings))
		}
	}
}

// TestEnablerUsage looks every option and parameter up in the help.
func TestEnablerUsage(t *testing.T) {
	has := func(name string) bool {
		return regexp.MustCompile(`(^|[^-a-z_])` + regexp.QuoteMeta(name) + `([^a-z_]|$)`).MatchString(EnablerUsage)
	}
	for option := range rsoeOptions {
		if !has(option) && !slices.Contains([]string{"-h", "-help", "--help", "-?", "--version", "-af"}, option) {
			t.Errorf("option %s is not in the help", option)
		}
	}
	for _, params := range []map[string]connParam{relayParams, backendParams} {
		for name := range params {
			if !has(name) && name != "h2c" {
				t.Errorf("parameter %s is not in the help", name)
			}
		}
	}
}

func TestEnablerTOML(t *testing.T) {
	all := map[string]string{
		"f.toml":  "f = \"F\"\nid = 'S'\n# what follows\ncr = [\"host=h\", \"host=i\"]\nv = 2\nq = true\ndl = false\nt = \"@x\"\n",
		"wrong":   "f = \"F\"\nv = 9\nv = 2\n",
		"wrong.2": "v = 1\n[f]\nx = 1\n",
		"wrong.3": "t = \"hunter2\n",
		"wrong.4": "q = \"hunter2\"\nt = {a = \"hunter2\"}\ncr = [1, [\"hunter2\"]]\nv = 9\nnothing = 1\nconfig = \"x\"\n",
	}
	e, _, err := parse("-v 1 -config f.toml -d 9", nil, all)
	if err != nil || e.Farm != "F" || e.ID != "S" || len(e.Relays) != 2 || e.Relays[1].Host != "i" || e.Verbosity != 2 ||
		!e.Quiet || e.LogToTerminal || e.Token != "@x" || e.Retry != 9*time.Second {
		t.Errorf("%v, %+v", err, e)
	}
	for line, want := range map[string]string{
		"-config wrong":   "wrong:3: no TOML, or a key twice",
		"-config wrong.2": `wrong.2:2: option "-f": no tables: write name = value`,
		"-config wrong.3": "wrong.3:1: ",
		"-config wrong.4": `wrong.4:1: option "-q": true or false
wrong.4:2: option "-t": a text in quotes, a number, or a list of them: a token of printable ASCII
wrong.4:3: option "-cr": a text in quotes, a number, or a list of them: where the relay is, as "host=relay.example.com;port=80"
wrong.4:5: option "-nothing": unknown; rsoe -h lists them
wrong.4:6: option "-config": unknown; rsoe -h lists them
wrong.4:3: option "-cr": pair 1: no = in it`,
	} {
		_, _, err := parse(line, nil, all)
		if err == nil || !strings.HasPrefix(withoutColumns(err), want) || strings.Contains(withoutColumns(err), "hunter2") {
			t.Errorf("%s: got %v\nwant %s", line, err, want)
		}
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
		"remark":    least + "-v 1 # what \"for\"\n-d 2",
		"hidden":    "\x7f\x03\x91\xfe-f",
	}
	got, _, err := parse("@oe.config -d 9", env, texts)
	want := &Enabler{
		Farm: "F", ID: "S", Token: "secret", Verbosity: 2, Retry: 9 * time.Second, LogFile: "x y", LogFormat: "auto",
		Transport: "auto", MaxJunction: 1000, SpareHigh: 50, MemoryBytes: 64 << 20,
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
		"@self":   `self:1: @self: that is where this stands`,
		"@stray":  `stray:1: argument without an option before it`,
		"@remark": `remark:1: a # begins a comment only at the start of a line`,
		"@hidden": `command line: @hidden: not plain text: a file that is encoded, or hidden by dbfhide, cannot be read`,
	} {
		_, _, err := parse(line, env, texts)
		var mistakes *Error
		if !errors.As(err, &mistakes) || mistakes.InFiles() == strings.HasPrefix(want, commandLine) || !strings.HasPrefix(withoutColumns(err), want) {
			t.Errorf("%s: got %v\nwant %s", line, err, want)
		}
	}
	for i := 1; i <= maxArgFileDepth; i++ {
		texts[fmt.Sprint(i)] = fmt.Sprintf("@%d", i+1)
	}
	if _, _, err := parse("@1", nil, texts); err == nil || !strings.HasPrefix(withoutColumns(err), "8:1: @9: at most 8 deep") {
		t.Errorf("nine deep: %v", err)
	}
	texts["8"] = least
	if _, _, err := parse("@1", nil, texts); err != nil {
		t.Errorf("eight deep: %v", err)
	}
	texts["many"] = strings.Repeat("@empty\n", maxArgFiles)
	texts["empty"] = ""
	if _, _, err := parse("@many", nil, texts); err == nil || !strings.HasPrefix(withoutColumns(err), "many:255: @empty: at most 256 files") {
		t.Errorf("many: %v", err)
	}
}

func TestEnablerHidesSecrets(t *testing.T) {
	const secret = "hunter2"
	for _, line := range []string{
		"-t\t" + secret + "\x01", "-t\tmy\t" + secret, "-t\t@" + secret, "-cr\thost=h;http_userid=u;http_password=\x01" + secret, "-cr\thttp_password=a;" + secret,
		"-cr\thttp_password='a'" + secret, "-cr\thttp_password='" + secret, "-cs\tidentity_password=\x01" + secret, "@f\t-x", "@g\t-x",
	} {
		_, warnings, err := parse(line, nil, map[string]string{"f": `-t my "` + secret + `"`, "g": `-t "` + secret})
		if err == nil || strings.Contains(fmt.Sprint(err, warnings), secret) {
			t.Errorf("%q: %v, %v", line, err, warnings)
		}
	}
}

// TestConnString writes addresses with every parameter and reads them again.
func TestConnString(t *testing.T) {
	const tls = "https=1;trusted_certificates=\"a;b\";certificate_name=' \"';certificate_company=c;certificate_unit=u;" +
		"skip_certificate_name_check=1;identity=/i;identity_password=\"p;1\""
	for _, s := range []string{
		"host=h;port=80;url_suffix=/x",
		"host=::1;port=443;" + tls + ";url_suffix=\"/x;'y\";http_userid=u;http_password=p2;proxy_host=::2;proxy_port=3;http_proxy_userid=v;http_proxy_password=p3;via_balancer=1",
	} {
		e, _, err := parse("-f\tF\t-id\tS\t-cr\t"+s, nil, nil)
		if err != nil || e.Relays[0].ConnString() != s || strings.Contains(e.Relays[0].String(), "p2") {
			t.Errorf("%s: %v, %+v", s, err, e)
		}
	}
	for _, s := range []string{
		"host=h;port=80",
		"host=::1;port=1;" + tls + ";unix=/run/b;status_url=/s;host_header=back-end;proxy_protocol=1;max_conns=2;keepalive=3;connect_timeout=4;response_timeout=5",
	} {
		e, _, err := parse("-f\tF\t-id\tS\t-cr\thost=h\t-cs\t"+s, nil, nil)
		if err != nil || e.Backend.ConnString() != s || strings.Contains(e.Backend.String(), "p;1") {
			t.Errorf("%s: %v, %+v", s, err, e)
		}
	}
}

func TestLogLevels(t *testing.T) {
	for verbosity, want := range map[int]slog.Level{-1: 8, 0: 8, 1: 0, 2: -1, 3: -2, 4: -4, 5: -8, 6: -8} {
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

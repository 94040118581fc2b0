package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/message"
	"roundhouse/server/config"
)

// readMessages reads a message file to its end.
func readMessages(t testing.TB, path string) (all []message.Message) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := message.NewReader(f, nil, frame.MaxSize)
	for {
		var m message.Message
		err := r.Read(&m)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: message %d: %v", path, len(all)+1, err)
		}
		m.Dest, m.Fields = bytes.Clone(m.Dest), bytes.Clone(m.Fields)
		all = append(all, m)
	}
}

// loggedTo waits until a file has some text in it.
func loggedTo(t testing.TB, path, text string) {
	t.Helper()
	eventually(t, path+" has "+text, func() bool {
		b, err := os.ReadFile(path)
		return err == nil && bytes.Contains(b, []byte(text))
	})
}

// variety is messages of all kinds to a subject: standard types by their grammar, others by the kinds of their fields.
func variety(dest string) []message.Message {
	named := message.AppendNamed(nil, "a name", message.AppendInt4(nil, -7))
	named = message.AppendBinary(named, []byte{0, 255, '"', '\n'})
	named = message.AppendStr(named, "quoted \" and \\ and \x01 and \n ä")
	nested := message.AppendMessage(nil, &message.Message{Type: message.TypeInfo, Dest: []byte("/x"), Fields: message.AppendStr(nil, "in it")})
	d := []byte(dest)
	return []message.Message{
		{Type: message.TypeInfo, Dest: d, Fields: message.AppendStr(nil, "ready")},
		{Type: message.TypeInfo, Dest: d, Fields: message.AppendInt4(nil, 1)}, // not by its grammar
		{Type: message.TypeNumericData, Dest: d, Fields: message.AppendReal8(message.AppendStr(message.AppendReal8(message.AppendStr(nil, "temp"), 88.5), "level"), -3)},
		{Type: message.TypeTime, Dest: d, Fields: message.AppendReal8(nil, 1.5e300)},
		{Type: 4711, Dest: d, Fields: named},
		{Type: 4711, Dest: d, Fields: nested},
		{Type: 4711, Dest: d},
		{Type: 4711, Flags: message.FlagCompressed, Dest: d, Fields: []byte{0x1f, 0x8b, 0}},
		{Type: 4711, Dest: d, Fields: []byte{0, 0, 0}}, // malformed: never opened
	}
}

// wantLogged compares what a file has behind its first messages with what was sent.
func wantLogged(t testing.TB, got, want []message.Message) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d messages, want %d", len(got), len(want))
	}
	for i := range got {
		g, w := &got[i], &want[i]
		if g.Type != w.Type || !bytes.Equal(g.Dest, w.Dest) || !bytes.Equal(g.Fields, w.Fields) || g.Flags&message.FlagCompressed != w.Flags&message.FlagCompressed {
			t.Errorf("message %d:\n got %s\nwant %s", i, message.AppendText(nil, g, nil), message.AppendText(nil, w, nil))
		}
	}
}

// TestRouterMessageFiles: everything that clients of both protocols send and get is in the files, and can be read back.
func TestRouterMessageFiles(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.msg"), filepath.Join(dir, "out.msg")
	s := startRouter(t, func(cfg *config.Config) { cfg.Router.Log.InClient, cfg.Router.Log.OutClient = in, out })
	p, c, n := s.dialRT(), s.joinRT("me"), s.joinNATS()
	p.join(&message.Hello{Unique: "publisher", Username: "ann", Password: "hunter2"})
	c.subscribe("/a/...")
	sent := variety("/a/b c")
	for i := range sent {
		p.send(&sent[i])
		if m := c.read(); m.Type != sent[i].Type {
			t.Fatalf("%v", m.Type)
		}
	}
	p.sendRaw(message.AppendHello(nil, &message.Hello{Version: message.ProtocolVersion, Username: "ann", Password: "hunter2"}))
	p.ends(message.CodeMessageInvalid, "twice")
	n.send("HPUB a.n inbox 12 14|NATS/1.0||hi|PUB nobody 3|\xff\x00\n|")
	n.sync()
	c.read()
	p.conn.Close()
	c.conn.Close()
	n.conn.Close()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	both, err := os.ReadFile(in)
	if more, err2 := os.ReadFile(out); err != nil || err2 != nil || bytes.Contains(append(both, more...), []byte("hunter2")) {
		t.Errorf("%v, %v, or a file has a password in it", err, err2)
	}
	fromNATS := []message.Message{
		{Type: message.TypeJMSBytes, Dest: []byte("/a/n"), Fields: message.AppendFromNATS(nil, []byte("NATS/1.0\r\n\r\n"), []byte("hi"))},
		{Type: message.TypeJMSBytes, Dest: []byte("/nobody"), Fields: message.AppendFromNATS(nil, nil, []byte("\xff\x00\n"))},
	}
	hello := func(m message.Message) bool { return m.Type == message.TypeConnectCall }
	came := readMessages(t, in)
	if n := len(slices.DeleteFunc(slices.Clone(came), func(m message.Message) bool { return !hello(m) })); n != 3 {
		t.Errorf("%d hellos, want 3", n)
	}
	notSent := func(m message.Message) bool {
		return hello(m) || m.Type == message.TypeSubjectSetSubscribe || m.Type == message.TypeKeepAliveCall
	}
	wantLogged(t, slices.DeleteFunc(came, notSent), append(slices.Clone(sent), fromNATS...))
	own := func(m message.Message) bool { return len(m.Dest) == 0 } // answers and reasons
	went := readMessages(t, out)
	if !slices.ContainsFunc(went, func(m message.Message) bool { return m.Type == message.TypeConnectResult }) ||
		!slices.ContainsFunc(went, func(m message.Message) bool { return m.Type == message.TypeClientCloseCall }) {
		t.Error("the answers of the server are missing")
	}
	wantLogged(t, slices.DeleteFunc(went, own), append(slices.Clone(sent), fromNATS[0]))
	text := string(both)
	for _, line := range []string{
		"info \"/a/b c\" \"ready\"\n", "info \"/a/b c\" verbose { int4 1 }\n", "4711 \"/a/b c\" { \"a name\"=int4 -7 binary { 00 ff 22 0a }",
		"numeric_data \"/a/b c\" { temp 88.5 level -3 }\n", "jms_bytes /nobody { binary { ff 00 0a } }\n", "subject_set_subscribe \"\" \"/a/...\" true true\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
}

// TestRouterLogSwitch: both options in one file, switched on and off by commands.
func TestRouterLogSwitch(t *testing.T) {
	file := filepath.Join(t.TempDir(), "all.msg")
	s := startRouter(t, withCommands("_all"))
	c := s.joinRT("me")
	c.publish("/me", "before")
	c.want("/me", "before")
	c.wantControl(`setopt log_in_client "`+file+`"; setopt log_out_client "`+filepath.Dir(file)+`/./all.msg"`, "")
	c.publish("/me", "while")
	c.want("/me", "while")
	c.wantControl("setopt verbose TRUE", "")
	c.publish("/me", "named")
	c.want("/me", "named")
	c.wantControl("unsetopt log_in_client log_out_client; setopt log_in_client", "Log_In_Client UNKNOWN (string, default UNKNOWN)")
	c.publish("/me", "after")
	c.want("/me", "after")
	text, err := os.ReadFile(file) // closed: all of it is there
	if err != nil {
		t.Fatal(err)
	}
	if n := len(readMessages(t, file)); n != 8 {
		t.Errorf("%d messages, want 8", n)
	}
	for _, row := range []struct {
		part string
		n    int
	}{{`info /me "before"`, 0}, {`info /me "while"`, 2}, {`info /me "named"`, 2}, {`info /me "after"`, 0}, {"control _server \"setopt verbose TRUE\"", 1}} {
		if n := strings.Count(string(text), row.part); n != row.n {
			t.Errorf("%q is there %d times, want %d:\n%s", row.part, n, row.n, text)
		}
	}
	if n := strings.Count(string(text), "Z conn "); n < 4 || !bytes.HasPrefix(text, []byte("// 20")) && !bytes.Contains(text, []byte("\n// 20")) {
		t.Errorf("the time stands before %d messages, want 4:\n%s", n, text)
	}
	c.wantControl(`setopt log_in_client "`+file+`"; setopt proxy_password hunter2; unsetopt log_in_client; setopt log_in_client `+filepath.Dir(file)+`; setopt log_in_client`,
		"option \"Proxy_Password\": has no effect yet\nsetopt: message file: open "+filepath.Dir(file)+": is a directory\nLog_In_Client UNKNOWN (string, default UNKNOWN)")
	c.control(`setopt log_in_client "` + file + `"`)
	c.control("setopt proxy_password hunter3")
	c.wantControl("unsetopt log_in_client; alias", "")
	if text, err = os.ReadFile(file); err != nil || bytes.Contains(text, []byte("hunter")) || !bytes.Contains(text, []byte("hidden")) || s.log.has("hunter") {
		t.Errorf("%v, or a password is in the file or the log:\n%s", err, text)
	}
}

// TestRouterLogReload: a reload switches files, opens one anew that was moved away, and leaves all as it is when one cannot be opened.
func TestRouterLogReload(t *testing.T) {
	dir := t.TempDir()
	one, two, old := filepath.Join(dir, "one"), filepath.Join(dir, "two"), filepath.Join(dir, "old")
	s := startRouter(t, func(cfg *config.Config) { cfg.Router.Log.InClient = one })
	c := s.joinRT("me")
	reload := func(in, out string, rate int) error {
		cfg := *s.cfg
		cfg.Router.Log.InClient, cfg.Router.Log.OutClient, cfg.Router.Client.TokenRate = in, out, rate
		_, err := s.server.Reload(&cfg)
		return err
	}
	c.publish("/x", "first")
	c.sync()
	if err := os.Rename(one, old); err != nil {
		t.Fatal(err)
	}
	if err := reload(one, two, 0); err != nil {
		t.Fatal(err)
	}
	loggedTo(t, old, `"first"`)
	c.publish("/me", "second")
	c.want("/me", "second")
	loggedTo(t, one, `"second"`)
	loggedTo(t, two, `"second"`)
	if err := reload(one, filepath.Join(dir, "none", "x"), 1); err == nil || !strings.Contains(err.Error(), "message file") {
		t.Errorf("%v", err)
	}
	c.publish("/me", "third") // without a rate
	c.want("/me", "third")
	loggedTo(t, one, `"third"`)
	loggedTo(t, two, `"third"`)
	if err := reload("", "", 0); err != nil {
		t.Fatal(err)
	}
	if readMessages(t, one); strings.Count(s.log.text(), "level=WARN") > 0 {
		t.Errorf("warnings:\n%s", s.log.text())
	}
}

// TestRouterLogFlood: nothing is lost at a normal end, however many loops have written.
func TestRouterLogFlood(t *testing.T) {
	file := filepath.Join(t.TempDir(), "all")
	s := startRouter(t, func(cfg *config.Config) { cfg.Router.Log.InClient, cfg.Router.Log.OutClient = file, file })
	const publishers, messages = 8, 500
	subscriber := s.joinRT("")
	subscriber.subscribe("/flood")
	var clients []*rtClient
	for i := range publishers {
		p := s.joinRT("")
		clients = append(clients, p)
		var b []byte
		for j := range messages {
			b = message.AppendFrame(b, textMessage("/flood", fmt.Sprintf("%d %d", i, j)))
		}
		if err := p.write(b); err != nil {
			t.Fatal(err)
		}
	}
	for range publishers * messages {
		subscriber.read()
	}
	for _, c := range append(clients, subscriber) {
		c.conn.Close()
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	texts := map[string]int{}
	for _, m := range readMessages(t, file) {
		if m.Type == message.TypeInfo {
			texts[string(m.Fields)]++
		}
	}
	for text, n := range texts {
		if n != 2 {
			t.Errorf("%q is there %d times", text, n)
		}
	}
	if len(texts) != publishers*messages {
		t.Errorf("%d messages, want %d", len(texts), publishers*messages)
	}
}

// TestRouterLogSlow: a file that takes nothing holds nobody up: what has no room is counted, and the end comes all the same.
func TestRouterLogSlow(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	s := startRouter(t, withCommands("_all"))
	c := s.joinRT("me")
	c.wantControl("setopt log_in_client "+fifo, "setopt: message file: open "+fifo+": no such device or address")
	reader, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	c.wantControl("setopt log_in_client "+fifo, "")
	big := strings.Repeat("x", 1<<20)
	for range 40 { // the pipe takes 64 KiB, and two buffers 16 MiB each
		c.publish("/nobody", big)
	}
	c.sync()
	eventually(t, "dropped messages are counted", func() bool {
		_, text := s.adminGet("/metrics")
		return strings.Contains(text, "\nrouter_log_dropped_total ") && !strings.Contains(text, "\nrouter_log_dropped_total 0\n")
	})
	began := time.Now()
	c.order("_server", c.welcome.Unique, "unsetopt log_in_client") // does not wait for ever for the pipe
	const behind, most = 1100, 1000
	for range behind {
		c.order("_server", c.welcome.Unique, "echo a")
	}
	outputs := map[string]int{}
	for range 1 + behind {
		outputs[c.output()]++
	}
	if refused := outputs[fmt.Sprintf("%d commands are waiting already", most)]; refused == 0 || refused > behind-most+1 || outputs["a"] != behind-refused || outputs[""] != 1 {
		t.Errorf("of %d commands: %v", behind, outputs)
	}
	if took := time.Since(began); took > slack {
		t.Errorf("it took %v", took)
	}
	s.logged("level=WARN", "messages are missing in a message file", fifo)
	c.hasControl("stats", "not logged ")
	before := c.control("stats")
	c.wantControl("setopt log_out_client /dev/full", "")
	c.publish("/me", "lost")
	c.want("/me", "lost")
	s.logged("level=WARN", "messages are missing", "/dev/full", "no space left")
	if after := c.control("stats"); before == after {
		t.Error("what the disk did not take is not counted")
	}
}

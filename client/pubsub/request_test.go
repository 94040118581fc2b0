package pubsub

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"roundhouse/codec/message"
)

func TestRequest(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	server, c := f.connect(Options{}), f.connect(Options{})
	_, err := server.Subscribe(ctx, "/square", func(m *Msg) {
		go func() { // ends with the answer; the requests wait for it
			if err := m.Respond(ctx, append([]byte("re "), m.Data...)); err != nil {
				t.Error(err)
			}
		}()
	})
	must(t, err)
	must(t, server.Flush(ctx))
	seen, err := c.SubscribeChan(ctx, "/...", Queue(1000, 0))
	must(t, err)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			answer, err := c.Request(ctx, "/square", []byte(fmt.Sprint(i)))
			if err != nil || string(answer.Data) != fmt.Sprint("re ", i) || !strings.HasPrefix(answer.Subject, "/_INBOX/") || answer.Subscription() != nil {
				t.Errorf("%d: %v, %v", i, answer, err)
			}
		})
	}
	all.Wait()
	for range 400 { // questions and answers, for a subscription that wants everything
		_, err := seen.Next(ctx)
		must(t, err)
	}
	answer, err := c.RequestMsg(ctx, &Msg{Subject: "/square", Props: message.AppendTextProperty(nil, message.TagCorrelationID, "c1")})
	if err != nil || answer.CorrelationID() != "c1" {
		t.Errorf("%v, %v", answer, err)
	}
	if n := len(c.inbox.asking); n != 0 {
		t.Errorf("%d requests are kept", n)
	}
	wantErr(t, answer.Respond(ctx, nil), ErrNoReply)
	wantErr(t, (&Msg{Reply: "/a"}).Respond(ctx, nil), ErrNoReply)
}

// TestRequestFails has requests without an answer, and answers without a request.
func TestRequestFails(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	server, c := f.connect(Options{}), f.connect(Options{})
	asked := make(chan *Msg, 10)
	_, err := server.Subscribe(ctx, "/late", func(m *Msg) { asked <- m })
	must(t, err)
	_, err = server.Subscribe(ctx, "/none", func(m *Msg) {
		must(t, m.RespondMsg(ctx, &Msg{Header: []byte("NATS/1.0 503\r\n\r\n")}))
	})
	must(t, err)
	must(t, server.Flush(ctx))
	short, stop := context.WithCancel(ctx)
	questions := make(chan *Msg, 1)
	go func() { // ends with the question
		questions <- await(t, "question", asked)
		stop()
	}()
	_, err = c.Request(short, "/late", nil)
	wantErr(t, err, context.Canceled)
	must(t, (<-questions).Respond(ctx, nil)) // too late
	_, err = c.Request(ctx, "/none", nil)
	wantErr(t, err, ErrNoResponders)
	_, err = c.Request(ctx, "/a//b", nil)
	if err == nil {
		t.Error("no error for a bad subject")
	}
	must(t, server.Publish(ctx, string(c.inbox.prefix)+"no/number", nil))
	must(t, server.Publish(ctx, string(c.inbox.prefix)+"-", nil))
	must(t, server.Flush(ctx))
	go func() { // ends with the question
		await(t, "question", asked)
		must(t, c.Close())
	}()
	_, err = c.Request(ctx, "/late", nil)
	wantErr(t, err, ErrClosed)
}

// TestRequestAcross asks before a connection is lost, and is answered over the next one.
func TestRequestAcross(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	w, other := newTold(), newTold()
	server := f.connect(Options{MaxReconnectDelay: quick.MaxReconnectDelay, Callbacks: other.callbacks()})
	c := f.connect(Options{MaxReconnectDelay: quick.MaxReconnectDelay, Callbacks: w.callbacks()})
	asked := make(chan *Msg, 10)
	_, err := server.Subscribe(ctx, "/a", func(m *Msg) { asked <- m })
	must(t, err)
	must(t, server.Flush(ctx))
	answered := make(chan error, 1)
	go func() { // ends with the answer
		_, err := c.Request(ctx, "/a", nil)
		answered <- err
	}()
	m := await(t, "question", asked)
	f.drop()
	await(t, "reconnect", w.reconnect)
	await(t, "reconnect of who answers", other.reconnect) // before, the answer would go into a connection that is gone
	must(t, c.Flush(ctx))
	must(t, m.Respond(ctx, nil))
	must(t, await(t, "answer", answered))
}

func TestControl(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	f.meet = func(p *fakePeer, m *message.Message) bool {
		if m.Type != message.TypeControl || string(m.Dest) != OwnServer {
			return false
		}
		command, err := message.ParseControl(m)
		must(t, err)
		if reply, ok := m.Property(message.TagReplyTo); ok {
			answer := message.Message{Type: message.TypeInfo, Dest: reply, Fields: message.AppendStr(nil, "did "+command)}
			f.route(&answer, message.Append(nil, &answer))
		}
		return true
	}
	c := f.connect(Options{Subject: "me", Prefix: "/p"})
	out, err := c.Command(ctx, "_server", "echo hi")
	if err != nil || out != "did echo hi" {
		t.Errorf("%q, %v", out, err)
	}
	s, err := c.SubscribeChan(ctx, "/clients")
	must(t, err)
	must(t, c.Control(ctx, "/clients", "quit force"))
	m, err := s.Next(ctx)
	must(t, err)
	if field, ok := m.Field(0); !ok || string(field.Value) != "quit force" || m.Type != message.TypeControl {
		t.Errorf("%v", m)
	}
	var refused *ServerError
	if err := c.StopServer(ctx, message.StopNormal); !errors.As(err, &refused) || refused.Code != message.CodeControlRejected {
		t.Error(err)
	}
}

func TestFields(t *testing.T) {
	m := &Msg{Fields: message.AppendNamed(message.AppendInt4(message.AppendStr(nil, "a"), 7), "n", message.AppendBool(nil, true))}
	if f, ok := m.Field(1); !ok || f.Kind != message.Int4 {
		t.Errorf("%v, %v", f, ok)
	}
	if f, ok := m.Named("n"); !ok || f.Kind != message.Bool {
		t.Errorf("%v, %v", f, ok)
	}
	for _, name := range []string{"", "x"} {
		if _, ok := m.Named(name); ok {
			t.Errorf("%q is there", name)
		}
	}
	if _, ok := m.Field(3); ok {
		t.Error("a fourth field")
	}
	if _, ok := (&Msg{Fields: []byte("garbage")}).Field(0); ok {
		t.Error("garbage is a field")
	}
	m.SetProperty(message.TagSender, []byte("/s"))
	m.SetCorrelationID("1")
	m.SetCorrelationID("2")
	if m.CorrelationID() != "2" || m.Sender() != "/s" {
		t.Errorf("%q", m.Props)
	}
	if _, ok := m.Sent(); ok {
		t.Error("a time that nobody has set")
	}
	m.Props = message.AppendRealProperty(m.Props, message.TagSenderTimestamp, 1e9+0.5)
	if at, ok := m.Sent(); !ok || at.UnixMilli() != 1e12+500 {
		t.Error(at, ok)
	}
}

func TestTLS(t *testing.T) {
	ctx := testContext(t)
	der, key := newCertificate(t)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	f := newFakeTLS(t, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if _, err := Connect(ctx, Options{Servers: []string{"tls:" + f.addr}}); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("%v", err)
	}
	_, port, _ := strings.Cut(f.addr, ":")
	c, err := Connect(ctx, Options{Servers: []string{"tcp:localhost:" + port}, TLS: &tls.Config{RootCAs: roots}})
	must(t, err)
	s, err := c.SubscribeChan(ctx, "/a")
	must(t, err)
	must(t, c.Publish(ctx, "/a", []byte("secret")))
	if m, err := s.Next(ctx); err != nil || string(m.Data) != "secret" {
		t.Error(m, err)
	}
	must(t, c.Drain(ctx))
}

// newCertificate makes a certificate of localhost that signs itself.
func newCertificate(t *testing.T) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	return der, key
}

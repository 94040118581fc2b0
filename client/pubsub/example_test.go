package pubsub_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"roundhouse/client/pubsub"
	"roundhouse/codec/message"
)

func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := pubsub.Connect(ctx, pubsub.Options{
		Servers: []string{"tcp:east.example.com:5101", "tcp:west.example.com:5101"},
		Callbacks: pubsub.Callbacks{
			Disconnect: func(err error) { log.Print(err) },
			Error:      func(err error) { log.Print(err) },
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.Subscribe(ctx, "/plant/*/temperature", func(m *pubsub.Msg) {
		fmt.Printf("%s: %s\n", m.Subject, m.Data)
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Publish(ctx, "/plant/boiler/temperature", []byte("88.5")); err != nil {
		log.Fatal(err)
	}
	if err := c.Drain(ctx); err != nil { // what was published is sent, what came is handled
		log.Fatal(err)
	}
}

// A message with typed fields goes to one of the workers that have subscribed.
func ExampleConn_PublishMsg() {
	ctx := context.Background()
	c, err := pubsub.Connect(ctx, pubsub.Options{Servers: []string{"tcp:_node:5101"}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fields := message.AppendInt4(nil, 42)
	fields = message.AppendNamed(fields, "customer", message.AppendStr(nil, "Ann"))
	order := &pubsub.Msg{Subject: "/orders", Type: 100, Fields: fields, Balance: message.RoundRobin, Priority: 5}
	if err := c.PublishMsg(ctx, order); err != nil {
		log.Fatal(err)
	}
	if err := c.Flush(ctx); err != nil { // now the server has it
		log.Fatal(err)
	}
}

func ExampleConn_Request() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c, err := pubsub.Connect(ctx, pubsub.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	answer, err := c.Request(ctx, "/prices", []byte("IBM"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", answer.Data)
}

// A channel in place of a callback.
func ExampleSubscription_Messages() {
	ctx := context.Background()
	c, err := pubsub.Connect(ctx, pubsub.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	s, err := c.SubscribeChan(ctx, "/log/...", pubsub.NoBalancing())
	if err != nil {
		log.Fatal(err)
	}
	for m := range s.Messages() { // until Unsubscribe or Close
		fmt.Println(m.Subject)
	}
}

package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"roundhouse/client"
)

func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := client.Dial(ctx, "127.0.0.1:8088", client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	_, err = conn.Login(ctx, client.Credentials{User: "guest", Password: "pw", Application: "EXAMPLES", Mode: client.Block, Procedure: "ADD"})
	if err != nil {
		log.Fatal(err)
	}
	sum, err := conn.Execute(ctx, "1", "2")
	var failed *client.ServerError
	switch {
	case errors.As(err, &failed):
		fmt.Println("the engine says", failed.Text)
	case err != nil:
		log.Fatal(err)
	default:
		fmt.Printf("%s\n", sum)
	}
}

func ExampleConn_ExecuteEvents() {
	ctx := context.Background()
	conn, err := client.Dial(ctx, "127.0.0.1:8088", client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Logoff(ctx)
	if _, err := conn.Login(ctx, client.Credentials{User: "guest", Application: "EXAMPLES", Mode: client.Char}); err != nil {
		log.Fatal(err)
	}
	rest, err := conn.ExecuteEvents(ctx, client.Events{
		Output: func(chunk []byte) error {
			_, err := os.Stdout.Write(chunk)
			return err
		},
		Ask: func(_ context.Context, prompt string) (string, error) {
			fmt.Print(prompt)
			return "yes", nil
		},
	}, "PURGE VOC")
	fmt.Printf("%s %v\n", rest, err)
}

func ExamplePool() {
	pool := client.NewPool("127.0.0.1:8088", client.PoolOptions{
		Credentials: client.Credentials{User: "web", Application: "SHOP", Mode: client.Web, Procedure: "RUN_OECGI_REQUEST"},
		Max:         16,
	})
	defer pool.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // when it is up, the engine is told to stop
	defer cancel()
	page, err := pool.Execute(ctx, "A=1&B=2", "")
	fmt.Printf("%s %v\n", page, err)
}

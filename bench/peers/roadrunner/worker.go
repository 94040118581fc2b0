package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/roadrunner-server/goridge/v3/pkg/frame"
	"github.com/roadrunner-server/goridge/v3/pkg/pipe"
)

// buffered saves two of three reads a frame: goridge reads header, options and payload each for itself.
type buffered struct {
	*bufio.Reader
	io.Closer
}

// control is what the pool says in control frames, one or the other.
type control struct {
	PID  int  `json:"pid,omitempty"`
	Stop bool `json:"stop,omitempty"`
}

// work answers each frame with the same frame, after think, until the pool closes the pipe or says stop.
func work(in io.ReadCloser, out io.WriteCloser, think func()) error {
	const bufferSize = 64 << 10 // bytes; as much as a pipe holds
	relay := pipe.NewPipeRelay(buffered{bufio.NewReaderSize(in, bufferSize), in}, out)
	for {
		f := frame.NewFrame()
		if err := relay.Receive(f); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if f.ReadFlags()&frame.CONTROL != 0 {
			stop, err := obey(relay, f)
			if stop || err != nil {
				return err
			}
			continue
		}
		think()
		// Header, options and payload of the answer are those of the request: nothing is built anew.
		if err := relay.Send(f); err != nil {
			return err
		}
	}
}

// obey answers the question for our pid, and reports an order to stop.
func obey(relay *pipe.Relay, f *frame.Frame) (stop bool, err error) {
	var order control
	if err := json.Unmarshal(f.Payload(), &order); err != nil || order.Stop {
		return order.Stop, err
	}
	text, err := json.Marshal(control{PID: os.Getpid()})
	if err != nil {
		return false, err
	}
	reply := frame.NewFrame()
	reply.WriteVersion(reply.Header(), frame.Version1)
	reply.WriteFlags(reply.Header(), frame.CONTROL, frame.CodecJSON)
	reply.WritePayloadLen(reply.Header(), uint32(len(text)))
	reply.WritePayload(text)
	reply.WriteCRC(reply.Header())
	return false, relay.Send(reply)
}

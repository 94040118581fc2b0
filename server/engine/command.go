package engine

import (
	"fmt"
	"time"

	"roundhouse/enginepool"
)

// commandMark begins a question that is a command to the server: the mark and a digit. Source: seed, "Commands From The OEngine".
const commandMark = 0x06

// question takes what an engine asks: the server answers a command, the caller everything else.
func (e *engine) question(c *call, prompt []byte) {
	if !e.command(c, prompt) {
		c.owner.ask(c, prompt)
	}
}

// command answers a command of an engine; false: it is none.
func (e *engine) command(c *call, prompt []byte) bool {
	if len(prompt) < 2 || prompt[0] != commandMark || prompt[1] < '0' || prompt[1] > '9' {
		return false
	}
	d := e.door
	switch prompt[1] {
	case '1':
		var list []byte
		for i, number := range d.settings.Load().cfg.SerialNumbers {
			if i > 0 {
				list = append(list, fieldMark)
			}
			list = append(list, number...)
		}
		e.answer(c, list)
	case '2':
		mine := uint64(0)
		if info := e.client.Load(); info != nil {
			mine = info.id
		}
		e.answer(c, appendArray(nil, d.rows(mine)))
	case '3':
		e.phantomCommand(c, prompt[2:])
	case '4':
		e.answer(c, []byte(d.versionText()))
	case '5':
		e.answer(c, *d.printers.Load())
	case '6':
		flag := "0"
		if e.pooled.Class == enginepool.Phantom {
			flag = "1"
		}
		e.answer(c, []byte(flag))
	case '7':
		e.answer(c, fmt.Appendf(nil, "Startup: %s; Current: %s", stamp(d.began), stamp(time.Now())))
	default:
		e.answer(c, nil)
	}
	return true
}

// phantomCommand starts a phantom for an engine, which is answered when the phantom has logged in.
func (e *engine) phantomCommand(c *call, fields []byte) {
	rid := c.rid
	e.shard.startPhantom(append([]byte(nil), fields...), true, func(failure string) {
		if len(e.calls) == 0 || e.calls[0].rid != rid {
			return
		}
		text := "Phantom started"
		if failure != "" {
			text = failure
		}
		e.answer(e.calls[0], []byte(text))
	})
}

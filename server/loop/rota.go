package loop

import "context"

// Sizes of a round, in bytes.
const (
	rotaRound = 512 << 10 // what connections that carry much may bring in one
	rotaPiece = 64 << 10  // what one of them is expected to bring when it is resumed
)

// rota lets connections that carry much take turns. gnet reads every connection that has something, up to 64 KiB each, before a round is
// over; with some hundred of them a round lasts tens of milliseconds, and whoever asks for something small waits for several. It is owned
// by its loop.
type rota struct {
	loop  *Loop
	spent int     // bytes since the last end of a round that was asked for
	queue []*Conn // paused until it is their turn; at most the connections of the loop
	asked bool    // the end of the round is asked for
}

// Carried tells that n bytes of something long were taken from c, and that more is to come. When connections of its loop have brought
// much in this round, c pauses until it is its turn again. Data should then return.
func Carried(c *Conn, n int) {
	r := &c.loop.rota
	if r.spent += n; r.spent > rotaRound && r.ask() && !c.in.paused {
		c.Pause()
		r.push(c)
	}
}

// ResumeInTurn is Resume for a connection that will bring something long: when there are many of them, it waits for its turn.
func ResumeInTurn(c *Conn) {
	r := &c.loop.rota
	switch {
	case !c.in.paused || c.in.inTurn:
	case r.spent > rotaRound && r.ask():
		r.push(c)
	default:
		r.spent += rotaPiece
		c.Resume()
	}
}

func (r *rota) push(c *Conn) {
	c.in.inTurn = true
	r.queue = append(r.queue, c)
}

// ask asks for the end of the round. It is false when there will be none: the group is stopping.
func (r *rota) ask() bool {
	if !r.asked {
		r.asked = r.loop.el.Execute(context.Background(), r) == nil
	}
	return r.asked
}

// Run is the end of a round: it is the turn of those that have waited longest.
func (r *rota) Run(context.Context) error {
	r.asked, r.spent = false, 0
	r.loop.turn.enter()
	next := 0
	for ; next < len(r.queue) && r.spent < rotaRound; next++ {
		if c := r.queue[next]; c.in.inTurn && c.loop == r.loop && !c.Closing() {
			r.spent += rotaPiece
			c.Resume()
		}
		r.queue[next] = nil
	}
	if r.queue = r.queue[next:]; len(r.queue) == 0 {
		r.queue = nil
	} else if !r.ask() {
		r.spent = 0
	}
	r.loop.turn.leave()
	return nil
}

package main

import (
	"fmt"
	"strings"
	"time"

	"roundhouse/bench/harness"
)

// heading is that of the section in RESULTS.md.
const heading = "## Relay: a farm of which everything is killed"

func report(o *options, tallies []*tally, broken []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s", heading, harness.ServerMachine())
	fmt.Fprintf(&b, "- clients -> HAProxy -> %d relays, lanes of each enabler to each relay, %d back ends with an enabler each; rs.config the same for all relays, renew_overlapped_cookie = yes\n",
		relays, backends)
	fmt.Fprintf(&b, "- %d clients, half of them with the cookie %s, GET and POST in turns, %d requests/s together; an answer takes %v on the average\n",
		o.clients, cookieName, o.rate, o.work)
	fmt.Fprintf(&b, "- each victim is killed with SIGKILL %v after the last one was well, and started again %v later\n", o.before+o.after, o.dead)
	fmt.Fprintf(&b, "- **reached**: of those that were not answered with 200, a back end had seen them; **in doubt**: none had, but they were POST requests on their way at the kill, or within %v of it, which nobody may send again; **refused**: the others\n", notice)
	b.WriteString("- **moved**: answers to sticky clients by another back end than theirs, which was dead; **strayed**: which was alive\n\n")
	b.WriteString("| killed | sent | 200 | not 200 | reached | in doubt | refused | POST twice | moved | strayed | longest wait | serves again after |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, t := range tallies {
		fmt.Fprintf(&b, "| %s | %d | %d | %s | %d | %d | %d | %d | %d | %d | %.0f ms | %.2f s |\n", t.victim.name, t.sent, t.answered, t.failures(),
			t.reached, t.doubtful, t.refused, t.doubled, t.moved, t.strayed, float64(t.longest)/float64(time.Millisecond), (t.serving - t.started).Seconds())
	}
	b.WriteString("\n")
	if len(broken) == 0 {
		b.WriteString("Every requirement holds: refused, POST twice, strayed and wrong bodies are 0, and nobody waited longer than allowed.\n")
	}
	for _, line := range broken {
		fmt.Fprintf(&b, "- BROKEN: %s\n", line)
	}
	return b.String()
}

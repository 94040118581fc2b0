// Package harness starts servers to be measured, loads them and reads what they used.
//
// Nouns: a Lab is one run: a temporary directory and the processes started in it, all ended by Lab.Close. A Process is one
// started program with whatever it forks. A Contender is what is compared: a base URL and the processes between that URL and
// the origin. A Starter knows how to bring up one kind of contender, or why it cannot be brought up here. The origin is
// nginx with static files, in a process of its own that no contender's figures include.
//
// Everything listens on 127.0.0.1. A Lab and its Processes are used by one goroutine; the readers of /proc by any.
package harness

//go:build race

package router

// racing: the race detector is on. It makes pools forget, so that allocations cannot be counted.
const racing = true

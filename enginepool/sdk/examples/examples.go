// Package examples holds engines in other languages, each one file: to read, to start from, and for the demonstration of the server.
package examples

import _ "embed" // the engines are files

// Python is engine.py, an engine that needs nothing but python3.
//
//go:embed engine.py
var Python []byte

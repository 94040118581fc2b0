package enginepool

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
)

// Signature says for whom an engine has logged in: requests of one signature may run on any engine of it, and on no other. It is
// comparable. Application and procedure are in upper case.
// Source: seed, "signature (based on the app, user, password, and dispatch routine)"; location and type are ours.
type Signature struct {
	Application, User, Procedure, Location, Type, Server string

	secret [sha256.Size]byte // of the password, under a key of the process
}

// Login is what a signature is made of, and what an engine is logged in with.
type Login struct {
	Application, User, Password, Procedure, Location string
	Type                                             string // which engine program
	Server                                           string // name of the one engine that all of the line share; empty: any number of engines
	Flags                                            string // start-up flags, for the engine
	Mode                                             int    // -1 JD3, 0 block, 1 char, 2 web, 3 phantom
}

// signature returns the key of a login. The password itself is no part of it.
func (l Login) signature(key []byte) Signature {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(l.Password)) // never fails
	s := Signature{
		Application: strings.ToUpper(l.Application), User: l.User, Procedure: strings.ToUpper(l.Procedure),
		Location: l.Location, Type: l.Type, Server: l.Server,
	}
	mac.Sum(s.secret[:0])
	return s
}

package laneio

import "fmt"

// StateForTest shows what a lane waits for.
func (e *End) StateForTest() string {
	s := fmt.Sprintf("buf %d, full %v, gone %v, out pending %d", len(e.buf), full(e), e.gone, e.Pending())
	if l := e.lengthOut; l != nil {
		s += fmt.Sprintf(", out: begun %d, left %d, owed %d, next %v, again %v", l.begun, l.left, l.owed, l.next != nil, l.again.Armed())
	}
	if l := e.lengthIn; l != nil {
		s += fmt.Sprintf(", in: number %d, left %d, nexts %v %v", l.number, l.left, l.nexts[0].c != nil, l.nexts[1].c != nil)
	}
	return s
}

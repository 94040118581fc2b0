package relay

import (
	"bytes"
	"strconv"
)

// tastes is what an Accept field (RFC 9110, 12.5.1) says of the forms in which a failure can be told. Weights are 0 to 1.
type tastes struct {
	json, html float64 // of what was named, or is one of its kind
	any        float64 // of */*
	jsonFirst  bool    // JSON stands before HTML
	none       bool    // there is no field: everything is right
}

func parseAccept(field []byte) (t tastes) {
	t.none = len(bytes.TrimSpace(field)) == 0
	for len(field) > 0 {
		var element []byte
		element, field, _ = bytes.Cut(field, []byte{','})
		kind, rest, _ := bytes.Cut(bytes.ToLower(element), []byte{';'})
		switch kind, q := bytes.TrimSpace(kind), weight(rest); {
		case string(kind) == "application/json", string(kind) == "application/*", bytes.HasSuffix(kind, []byte("+json")):
			t.jsonFirst = t.jsonFirst || t.html == 0
			t.json = max(t.json, q)
		case string(kind) == "text/html", string(kind) == "application/xhtml+xml", string(kind) == "text/*":
			t.html = max(t.html, q)
		case string(kind) == "*/*":
			t.any = max(t.any, q)
		}
	}
	return t
}

// weight is that of an element with these parameters, in lower case: 1 when it has none, or one that is not right.
func weight(params []byte) float64 {
	for len(params) > 0 {
		var one []byte
		one, params, _ = bytes.Cut(params, []byte{';'})
		if text, ok := bytes.CutPrefix(bytes.TrimSpace(one), []byte("q=")); ok {
			if q, err := strconv.ParseFloat(string(text), 64); err == nil && q >= 0 && q <= 1 {
				return q
			}
		}
	}
	return 1
}

// wantsJSON tells that JSON is liked better than HTML. Who takes anything gets what a person can read.
func (t tastes) wantsJSON() bool {
	return t.json > 0 && (t.json > t.html || t.json == t.html && t.jsonFirst)
}

// wantsHTML tells that HTML was asked for.
func (t tastes) wantsHTML() bool { return t.html > 0 && !t.wantsJSON() }

// takesHTML tells that the client can be given HTML that somebody wants it to see.
func (t tastes) takesHTML() bool { return t.none || t.html > 0 || t.any > 0 }

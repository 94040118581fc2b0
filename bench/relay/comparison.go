package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"roundhouse/bench/harness"
)

// comparison is what is measured beside what.
type comparison struct {
	heading   string // of the section in RESULTS.md
	notes     string // lines of a Markdown list
	reference string // the contender that the ratios are to
	starters  []harness.Starter
	target    float64 // the least requests per second of the others, as a part of the reference's; 0: none
}

// peers are all that do the same work.
func peers(products *harness.Products) *comparison {
	return &comparison{heading: "## HTTP relay beside its peers", reference: "nginx", starters: harness.Starters(products)}
}

// overTLS has the clients of both speak TLS.
func overTLS(products *harness.Products) *comparison {
	return &comparison{
		heading: "## HTTP relay over TLS beside nginx", reference: "nginx-tls", target: 0.7,
		notes:    "- clients speak TLS 1.3 with TLS_AES_128_GCM_SHA256, over kept connections, without resumption; ECDSA certificate on P-256, the same for both\n",
		starters: []harness.Starter{harness.TLSNginx(), products.Variant(harness.Variant{Name: "roundhouse-tls", TLS: true})},
	}
}

// aBuild compares the programs in a directory with these, both with an access log unless that is off.
func aBuild(products *harness.Products, dir string, accessLog bool) (*comparison, error) {
	other := &harness.Products{Roundhouse: filepath.Join(dir, "roundhouse"), Enabler: filepath.Join(dir, "rsoe"), Set: products.Set, Sessions: products.Sessions}
	for _, path := range []string{other.Roundhouse, other.Enabler} {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("-against: %w", err)
		}
	}
	notes := "- both without an access log\n"
	if accessLog {
		notes = "- both write each request into relay.access_log\n"
	}
	return &comparison{
		heading: "## HTTP relay: two builds", reference: "against", target: 0.95, notes: notes,
		starters: []harness.Starter{
			other.Variant(harness.Variant{Name: "against", AccessLog: accessLog}),
			products.Variant(harness.Variant{Name: "this", AccessLog: accessLog}),
		},
	}, nil
}

// looking compares a server that nobody looks at with the same one whose metrics are fetched, which writes an access log, or both.
func looking(products *harness.Products, o *options) *comparison {
	return &comparison{
		heading: "## HTTP relay: what looking costs", reference: "unseen", target: 0.95,
		notes: fmt.Sprintf("- metrics: /metrics is fetched every %v during the load; access log: each request is a line of a file\n", o.metricsEvery),
		starters: []harness.Starter{
			products.Variant(harness.Variant{Name: "unseen"}),
			products.Variant(harness.Variant{Name: "metrics", Metrics: true}),
			products.Variant(harness.Variant{Name: "access-log", AccessLog: true}),
			products.Variant(harness.Variant{Name: "both", AccessLog: true, Metrics: true}),
		},
	}
}

// choose finds out what is to be compared.
func (o *options) choose(tls, look bool, against string, accessLog bool) (err error) {
	asked := 0
	for _, is := range []bool{tls, look, against != ""} {
		if is {
			asked++
		}
	}
	switch {
	case asked > 1:
		return errors.New("-tls, -looking and -against: one at a time")
	case tls:
		o.what = overTLS(&o.products)
	case look:
		o.what = looking(&o.products, o)
	case against != "":
		o.what, err = aBuild(&o.products, against, accessLog)
	default:
		o.what = peers(&o.products)
	}
	return err
}

// starter returns the one of that name.
func (c *comparison) starter(name string) error {
	var names []string
	for _, s := range c.starters {
		if s.Name == name {
			return nil
		}
		names = append(names, s.Name)
	}
	return fmt.Errorf("no contender %q; there are %v", name, names)
}

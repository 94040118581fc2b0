package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// rsSection is one kind of section: what its properties mean.
type rsSection struct {
	name       string
	tables     string // the list of tables of Relay that it adds an element to; empty: it sets keys of the Config
	properties map[string]rsProperty
}

// rsProperty is one known property.
type rsProperty struct {
	field string                    // what it sets: a field of the element, or a key of the Config; empty: nothing yet
	unset string                    // a value that means not set
	judge func(value string) string // for a property without a field: "" or what would be right
}

var rsSections = map[string]*rsSection{
	"options": {"options", "", map[string]rsProperty{
		"verbosity":          {field: "log.verbosity"},
		"description":        {field: "relay.description"},
		"x_listen":           {field: "relay.listen"},
		"x_admin_listen":     {field: "admin.listen"},
		"x_access_log":       {field: "relay.access_log"},
		"x_trusted_proxies":  {field: "relay.trusted_proxies"},
		"x_idle_timeout":     {field: "relay.idle_timeout"},
		"x_header_timeout":   {field: "relay.header_timeout"},
		"x_response_timeout": {field: "relay.response_timeout"},
		"start":              {judge: judgeText},
		"shared_mem":         {judge: judgeSize},
		"status_refresh_sec": {judge: judgeCount},
		"auto_config":        {judge: judgeText},
		"log_size_limit":     {judge: judgeSize},
		"min_thread":         {judge: judgeThreads},
		"max_thread":         {judge: judgeThreads},
		"up_pad_size":        {judge: judgeSize},
	}},
	"relay_server": {"relay_server", "server", map[string]rsProperty{
		"enable":      {field: "enable"},
		"host":        {field: "host"},
		"http_port":   {field: "http_port"},
		"https_port":  {field: "https_port"},
		"description": {field: "description"},
	}},
	"backend_farm": {"backend_farm", "farm", map[string]rsProperty{
		"id":                            {field: "id"},
		"enable":                        {field: "enable"},
		"description":                   {field: "description"},
		"verbosity":                     {field: "verbosity"},
		"max_client_buffer":             {field: "max_client_buffer"},
		"client_security":               {judge: judgeYesNo},
		"backend_security":              {judge: judgeYesNo},
		"active_cookie":                 {judge: judgeYesNo},
		"active_header":                 {judge: judgeYesNo},
		"renew_overlapped_cookie":       {judge: judgeYesNo},
		"socket_level_affinity":         {judge: judgeYesNo},
		"forward_x509_identity":         {judge: judgeYesNo},
		"forwarder_certificate_subject": {judge: judgeText},
		"forwarder_certificate_issuer":  {judge: judgeText},
	}},
	"backend_server": {"backend_server", "backend", map[string]rsProperty{
		"farm":                  {field: "farm"},
		"id":                    {field: "id"},
		"enable":                {field: "enable"},
		"token":                 {field: "token", unset: "!"},
		"description":           {field: "description"},
		"verbosity":             {field: "verbosity"},
		"mac":                   {unset: "!", judge: judgeMACs},
		"max_junction":          {judge: judgeCount},
		"max_junction_idle_sec": {judge: judgeCount},
	}},
}

// endSection moves what the section says into the Config.
func (r *rsReader) endSection() {
	kind := r.kind
	if kind != nil {
		table, path := reflect.ValueOf(r.cfg).Elem(), ""
		if kind.tables != "" {
			tables, _ := lookup(reflect.ValueOf(&r.cfg.Relay).Elem(), kind.tables)
			element, i := appendDefault(tables.value)
			path = fmt.Sprintf("relay.%s[%d]", kind.tables, i)
			r.from[path] = origin{r.opened, "[" + kind.name + "]"}
			table, path = element, path+"."
		}
		for _, name := range r.order {
			r.apply(kind, table, path, name, r.set[name])
		}
		r.checkSection()
	}
	r.kind, r.inSection, r.set, r.order = nil, false, nil, nil
}

// apply checks one property and sets its field.
func (r *rsReader) apply(kind *rsSection, table reflect.Value, path, name string, v rsValue) {
	p, known := kind.properties[name]
	switch {
	case !known && r.Strict && !strings.HasPrefix(name, "x_"):
		r.fail(v.at, "field %q: unknown in [%s]", name, kind.name)
	case !known:
		r.warn(v.at, "field %q: unknown in [%s]: ignored", name, kind.name)
	case v.text == "" && name == "token":
		r.warn(v.at, "field %q: empty: none will be demanded; write token = ! if that is meant", name)
	case v.text == "" || v.text == p.unset:
	case p.field == "":
		if want := p.judge(v.text); want != "" {
			r.fail(v.at, "field %q: value %s: %s", name, quote("", v.text), want)
			return
		}
		r.warn(v.at, "field %q: has no effect yet", name)
	default:
		f, ok := lookup(table, p.field)
		if kind.tables == "" {
			f, ok = r.key(p.field)
		}
		if !ok {
			panic("BUG: config: no field " + p.field)
		}
		if _, err := strconv.ParseUint(v.text, 10, 32); err == nil && strings.HasSuffix(name, "_timeout") {
			v.text += "s" // times in an rs.config are seconds
		}
		r.loader.set(f, path+p.field, scalar{text: v.text}, origin{v.at, name})
	}
}

// checkSection looks at properties that must fit each other.
func (r *rsReader) checkSection() {
	is := func(name string) bool { on, _ := parseBool(r.set[name].text); return on }
	least, errLeast := strconv.Atoi(r.set["min_thread"].text)
	most, errMost := strconv.Atoi(r.set["max_thread"].text)
	if errLeast == nil && errMost == nil && most <= least {
		r.fail(r.set["max_thread"].at, "field %q: value %q: more than min_thread, which is %d", "max_thread", r.set["max_thread"].text, least)
	}
	for _, name := range []string{"forwarder_certificate_subject", "forwarder_certificate_issuer"} {
		if v := r.set[name]; v.text != "" && !is("forward_x509_identity") {
			r.warn(v.at, "field %q: means nothing without forward_x509_identity = yes", name)
		}
	}
	if is("client_security") {
		r.clientHTTPS = append(r.clientHTTPS, r.set["client_security"].at)
	}
}

func judgeText(s string) string {
	return wantUnless(len(s) <= maxText, fmt.Sprintf("at most %d bytes", maxText))
}

func judgeYesNo(s string) string {
	_, ok := parseBool(s)
	return wantUnless(ok, "yes, no, on, off, true, false, 1 or 0")
}

func judgeSize(s string) string {
	n, ok := parseSize(s)
	return wantUnless(ok && n <= maxSize, "a size in bytes of at most 4g, as 65536 or 64k")
}

func judgeCount(s string) string {
	_, err := strconv.ParseUint(s, 10, 31)
	return wantUnless(err == nil, "a whole number of 0 or more")
}

func judgeThreads(s string) string {
	_, err := strconv.ParseUint(s, 10, 16)
	return wantUnless(err == nil || strings.EqualFold(s, "auto"), "auto, or 0 to 65535")
}

// judgeMACs judges one address or several with ! between them.
func judgeMACs(s string) string { return wantUnless(parseMACs(s) != nil, wantMACs) }

const wantMACs = "six pairs of hexadecimal digits, as 01-23-45-67-89-ab, with ! between several"

// parseMACs returns addresses that have ! between them, in lower case; nil: one is wrong.
func parseMACs(s string) []string {
	macs := strings.Split(strings.ToLower(s), "!")
	for i := range macs {
		if macs[i] = strings.Trim(macs[i], " \t"); !isMAC(macs[i]) {
			return nil
		}
	}
	return macs
}

// isMAC tells whether s is six pairs of hexadecimal digits with hyphens between them.
func isMAC(s string) bool {
	pairs := strings.Split(s, "-")
	ok := len(pairs) == 6
	for _, pair := range pairs {
		_, err := strconv.ParseUint(pair, 16, 8)
		ok = ok && len(pair) == 2 && err == nil
	}
	return ok
}

func wantUnless(ok bool, want string) string {
	if ok {
		return ""
	}
	return want
}

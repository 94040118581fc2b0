package access

import (
	"fmt"
	"strconv"
	"strings"

	"roundhouse/server/config"
)

// FromConfig returns the rules of a configuration. The errors name what in it is wrong; New finds more.
func FromConfig(cfg *config.Access) (Rules, []error) {
	var errs []error
	r := Rules{
		Required: cfg.Driver != "", Directory: cfg.Directory, Reread: cfg.ReloadInterval,
		FreePublish: !cfg.AuthorizePublish, AdminTypes: []int32{},
	}
	switch strings.ToLower(cfg.TraceLevel) {
	case "never", "error":
		r.Audit = AuditNothing
	case "info", "verbose", "debug":
		r.Audit = AuditGrants
	}
	for _, text := range cfg.AdminMsgTypes {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			errs = append(errs, fmt.Errorf("access.admin_msg_types: %q: the number of a message type", clip(text)))
			continue
		}
		r.AdminTypes = append(r.AdminTypes, int32(n))
	}
	for i, u := range cfg.Users {
		r.Users = append(r.Users, User{Name: u.Name, Password: u.Password, Token: u.Token, from: place("user", i)})
	}
	for i, g := range cfg.Groups {
		r.Groups = append(r.Groups, Group{Name: g.Name, Members: g.Members, from: place("group", i)})
	}
	for i, p := range cfg.Permissions {
		verb, ok := verbByName(p.Verb)
		if !ok {
			errs = append(errs, fmt.Errorf("access.permission[%d].verb: %q: publish, subscribe, connect or all", i, clip(p.Verb)))
			continue
		}
		r.Permissions = append(r.Permissions, Permission{
			Allow: p.Allow, Who: p.Who, Verb: verb, Project: p.Project, Subject: p.Subject, from: place("permission", i),
		})
	}
	return r, errs
}

// place says where something stands in a configuration, of which the file is not known any more.
func place(table string, i int) config.Problem {
	return config.Problem{File: fmt.Sprintf("access.%s[%d]", table, i)}
}

package config

import "time"

// Access says who may do what at the router door. Without a driver nobody is asked, and everybody may do everything.
// Users, groups and permissions of the tables come first, then those of the files; of permissions the first that fits holds.
type Access struct {
	// basic, or empty: nobody is asked who he is.
	Driver string `toml:"driver"`
	// Directory of users.cfg, groups.cfg and permissions.cfg; a file that is not there counts as empty. Empty: no files.
	Directory string `toml:"directory"`
	// Whether permission is needed to publish. false: whoever is let in may publish anything.
	AuthorizePublish bool `toml:"authorize_publish"`
	// How long the files are believed before they are read again. 0: until the next SIGHUP.
	ReloadInterval time.Duration `toml:"reload_interval"`
	// Numbers of the types of messages that only users in the group admin may send to a server.
	AdminMsgTypes []string `toml:"admin_msg_types"`
	// What is told about decisions: never, error, warning (what is denied), info (what is granted, too), verbose or debug.
	TraceLevel string `toml:"trace_level"`
	// Has no effect: decisions go to the log.
	TraceFile string `toml:"trace_file"`

	// Who may come in.
	Users []AccessUser `toml:"user"`
	// Who belongs together.
	Groups []AccessGroup `toml:"group"`
	// Who may do what.
	Permissions []AccessPermission `toml:"permission"`
}

// AccessUser is somebody who may come in: a line of users.cfg, [[access.user]] in TOML.
type AccessUser struct {
	// Name, unique: 1 to 255 bytes without blanks, colons, commas and control characters. Required.
	Name string `toml:"name"`
	// Password, plain or as {pbkdf2-sha256}.... Empty: he cannot come in by password.
	Password string `toml:"password" unit:"secret"`
	// What a NATS client may present instead of a name and a password, plain or as {pbkdf2-sha256}.... Empty: none.
	Token string `toml:"token" unit:"secret"`
}

// AccessGroup is a number of users: a line of groups.cfg, [[access.group]] in TOML. Those in the group admin may give orders to the server.
type AccessGroup struct {
	// Name, unique, as that of a user. Required.
	Name string `toml:"name"`
	// Names of its users.
	Members []string `toml:"members"`
}

// AccessPermission is one rule: a line of permissions.cfg, [[access.permission]] in TOML. What no rule fits is denied.
type AccessPermission struct {
	// Whether it allows or denies.
	Allow bool `toml:"allow"`
	// Name of a user or a group, or * for everybody. Required.
	Who string `toml:"who"`
	// publish, subscribe, connect, or all of them.
	Verb string `toml:"verb"`
	// Project, or * for any.
	Project string `toml:"project"`
	// Subject or pattern; to connect none is asked for.
	Subject string `toml:"subject"`
}

// DefaultAccessPermission returns a rule with the default of every field; Who is still to be set.
func DefaultAccessPermission() AccessPermission {
	return AccessPermission{Allow: true, Verb: "all", Project: "*", Subject: "/..."}
}

// defaultAccess returns the access of Default: everybody may do everything.
func defaultAccess() Access {
	return Access{
		AuthorizePublish: true,
		ReloadInterval:   5 * time.Minute,
		AdminMsgTypes:    []string{"-4", "-30", "-99", "-11700"},
		TraceLevel:       "warning",
	}
}

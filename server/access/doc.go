// Package access says who may do what. Every door asks it; it knows no door and no protocol.
//
// A Guard holds the rules in force. Authenticate turns the credentials of a connection into an Identity, in a goroutine of the
// door's; the session keeps the Identity and asks it, on its loop, before it publishes, subscribes or carries out an order.
// There is one Identity for each user, however many connections he has. It follows the rules: when they are replaced, the next
// question is answered by the new ones, and an Identity whose user is gone may do nothing.
//
// The nouns: a user has a name and a secret (a password, a token, or neither: then a client certificate with the name as its
// common name). A group is a list of users; that of the name admin may give orders to the server. A permission allows or denies
// a user, a group or everybody (*) to publish, subscribe or connect, in a project, below a subject. The first permission that
// applies decides, and what none allows is denied. A nil Identity stands for security that is off: it may do everything.
//
// Rules come from the configuration, and from three files that are read anew from time to time:
//
//	users.cfg         name : password or hash          nothing behind the colon: he needs a client certificate
//	groups.cfg        group : user, user ...
//	permissions.cfg   allow|deny user|group|* publish|subscribe|connect|all project|* subject
//
// A line that starts with # or // is a comment. Blanks around a name and a secret do not count.
//
// A subject with wildcards names many. It is allowed when the permission covers every name that it could match, and denied when
// a permission that denies has a name in common with it: who subscribes to everything does not get what he may not have.
package access

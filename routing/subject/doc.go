// Package subject knows who subscribes to a subject: names and their wildcards, the table of all subscriptions, and a cache of
// its answers.
//
// A name is a path as "/plant/boiler/temperature": components behind slashes. It may have wildcards, in a subscription (then it is
// called a pattern) and in what is published as well:
//
//	"*"    inside a component, any number of times: zero or more bytes; a component "*" is any one component
//	"..."  a whole component: zero or more components, anywhere in the name, any number of times
//
// A pattern matches a name with wildcards when some name is matched by both.
//
// The table is a trie by components. A part without forks is one edge, and a pattern that shares no more with others is one slot of
// its node: most subscriptions cost no node of their own. The slots of a node are in a hash trie (node.go), which a change copies
// in part (add.go, remove.go, copy.go). A literal name is looked up from place to place (match.go); a name with wildcards is
// matched with whole subtrees (meet.go). Neither does any work twice, so patterns made to be costly are not.
//
// Table is changed by one goroutine at a time; what it publishes, a Snapshot, never changes, and any goroutine may read it. A Cache
// belongs to one loop. Names and patterns are strings that the caller has made with Canonical or FromNATS; the table keeps them.
package subject

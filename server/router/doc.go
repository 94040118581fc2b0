// Package router is the router door: clients publish messages to subjects, and the door gives each message to those who have
// subscribed to its subject. Two protocols reach the same subjects: that of package codec/message, whose clients are called clients here,
// and that of NATS (codec/natswire). A peer is either.
//
// A project is a name space: no message leaves it. It has a table of subscriptions (routing/subject), read without a lock and
// written under the project's mutex, and the clients by their unique subjects.
//
// The life of a message: a session (client.go, nats.go) reads it and looks up the plan of its subject (plan.go): who gets it, sorted by
// loop. Subscribers on the publisher's own loop get it appended to their output (deliver.go). For each other loop it is put once into
// that loop's batch (batch.go, outbox.go), which is posted when the turn ends. Nothing is allocated and no lock is taken for a
// message whose subject is known: the view (view.go) of a project on each loop keeps the plans of subjects that were published to.
//
// Who takes its messages too slowly is cut (slow.go) and never slows a publisher; who publishes faster than another loop can deliver
// is paused (outbox.go) until that loop has caught up.
//
// A shard (shard.go) is what one loop owns. What is still to come has its place marked: links to other servers forward in publish.go,
// guaranteed delivery keeps its ledger in client_publish.go, watches and polls are dispatched in client_dispatch.go.
package router

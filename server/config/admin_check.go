package config

import (
	"fmt"
	"net/url"
	"strings"
)

// leastPublicToken is how long admin.token must be, in bytes, where everybody can try it.
const leastPublicToken = 16

// checkAdmin checks who may give orders, and who is told what happens.
func checkAdmin(c *checker) {
	a := &c.cfg.Admin
	right := a.Token != mask && len(a.Token) <= maxText && isPrintable(a.Token) && !strings.Contains(a.Token, " ")
	c.require(right, "admin.token", mask, fmt.Sprintf("at most %d bytes of printable ASCII without blanks, and not the mask of a dump", maxText))
	c.require(!a.Public || len(a.Token) >= leastPublicToken, "admin.public", a.Public,
		fmt.Sprintf("no, or an admin.token of %d bytes or more", leastPublicToken))
	if hook := c.cfg.Relay.Status.Webhook; hook != "" {
		u, err := url.Parse(hook)
		right := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.Fragment == "" && len(hook) <= maxText
		c.require(right, "relay.status.webhook", mask, "a URL as https://hooks.example.com/relay")
	}
}

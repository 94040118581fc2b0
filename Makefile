# Thin targets over the go tool. Each has its help line after ##.

FUZZTIME    ?= 200000x
# For the tests of one package, which may wait for a busy machine. Those of the server take five minutes on one with nothing else to do.
TIMEOUT     := 90m
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.1.4

# What tests and benchmarks run beside Go: command=Debian packages. gcc is for the race detector.
# Debian's php-fpm has its version in its name: a path with a wildcard.
TOOLS := nginx=nginx haproxy=haproxy curl=curl wrk=wrk sshd=openssh-server ssh=openssh-client node=nodejs python3=python3 php=php-cli gcc=gcc,libc6-dev \
	python3=python3 /usr/sbin/php-fpm*=php-fpm uwsgi_python3=uwsgi-core,uwsgi-plugin-python3

.DEFAULT_GOAL := help
.PHONY: help run build test race fuzz lint check bench bench-relay bench-farm bench-promises bench-engine bench-router conformance govulncheck tools

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## build, and run the demonstration
	@exec bin/roundhouse serve

build: ## build bin/roundhouse and bin/rsoe, and link bin/rshost and bin/rsoe2
	@go build -o bin/ ./cmd/roundhouse ./cmd/rsoe
	@ln -sf roundhouse bin/rshost
	@ln -sf rsoe bin/rsoe2

test: tools ## run all tests, with the race detector and in random order
	@go test -race -shuffle=on -parallel=8 -timeout=$(TIMEOUT) ./...
	@go test -run Allocates ./server

race: tools ## run all tests three times over, to give races a chance to show
	@go test -race -shuffle=on -count=3 -timeout=$(TIMEOUT) ./...

fuzz: ## run every fuzz target FUZZTIME times (200000x)
	@targets=$$(go test -list '^Fuzz' ./fuzz | grep '^Fuzz') || exit 1; \
	for target in $$targets; do \
	  echo "== $$target"; \
	  go test ./fuzz -run '^$$' -fuzz "^$$target\$$" -fuzztime=$(FUZZTIME) || exit 1; \
	done

lint: ## gofmt, go vet and a pinned staticcheck
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; }
	@go vet ./...
	@go run $(STATICCHECK) ./...

check: lint test ## everything that has to pass before a commit

bench: ## run every benchmark of whole servers: long
	@for main in $(filter-out bench/promises/main.go,$(wildcard bench/*/main.go)); do echo "== $${main%/*}"; go run "./$${main%/*}" || exit 1; done

bench-relay: ## measure the relay beside its peers
	@go run ./bench/relay

bench-farm: tools ## kill every process of a relay farm under load, and tell what the clients saw
	@go run ./bench/farm

bench-promises: tools ## run the tests of the relay's promises at full length: hours
	@go run ./bench/promises

bench-engine: tools ## measure the engine door beside its peers
	@go run ./bench/engine

bench-router: ## measure the router door beside nats-server
	@go run ./bench/router -lib
	@go run ./bench/fanout

conformance: tools ## run the tests of nats.go and the checks with the npm package nats against the router door
	@cd bench/peers/natsgo && go test . github.com/synadia-io/orbit.go/ntf-client && go run .
	@if command -v npm >/dev/null; then cd bench/peers/natsgo && go run . -npm; else echo "there is no npm: the check with its package is left out"; fi

govulncheck: ## look for known vulnerabilities, if the network allows
	-@go run $(GOVULNCHECK) ./...

# Installs what is missing. No service is started: while apt-get runs, policy-rc.d forbids it.
tools:
	@PATH="$$PATH:/usr/sbin:/sbin"; missing=; \
	for tool in $(TOOLS); do \
	  set -- $${tool%%=*}; command -v "$$1" >/dev/null || missing="$$missing $$(echo "$${tool#*=}" | tr , ' ')"; \
	done; \
	test -n "$$missing" || exit 0; \
	command -v apt-get >/dev/null || { echo "missing, and there is no apt-get to install it:$$missing"; exit 0; }; \
	echo "installing:$$missing"; \
	sudo=; test "$$(id -u)" = 0 || sudo=sudo; \
	policy=/usr/sbin/policy-rc.d; \
	if ! test -e $$policy; then \
	  printf '#!/bin/sh\nexit 101\n' | $$sudo tee $$policy >/dev/null && $$sudo chmod +x $$policy; \
	  trap "$$sudo rm -f $$policy" EXIT; \
	fi; \
	install="$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing"; \
	$$install >/dev/null 2>&1 || { $$sudo apt-get update -qq && $$install >/dev/null; }

# What one does here. `make help` lists it. Go, git and make are enough for all but lint's first build
# (which downloads its sources) and e2e (Node.js 20 or later, npm, Chromium and Debian's simplesamlphp with php-cli).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO       ?= go
PKG      ?= ./...
ARGS     ?=
FUZZTIME ?= 10s
TOOLS    := bin/golangci-lint bin/govulncheck

.PHONY: help
help: ## list these targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/weir, statically linked
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/weir ./cmd/weir

.PHONY: demo
demo: ## run the demonstration: broker, provider and sample application in one process
	$(GO) run ./cmd/weir demo $(ARGS)

# The server of the tests of federation/store/mongo. Compiled here once, it is in Go's cache for all packages that run it.
FERRET := federation/store/mongo/ferrettest

.PHONY: test
test: ## run the tests, with the race detector where there is a C compiler (PKG=./federation/... ARGS=-run=Name)
	@race="$$(.ci/race-flag)"; with="with the race detector"; \
	if [ -z "$$race" ]; then with="WITHOUT the race detector"; echo "weir: no working C compiler here: testing without -race"; fi; \
	if [ -z "$${WEIR_TEST_MONGO_URI:-}" ]; then $(GO) build -C $(FERRET) -o /dev/null .; fi; \
	if $(GO) test $$race $(ARGS) $(PKG); then echo "weir: tests passed, $$with"; else echo "weir: tests FAILED, $$with"; exit 1; fi

.PHONY: check
check: fmt vet lint imports vuln ## all checks of the source: fmt, vet, lint, imports, vuln
	@echo "weir: checks passed"

.PHONY: fmt
fmt: ## fail where gofmt would change a file
	@bad="$$(gofmt -l .)"; if [ -n "$$bad" ]; then echo "weir: run gofmt -w on:"; echo "$$bad"; exit 1; fi

.PHONY: vet
vet: ## go vet
	$(GO) vet ./...

.PHONY: lint
lint: bin/golangci-lint ## golangci-lint with .ci/golangci.yml; its first build takes minutes
	bin/golangci-lint run --allow-parallel-runners --config .ci/golangci.yml ./...

.PHONY: imports
imports: ## the rules on imports, file sizes, tests and the top level
	$(GO) test -count=1 -run '^Test(Imports|House)' ./cmd/weir

.PHONY: vuln
vuln: bin/govulncheck ## known vulnerabilities in what the binary calls, if the data can be had
	@.ci/vuln

.PHONY: bench
bench: ## the benchmarks (PKG=./federation/token ARGS=-bench=Sign)
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m $(ARGS) $(PKG)

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME each (default 10s)
	@GO="$(GO)" .ci/fuzz "$(FUZZTIME)"

.PHONY: e2e
e2e: e2e/node_modules/.package-lock.json ## whole sign-ins against real peers and a real browser
	@mkdir -p e2e/out
	cd e2e && npm test
	@previous="$$(.ci/previous)"; if [ -n "$$previous" ]; then cd e2e && WEIR_PREVIOUS="$$previous" npm run versions; \
	else echo "weir: NOT RUN: two releases side by side: $$(.ci/previous --why)"; fi

e2e/node_modules/.package-lock.json: e2e/package-lock.json e2e/package.json
	cd e2e && npm ci
	@touch $@

# The tools have a module of their own, so that their dependencies never mix with those of the binary.
$(TOOLS): .ci/tools/go.mod .ci/tools/go.sum
	@echo "weir: building the tools of .ci/tools (minutes, once)"
	@mkdir -p bin
	$(GO) build -C .ci/tools -o "$(CURDIR)/bin/" tool
	@touch $(TOOLS)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist e2e/out e2e/node_modules coverage.out

# `make help` lists the targets. Each one may be repeated, and interrupted at any point.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
# The tests start Python many times: without bytecode, each start would compile again what it imports.
unexport PYTHONDONTWRITEBYTECODE

UV := $(or $(shell command -v uv),build/uv/bin/uv)
RUN := $(UV) run --no-sync
CLUSTER := $(RUN) python -m tests.cluster
ENVIRONMENT := .venv/.synced
TOOLS := $(addprefix build/bin/,helm kubectl kubeconform kube-score argocd-oracle)
CHART_CRDS := charts/fairway/files/crds

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
OPERATOR_IMAGE := localhost/fairway:dev
MODEL_IMAGE := registry.example/churn
# Examples that take minutes to build and are tried only when asked for: HEAVY=kserve.
export HEAVY ?=

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- tools ------------------------------------------------------------------------------------------------------

.PHONY: setup
setup: check-tools $(ENVIRONMENT) ## Check the tools and install the locked dependencies into .venv

.PHONY: check-tools
check-tools:
	@fail() { echo "error: $$1" >&2; exit 1; }; \
	command -v git >/dev/null || fail "git is missing"; \
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || fail "python3 >= 3.11 is missing"; \
	printf 'go1.26\n%s\n' "$$(go env GOVERSION 2>/dev/null)" | sort -V -C || fail "go >= 1.26 is missing"

# Written last: an interrupted sync is done again.
$(ENVIRONMENT): pyproject.toml uv.lock | $(UV)
	$(UV) sync --locked
	@touch $@

# In a virtual environment of its own, because the system's Python may be externally managed.
build/uv/bin/uv:
	@rm -rf build/uv
	@python3 -m venv build/uv || { echo "error: install python3-venv, or uv itself" >&2; exit 1; }
	build/uv/bin/python -m pip install --quiet uv || { rm -rf build/uv; exit 1; }

# The tests of chart and manifests need them before there is a cluster; what the cluster tool builds of the same sources
# later, it finds in Go's build cache.
.PHONY: tools
tools: $(TOOLS) ## Build the programs that judge the chart and the manifests

GO_BUILD = CGO_ENABLED=0 go build -C $(<D) -buildvcs=false -trimpath -ldflags "-s -w" -o $(CURDIR)/$@
# Those of one workspace have one version of what they share, which is then compiled once.
GO_WORKSPACE := tests/go.work tests/go.work.sum

build/bin/helm: tests/cluster/go/helm/go.mod tests/cluster/go/helm/go.sum $(GO_WORKSPACE)
	$(GO_BUILD) helm.sh/helm/v3/cmd/helm

build/bin/kubectl: tests/cluster/go/kubernetes/go.mod tests/cluster/go/kubernetes/go.sum
	GOWORK=off $(GO_BUILD) k8s.io/kubernetes/cmd/kubectl

build/bin/kubeconform: tests/packaging/go/kubeconform/go.mod tests/packaging/go/kubeconform/go.sum $(GO_WORKSPACE)
	$(GO_BUILD) github.com/yannh/kubeconform/cmd/kubeconform

build/bin/kube-score: tests/packaging/go/kube-score/go.mod tests/packaging/go/kube-score/go.sum
	GOWORK=off $(GO_BUILD) github.com/zegl/kube-score/cmd/kube-score

# Argo CD's own Lua, settings and diff, for the tests of manifests/argocd: about three minutes on two cores, once.
build/bin/argocd-oracle: tests/argocd/go/main.go tests/argocd/go/go.mod tests/argocd/go/go.sum $(GO_WORKSPACE)
	$(GO_BUILD) .

# --- code -------------------------------------------------------------------------------------------------------

.PHONY: format
format: $(ENVIRONMENT) ## Format the code and fix what can be fixed
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

.PHONY: lint
lint: $(ENVIRONMENT) ## Check style, types and the layers
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports

.PHONY: crds
crds: $(ENVIRONMENT) build/bin/helm ## Write the CRDs anew, from the models to crds/, the chart and the manifests
	$(RUN) fairway crds
	mkdir -p $(CHART_CRDS)
	rm -f $(CHART_CRDS)/*.yaml
	cp crds/*.yaml $(CHART_CRDS)/
	$(RUN) python -m tests.packaging

.PHONY: argocd
argocd: $(ENVIRONMENT) ## Write Argo CD's ConfigMap anew, from the Lua in manifests/argocd
	$(RUN) python manifests/argocd/assemble.py

.PHONY: manifests
manifests: $(ENVIRONMENT) build/bin/helm ## Write what is made from the chart: manifests/, the table of its values
	$(RUN) python -m tests.packaging

.PHONY: unit
unit: $(ENVIRONMENT) $(TOOLS) coverage ## Run every test that needs no cluster; every branch of a decision must be covered
	$(RUN) pytest tests $(COVERING:%=--ignore=%) -m "not e2e and not hunt" -n 2 --dist worksteal

# These alone must cover every branch of a decision; measuring the others, too, would only make them slower.
COVERING := tests/engine tests/unit/decision

.PHONY: coverage
coverage: $(ENVIRONMENT) $(TOOLS) ## Show which branches of a decision no test of the engine takes
	rm -rf build/stories
	$(RUN) pytest $(COVERING) -m "not e2e and not hunt" --cov -n 2 --dist worksteal

.PHONY: hunt
hunt: $(ENVIRONMENT) ## Drive the engine at random against the invariants, anew each time, for many minutes
	FAIRWAY_PROPERTY=hunt $(RUN) pytest tests/property/test_engine_machine.py tests/engine/test_mutations.py

# --- measuring --------------------------------------------------------------------------------------------------

.PHONY: bench-analysis
bench-analysis: $(ENVIRONMENT) ## Simulate good and bad candidates beside threshold rules, into build/analysis.json
	$(RUN) python -m tests.bench.analysis

.PHONY: bench
bench: $(ENVIRONMENT) ## Time one evaluation of 500 open runs
	$(RUN) python -m tests.bench.evaluation

# --- cluster ----------------------------------------------------------------------------------------------------

.PHONY: cluster-up
cluster-up: $(ENVIRONMENT) ## Start the development cluster, building it if needed
	$(CLUSTER) up

.PHONY: cluster-down
cluster-down: $(ENVIRONMENT) ## Stop the development cluster and remove what it left
	$(CLUSTER) down

.PHONY: cluster-status
cluster-status: $(ENVIRONMENT) ## Say what of the development cluster runs
	$(CLUSTER) status

.PHONY: images
images: $(ENVIRONMENT) ## Build the operator and the example model, and load them into the cluster
	$(CLUSTER) build-image $(OPERATOR_IMAGE) --file Dockerfile --context . --also localhost/fairway:next \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION)
	$(CLUSTER) build-image $(MODEL_IMAGE):1.0.0 --file examples/churn/Dockerfile --context examples/churn \
		--also $(MODEL_IMAGE):1.1.0 --also $(MODEL_IMAGE):1.2.0 --also $(MODEL_IMAGE):1.3.0

.PHONY: standin
standin: $(ENVIRONMENT) ## Build the model server of tests that ask it little, and load it into the cluster
	$(CLUSTER) build-image registry.example/standin:1.0.0 --file tests/standin/Dockerfile --context tests/standin

.PHONY: runtimes
runtimes: $(ENVIRONMENT) ## Build an example for each model server that the tests run, and load them into the cluster
	@for server in mlserver bentoml silent $(HEAVY); do \
		$(CLUSTER) build-image $(MODEL_IMAGE)-$$server:1.0.0 \
			--file examples/$$server/Dockerfile --context examples/$$server || exit 1; \
	done

E2E := FAIRWAY_INSTALLED=1 $(RUN) pytest $(sort $(shell grep -rl --include='test_*.py' 'mark[.]e2e' tests)) --durations=12

.PHONY: e2e
e2e: $(ENVIRONMENT) build/bin/argocd-oracle standin ## Run the tests that need the cluster and the images
	$(RUN) python -m tests.e2e
	$(E2E) -m "e2e and not load and not alone and not last" -n 6 --dist worksteal
	$(E2E) -m "e2e and load" -n 4 --dist worksteal
	$(E2E) -m "e2e and alone"
	$(E2E) -m "e2e and last"

# --- all of it --------------------------------------------------------------------------------------------------

.PHONY: test
test: setup lint unit cluster-up images runtimes e2e ## Run everything, cheap failures first

.PHONY: demo
demo: setup cluster-up images ## Show a good and a bad version of a model, live
	$(RUN) python -m tests.demo

.PHONY: clean
clean: ## Remove what the other targets made here; the cluster stays
	rm -rf build dist .venv .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

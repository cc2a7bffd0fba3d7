# Two commands are enough: `make run` and `make test`. Both need Python 3.11 or newer, and nothing else.
.DEFAULT_GOAL := help
.PHONY: help run test lint format bench bench-peers soak clean lock reference dev style system-packages

# Passed on: make run ARGS="--port 9000", make test ARGS="tests/wire -x"
ARGS ?=
# Much of the suite waits for real servers and a real browser: two at a time, each file in one process
PARALLEL ?= -n 2 --dist loadfile

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## start the hub on http://127.0.0.1:8800 with its log in data/ (ARGS="--port 9000")
	@sh scripts/environment.sh run
	@mkdir -p data
	@exec .venv/bin/echostream serve --log sqlite:///data/echostream.db $(ARGS)

# The tests hold the rules of the tree, so `test` needs the tools' checks alone.
test: dev system-packages style ## install what the tests need, lint, run the tests (ARGS="tests/wire -x")
	.venv/bin/python -m pytest $(PARALLEL) $(ARGS)

lint: style ## ruff, pyright (strict on src), and the rules of the tree
	.venv/bin/python -m pytest -q tests/architecture

style: dev
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/pyright

format: dev ## let ruff write the code's form
	.venv/bin/ruff check --fix-only
	.venv/bin/ruff format

bench: dev ## measure side by side with peers (ARGS="rows --quick")
	@.venv/bin/python -m benchmarks $(ARGS)

bench-peers: dev ## install the peers that `bench` measures against and that are in no wheel
	@sh benchmarks/peers/install.sh

soak: dev ## the long forms of the tests that have one
	.venv/bin/python -m pytest --soak -m soak $(ARGS)

clean: ## remove the environment, caches and builds; the hub's log in data/ stays
	rm -rf .venv dist build .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

lock: dev ## write requirements/*.txt anew from pyproject.toml (needs a network)
	.venv/bin/python scripts/lock.py $(ARGS)

reference: dev ## write the generated parts of docs/reference anew
	.venv/bin/python scripts/reference.py

dev:
	@sh scripts/environment.sh dev

system-packages: dev
	@sh scripts/system-packages.sh

# `make help` lists the targets. The environment is ENV, for example `make deploy ENV=dev`.
ENV ?= local
PYTHON ?= python3
SHELL := /bin/bash
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(CURDIR)/node_modules/.bin:$(PATH)
# Compiling what a synth imports of aws_cdk takes longer than the synth: what was compiled is kept.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help

PYTHON_SOURCES := app.py checks.py settings stacks constructs delivery ops emulator services tests bench

# Every target with a line of help.
.PHONY: $(shell grep -oE "^[a-z]+:" Makefile | tr -d :)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/installed node_modules/installed ## Install what the other targets need: .venv and node_modules

deploy: setup ## Deploy ENV (default local: the emulator), or one SERVICE of it; smoke-test it, print its URLs; YES=1 does not ask
	@python -m ops deploy --env $(ENV) $(if $(SERVICE),--service $(SERVICE)) $(if $(YES),--yes)

rehearse: setup ## Deploy the exact templates of ENV (say prod) to the emulator
	@python -m ops deploy --env $(ENV) --rehearse

destroy: setup ## Remove ENV; local removes all that runs here, rehearsals included; YES=1 does not ask
	@python -m ops destroy --env $(ENV) $(if $(YES),--yes)

monolith: setup ## Serve the application as it was before it was split, on port 8080, with no server but itself
	@cd services && PYTHONPATH=shared:monolith python -m monolith

# In three processes, as servers and containers leave the processors idle: what deploys and updates; what runs the services,
# and then releases one; everything else. What was beside comes last. A service's life with each controller takes as long again:
# make stories.
DEPLOYED := tests/e2e/test_deploy.py tests/e2e/test_rights.py tests/e2e/test_stack_updates.py
SERVED := tests/services tests/e2e/test_release.py
STORIES := tests/e2e/test_story.py tests/e2e/test_outage.py

test: setup check images browser njs scanner ## Run every check and test a pull request needs
	@mkdir -p .local; set -m; \
	pytest $(DEPLOYED) > .local/deployed.log 2>&1 & deployed=$$!; \
	pytest $(SERVED) > .local/served.log 2>&1 & served=$$!; \
	trap 'kill -INT -$$deployed -$$served; wait' INT TERM; \
	pytest --ignore=tests/services --ignore=tests/e2e; failed=$$?; \
	wait $$served || failed=1; wait $$deployed || failed=1; \
	cat .local/served.log .local/deployed.log; exit $$failed

stories: setup images ## Play a service's life with each controller, and an outage of the database, under load: twenty minutes
	pytest $(STORIES)

CHANGED = { git diff --name-only --diff-filter=d HEAD; git ls-files --others --exclude-standard; } | grep '\.py$$'

quick: setup ## Check what you changed within a minute: format, lint, types, unit tests and snapshots without the slow ones
	ruff format --check -q $(PYTHON_SOURCES)
	ruff check -q $(PYTHON_SOURCES)
	@mypy & types=$$!; changed=$$($(CHANGED)); test -z "$$changed" || pyright $$changed & more=$$!; \
	pytest -q -r fEs --quick tests/unit tests/snapshot; failed=$$?; \
	wait $$types || failed=1; wait $$more || failed=1; exit $$failed

check: setup ## Run the static checks: format, lint, layers of imports, types
	ruff format --check $(PYTHON_SOURCES)
	ruff check $(PYTHON_SOURCES)
	PYTHONPATH=services/shared lint-imports
	@echo mypy and pyright; mypy & types=$$!; pyright; more=$$?; wait $$types && exit $$more
	@test ! -e constructs/__init__.py || { echo "constructs/__init__.py hides the package constructs that aws_cdk imports: remove it"; exit 1; }

format: setup ## Format the sources and mend what the linter can
	ruff format $(PYTHON_SOURCES)
	ruff check --fix $(PYTHON_SOURCES)

synth: setup ## Synthesize the templates of ENV into cdk.out, with the compliance checks
	cdk synth -q -c env=$(ENV) -c checks=true

diff: setup ## Compare ENV as it is deployed with the sources
	@python -m ops diff --env $(ENV)

bench: setup images load-tool ## Measure synthesis, the services and the command line; figures are ratios within one run
	python -m bench.synth
	python -m bench.scale
	python -m bench.web
	python -m bench.status
	python -m bench.start

docs: setup ## Write docs/cli.md anew: the help of every command
	@python -m ops.docs > docs/cli.md.new && mv docs/cli.md.new docs/cli.md

snapshots: setup ## Write the template snapshots anew, to be reviewed as a diff
	pytest tests/snapshot --snapshot-update

pictures: setup ## Draw the pictures in docs/ that come from the templates
	cdk synth -q -c env=prod -o cdk.out.pictures
	python -m ops.diagram.dashboard cdk.out.pictures/Observability.template.json docs/dashboard.svg
	for curve in night rise-in-release spike; do \
	  python -m ops simulate --env prod --templates cdk.out.pictures --curve $$curve --out docs/scaling/$$curve.png >/dev/null || exit; \
	done

record: setup ## Record what keeps data as released, for review; LOSE="--lose data/..." to lose some on purpose
	@for env in $(basename $(notdir $(wildcard environments/*.toml))); do \
	  cdk synth -q -c env=$$env -o cdk.out && python -m ops release-record --env $$env $(LOSE) || exit 1; done

AUDITED := requirements.txt requirements-dev.txt emulator/requirements.txt $(wildcard services/*/requirements.txt)

audit: .local/venv-audit/installed ## Search all pinned packages for known vulnerabilities; write bills of materials to build/sbom
	@mkdir -p build/sbom
	@for file in $(AUDITED); do \
	  name=$$(echo $${file%.txt} | tr / -); grep -v '^-e ' $$file > build/sbom/$$name.txt; \
	  .local/venv-audit/bin/cyclonedx-py requirements build/sbom/$$name.txt --output-reproducible --of JSON -o build/sbom/$$name.json || exit 1; done
	@failed=0; for file in build/sbom/*.txt; do \
	  echo "▸ $$file"; .local/venv-audit/bin/pip-audit --strict --disable-pip --no-deps --progress-spinner off -r $$file || failed=1; done; exit $$failed

images: setup ## Make Docker and the base images available
	@python -m emulator images

scanner: setup ## Make Checkov available, in an environment of its own
	@python -m ops scanner

acknowledgements: setup ## Write docs/acknowledgements.md anew, to be reviewed as a diff
	@python -m ops acknowledgements

browser: ## Make a Chromium for the tests of the pages available
	$(call from_debian,chromium chromium-browser google-chrome,chromium,The tests of the pages need a Chromium)

njs: ## Make the engine of CloudFront's functions available, for their tests
	$(call from_debian,njs,njs,The tests of CloudFront's function need njs)

.PHONY: load-tool
load-tool:
	$(call from_debian,ab,apache2-utils,The measurements need ab)

# One of some commands, else the Debian package that brings it, else what it is for and what remains to be done.
define from_debian
@command -v $(1) >/dev/null \
  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "▸ Debian package $(2)" \
       && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2) >/dev/null; } \
  || { echo "$(3): install your system's package $(2)"; exit 1; }
endef

lock: setup ## Pin the newest versions that satisfy requirements*.in
	pip-compile -q --upgrade --strip-extras --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements.txt requirements.in
	pip-compile -q --upgrade --strip-extras --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements-dev.txt requirements-dev.in
	pip-compile -q --upgrade --strip-extras --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements-checkov.txt requirements-checkov.in
	sed -i '1i -e .' requirements.txt
	pip-compile -q --upgrade --generate-hashes --strip-extras --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements-audit.txt requirements-audit.in

clean: ## Remove what setup and synth made; run destroy first
	rm -rf .venv node_modules cdk.out .local *.egg-info .mypy_cache .ruff_cache .pytest_cache

# Byte code is written when a module is first imported: compiling all of aws_cdk takes a minute.
.venv/installed: requirements.txt requirements-dev.txt pyproject.toml | .venv/bin/pip
	@echo "▸ Python packages into .venv"
	@pip install -qq --no-compile --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	@touch $@

.local/venv-audit/installed: requirements-audit.txt | .venv/bin/pip
	@echo "▸ Audit tools into .local/venv-audit"
	@python -m venv .local/venv-audit
	@.local/venv-audit/bin/pip install -qq --no-compile --disable-pip-version-check --require-hashes -r requirements-audit.txt
	@touch $@

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "Python 3.11 or newer is needed and '$(PYTHON)' is not it: make PYTHON=/path/to/python3 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "▸ Debian package python3-venv" \
	       && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null; } \
	  || { echo "The Python module ensurepip is missing: install your system's package python3-venv"; exit 1; }
	@$(PYTHON) -m venv .venv

node_modules/installed: package.json package-lock.json | .venv/installed
	@echo "▸ CDK CLI into node_modules"
	@npm ci --silent --no-audit --no-fund
	@touch $@

# Everything here prepares what it needs in .venv first; a second run finds it ready.
.DEFAULT_GOAL := help
PYTEST := .venv/bin/pytest -q

.PHONY: help run test check bench attack fuzz smoke sdk snapshots pictures clips lock audit sbom dist clean ready ready-test

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s%s\n", $$1, $$2}' Makefile

run: ready  ## Start voicechat (options: make run ARGS="--text")
	@.venv/bin/voicechat $(ARGS)

test: check  ## Run all checks and tests (many wait, so four at a time); sound tests one at a time
	$(PYTEST) -n 4 -m "not sound" --cov --cov-report=
	$(PYTEST) -m sound
	.venv/bin/coverage report --fail-under=95

check: ready-test  ## Run linters, type checks and architecture contracts
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/vulture
	.venv/bin/deptry .
	.venv/bin/codespell
	.venv/bin/python tests/architecture/structure.py

bench: ready-test  ## Measure against targets and peers (some rows: make bench ONLY="stop load")
	@.venv/bin/python tests/bench/bench.py $(ONLY)

attack: ready-test  ## Attack every wire and HTTP surface (SECONDS=3600 SEED=1 ONLY="screen kills")
	@.venv/bin/python tests/attack/attack.py --seconds $(or $(SECONDS),3600) --seed $(or $(SEED),1) $(ONLY)

fuzz: ready-test  ## Run the property tests for ten minutes instead of seconds
	$(PYTEST) -n 2 -m "not sound and not end_to_end" --hypothesis-profile fuzz --timeout 900

smoke: ready-test  ## Try a real provider: make smoke PROVIDER=openai
	@.venv/bin/python tests/support/smoke.py "$(PROVIDER)"

snapshots: ready-test  ## Accept the current screens as the new snapshots
	$(PYTEST) tests/tui --snapshot-update

pictures: ready-test  ## Draw the README's picture and regenerate the reference pages
	.venv/bin/python assets/make_pictures.py
	.venv/bin/python assets/make_reference.py
	.venv/bin/python assets/make_settings_reference.py
	.venv/bin/python assets/make_transitions.py
	.venv/bin/python assets/make_licenses.py

clips: ready-test  ## Record the README's sound clips with the embedded voice
	.venv/bin/python assets/make_clips.py

lock: ready-test  ## Update requirements.lock to the newest allowed versions, with hashes
	.venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header \
	    --no-annotate --generate-hashes --no-emit-index-url --no-emit-find-links --all-extras --group dev \
	    --group build pyproject.toml --output-file requirements.lock

sdk: ready-test  ## Check the AI SDK against the scripted providers and the program (needs node)
	@.venv/bin/python tests/support/ai_sdk_check.py

audit: ready-test  ## Look up known vulnerabilities of the locked packages (needs the network)
	@.venv/bin/python assets/audit_packages.py

sbom: ready-test  ## Write the software bill of materials, dist/voicechat.cdx.json
	@.venv/bin/python assets/make_sbom.py

dist: sbom  ## Build the package in dist/; the same commit gives the same bytes
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) .venv/bin/hatchling build --directory dist

clean:  ## Remove everything that was prepared or built
	rm -rf .venv dist build .*_cache .coverage* .hypothesis snapshot_report.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

ready:
	@sh .setup.sh run

ready-test:
	@sh .setup.sh test

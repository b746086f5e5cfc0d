# Everything here prepares what it needs in .venv first; a second run finds it ready.
.DEFAULT_GOAL := help
PYTEST := .venv/bin/pytest -q

.PHONY: help run test check bench fuzz smoke snapshots pictures clean ready ready-test

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s%s\n", $$1, $$2}' Makefile

run: ready  ## Talk (options: make run ARGS="--text")
	@.venv/bin/voicechat $(ARGS)

test: check  ## Check and test everything, the sound tests one at a time
	$(PYTEST) -n 2 -m "not sound"
	$(PYTEST) -m sound

check: ready-test  ## Lint, types and the walls between the rooms
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: ready-test  ## Measure beside targets and peers (some rows: make bench ONLY="stop load")
	@.venv/bin/python tests/bench/bench.py $(ONLY)

fuzz: ready-test  ## Let Hypothesis search for ten minutes instead of seconds
	$(PYTEST) -n 2 -m "not sound and not end_to_end" --hypothesis-profile fuzz --timeout 900

smoke: ready-test  ## Try a real provider: make smoke PROVIDER=openai
	@.venv/bin/python tests/support/smoke.py "$(PROVIDER)"

snapshots: ready-test  ## Accept how the screens look now
	$(PYTEST) tests/tui --snapshot-update

pictures: ready-test  ## Draw the README's pictures and copy the help into it
	.venv/bin/python assets/make_pictures.py
	.venv/bin/python assets/make_readme.py

clean:  ## Remove everything that was prepared or built
	rm -rf .venv dist build .*_cache .hypothesis snapshot_report.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

ready:
	@sh .setup.sh run

ready-test:
	@sh .setup.sh test

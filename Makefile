# make demo        a tour on an embedded real engine; with HF_TOKEN on the router, with HF_INFERENCE_URL on that server
# make test        everything that needs no more than pip: unit tests, standard suites, the embedded engine
# make coverage    which lines of the package the unit tests run
# make test-llama  (-transformers, -vllm) the integration tests on that engine, built or installed on first use
# make test-infinity  the embedding tests on infinity
# make lint types  ruff; mypy --strict
# make test-floor  the unit tests on the oldest langchain-core and huggingface-hub that we allow
# make test-newest agents of all kinds, deepagents and MCP among them, and the standard suites, on what the index resolves today
# make test-interop  respx, pytest-httpx, VCR, OpenTelemetry, Sentry, proxies and the aiohttp backend with our models
# make test-uvloop  the unit tests on uvloop, and the FastAPI example on uvicorn[standard]
# make test-peers  what is broken in langchain-huggingface and ChatOpenAI: our regression tests on them, and the same code side by side
# make test-langflow  Langflow's stock components with our wheel, without a network where `unshare` allows that
# make test-ray    a batch on a local Ray cluster, one worker killed
# make example-NAME  an example, with all that it needs: quickstart, agent, extraction, rag, fastapi_sse, langgraph_workflow,
#                   batch_job, n8n_import, langflow_flow, chat_page
# make test-examples  every example without a token, on the embedded engine; the chat page in headless Chromium
# make recording    the terminal of the README, typed anew on llama.cpp and drawn as SVG
# make release-check  wheel and sdist: built, checked, installed in clean environments, imported, listed
# make docs         the site, strictly, into .site (SERVE=1 shows it)
# make test-recipes  the recipes of docs/how-to/haystack.md for Haystack and Prefect
# make soak-batch  100,000 lines under faults, killed twice; and what it does to memory
# make soak         100,000 calls of all kinds, abandoned and cancelled ones among them: memory, sockets, threads, tasks
# make fuzz         all that strangers can send, by coverage (FUZZ="60 sse" for one target, a minute); needs atheris, Linux
# make audit        known vulnerabilities of what we depend on, where the index can be asked
# make bench       ours beside raw httpx, the LangChain floor and the peers: CPU per call and per chunk, as ratios (20 minutes; BENCH=--quick: 13)
# make bench-check  bytecodes per call and per chunk beside those committed: fails where anything is 15 % dearer (3 seconds)
# make bench-plots  the pictures and the table of docs/performance.md, from the last `make bench`
# make test-lanes  floor, what resolves, newest, one after the other
# All of them make what they need; nothing has to be installed by hand but Python 3.11 or newer.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.PHONY: coverage demo docs recording test test-unit test-embedded test-llama test-transformers test-vllm test-infinity test-floor test-newest test-interop test-uvloop test-peers test-langflow test-ray test-recipes test-examples release-check soak-batch soak fuzz audit bench bench-check bench-plots test-lanes lint format types model clean

demo: $(VENV)/demo
	@$(BIN)/python examples/demo.py

test: test-unit test-embedded

test-unit: $(VENV)/test
	$(BIN)/python -m pytest tests/unit

# Twice as slow as the tests alone.
coverage: $(VENV)/test
	$(BIN)/python -m pytest tests/unit --cov --cov-report=term:skip-covered

test-embedded: $(VENV)/test
	$(BIN)/python tests/integration/engines.py mlx --install
	ENGINES=mlx $(BIN)/python -m pytest tests/integration

test-llama test-transformers test-vllm: test-%: $(VENV)/test
	$(BIN)/python tests/integration/engines.py $* --install
	ENGINES=$* $(BIN)/python -m pytest tests/integration

test-infinity: $(VENV)/test
	$(BIN)/python tests/integration/engines.py infinity --install
	ENGINES=infinity,infinity-rank $(BIN)/python -m pytest tests/integration/test_embeddings.py tests/integration/test_tasks.py

test-floor: .venv-floor/ready
	.venv-floor/bin/python -m pytest tests/unit -n 2 --dist worksteal

test-newest: .venv-newest/ready
	.venv-newest/bin/python -c 'import langchain_core.version as v; print("langchain-core", v.VERSION)'
	.venv-newest/bin/python -m pytest tests/unit/test_newest.py tests/unit/test_agents.py tests/unit/test_standard.py tests/unit/test_chat_models.py
	.venv-newest/bin/python tests/integration/engines.py mlx --install
	ENGINES=mlx .venv-newest/bin/python -m pytest tests/integration/test_newest.py tests/integration/test_agents.py

test-interop: .venv-interop/ready
	.venv-interop/bin/python -m pytest tests/integration/test_interop.py

test-uvloop: .venv-uvloop/ready
	UVLOOP=1 .venv-uvloop/bin/python -m pytest tests/unit -n 2 --dist worksteal
	.venv-uvloop/bin/python -m pytest tests/integration/test_uvloop.py

test-peers: .venv-peers/ready
	-SUBJECT=huggingface .venv-peers/bin/python -m pytest -q --tb=no tests/unit/test_regressions.py
	-SUBJECT=openai .venv-peers/bin/python -m pytest -q --tb=no tests/unit/test_regressions.py
	.venv-peers/bin/python tests/integration/side_by_side.py

test-langflow: .venv-langflow/ready
	@if unshare -rn true 2>/dev/null; then \
		unshare -rn sh -c 'ip link set lo up; exec .venv-langflow/bin/python -m pytest tests/integration/test_langflow.py tests/integration/test_examples.py -k langflow'; \
	else .venv-langflow/bin/python -m pytest tests/integration/test_langflow.py tests/integration/test_examples.py -k langflow; fi

test-ray: .venv-ray/ready
	.venv-ray/bin/python -m pytest tests/integration/test_ray.py

test-examples: .venv-examples/ready
	.venv-examples/bin/python tests/integration/engines.py mlx --install
	.venv-examples/bin/python tests/integration/browser.py
	.venv-examples/bin/python -m pytest tests/integration/test_examples.py

# One example, in an environment that has what it needs: make example-agent. ARGS="..." are its words.
example-langflow_flow: .venv-langflow/ready
	@.venv-langflow/bin/python examples/langflow_flow.py $(ARGS)

example-%: .venv-examples/ready
	@.venv-examples/bin/python examples/$*.py $(ARGS)

test-recipes: .venv-recipes/ready
	DO_NOT_TRACK=1 HAYSTACK_TELEMETRY_ENABLED=false PREFECT_SERVER_ANALYTICS_ENABLED=false .venv-recipes/bin/python -m pytest tests/integration/test_recipes.py

soak-batch: $(VENV)/test
	$(BIN)/python tests/integration/soak_batch.py

soak: $(VENV)/test
	$(BIN)/python tests/integration/soak_calls.py

fuzz: .venv-fuzz/ready
	.venv-fuzz/bin/python tests/integration/fuzz.py $(FUZZ)

audit: .venv-audit/ready
	.venv-audit/bin/python tests/integration/audit.py

bench: .venv-bench/ready .venv-bench-litellm/ready
	.venv-bench/bin/python benchmarks/run.py --json benchmarks/result.json $(BENCH)

bench-check: $(VENV)/test
	$(BIN)/python benchmarks/check.py

bench-plots: .venv-bench/ready
	.venv-bench/bin/python benchmarks/plots.py benchmarks/result.json docs/images
	.venv-bench/bin/python benchmarks/pages.py benchmarks/result.json docs/performance.md

# The site, strictly: a link that leads nowhere is an error. SERVE=1 shows it on http://127.0.0.1:8000.
docs: .venv-docs/ready
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs $(if $(SERVE),serve,build --strict --quiet) -f docs/_site/mkdocs.yml

recording: .venv-docs/ready
	.venv-docs/bin/python docs/_site/recording.py docs/images/terminal.svg

# Wheel and sdist: built, checked, installed in clean environments, imported, listed.
release-check: .venv-release/ready
	.venv-release/bin/python tests/integration/release.py

test-lanes: test-floor test-unit test-newest

lint: $(VENV)/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/typing
	$(BIN)/mypy

# Make the tiny model anew: about five minutes on one core.
model:
	$(PYTHON) tests/integration/engines.py transformers --install
	cd tests/models && $$HOME/.cache/langchain-hf-inference/transformers-5.23.0/bin/python make_tiny_chat.py tiny-chat --gguf tiny-chat.gguf

clean:
	rm -rf $(VENV) .venv-floor .venv-newest .venv-interop .venv-uvloop .venv-peers .venv-langflow .venv-ray .venv-recipes .venv-bench .venv-bench-litellm .venv-fuzz .venv-audit .venv-docs .venv-examples .venv-release .site .screenshots .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; give it as PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade "pip>=25.1"

$(VENV)/demo $(VENV)/test $(VENV)/lint $(VENV)/typing: $(VENV)/%: pyproject.toml | $(BIN)/python
	$(PIP) install --editable . --group $*
	@touch $@

# One environment a lane, with the dependency groups that it needs: its own, if nothing else is said here.
GROUPS_newest := --group test --group newest
GROUPS_peers := --group test --group peers
GROUPS_uvloop := --group test --group uvloop

.venv-%/ready: pyproject.toml
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip -qq --disable-pip-version-check install --upgrade "pip>=25.1"
	.venv-$*/bin/python -m pip -qq --disable-pip-version-check install --editable . $(or $(GROUPS_$*),--group $*)
	@touch $@

# The wheel, and not the checkout: Langflow looks for the extension among a package's files.
.venv-langflow/ready: pyproject.toml $(shell find langchain_hf_inference -name '*.py' -o -name '*.json' -o -name '*.toml')
	$(PYTHON) -m venv .venv-langflow
	.venv-langflow/bin/python -m pip -qq --disable-pip-version-check install --upgrade "pip>=25.1"
	.venv-langflow/bin/python -m pip -qq --disable-pip-version-check install --group langflow
	rm -rf .venv-langflow/wheel
	.venv-langflow/bin/python -m pip -qq --disable-pip-version-check wheel --no-deps --wheel-dir .venv-langflow/wheel .
	.venv-langflow/bin/python -m pip -qq --disable-pip-version-check install --force-reinstall --no-deps .venv-langflow/wheel/*.whl
	.venv-langflow/bin/python -m pip -qq --disable-pip-version-check install .venv-langflow/wheel/*.whl
	@touch $@

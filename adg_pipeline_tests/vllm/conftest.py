"""Tests that need vLLM, which lives in an environment of its own: its CPU build can't share one with the CUDA build."""

import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MISSING = importlib.util.find_spec("vllm") is None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not MISSING:
        return
    skip = pytest.mark.skip(
        reason="vLLM is not installed here: `make test-vllm` runs these in an environment that has it"
    )
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(skip)

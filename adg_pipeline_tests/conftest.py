"""Fixtures that more than one test folder needs."""

import os
from pathlib import Path

import pytest

from adg_pipeline_tests.workbench import Workbench

# Model libraries call out unless told not to; every model of the tests is a local path.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder ``shared`` beside the checkout: real pools, benchmarks and goldens that are not the project's own."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "goldens").is_dir():
        pytest.skip(f"{folder} is missing: the real pools and the goldens lie outside the repository")
    return folder


@pytest.fixture
def bench(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Workbench:
    """A pipeline of its own in a temporary folder."""
    return Workbench(tmp_path, capfd)

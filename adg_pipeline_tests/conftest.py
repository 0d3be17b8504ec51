"""Fixtures that more than one test folder needs."""

import gc
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from adg_pipeline_tests.workbench import NoCapture, Workbench, records

# How long an example takes says how busy the machine is.
settings.register_profile("adg", deadline=None)
settings.load_profile("adg")

# Model libraries call out unless told not to; every model of the tests is a local path.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# The libraries' hundreds of thousands of objects live as long as the process: looked through at each collection, they take a
# fifteenth of the tests' time.
gc.set_threshold(50_000, 20, 100)

# Modules that take longest come first: a worker runs a whole module, and one that is begun last leaves the others idle.
LONGEST = (
    "test_concurrency", "test_daemon", "test_service", "test_backfilled_comparison", "test_ui", "test_kills",
    "test_run_health", "test_disk", "test_curation", "test_damage", "test_arms", "test_training",
    "test_models", "test_pipeline", "test_postgres", "test_changes_in_flight", "test_plan",
    "test_kept_subsets", "test_growth_cost", "test_reselection_flow", "test_configuration",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))


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


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """Two shards of 12 brought to a subset of 12, undisturbed. Tests work on copies."""
    bench = Workbench(tmp_path_factory.mktemp("finished"), NoCapture())
    bench.add("a", records(12))
    bench.add("b", records(12, first=12))
    assert bench.adg("run").code == 0
    return bench


@pytest.fixture
def ready(finished: Workbench, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Workbench:
    """A copy of the finished pipeline."""
    shutil.copytree(finished.folder, tmp_path / "copy")
    return Workbench(tmp_path / "copy", capfd)

"""Dagster's database on a PostgreSQL server: what several machines share beside the data directory."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from adg_pipeline.host.children import environment
from adg_pipeline_tests.postgres_server import DEPLOYED, HOST, PASSWORD, PostgresServer, postgres_server, programs

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    where = programs()
    if where is None:
        pytest.skip("PostgreSQL's server isn't installed (apt-get install postgresql)")
    with postgres_server(where) as running, environment({"DAGSTER_PG_HOST": HOST, "DAGSTER_PG_PASSWORD": PASSWORD}):
        yield running


def test_what_is_deployed_is_the_projects_own_file_with_another_storage() -> None:
    deployed, own = (yaml.safe_load(file.read_text("utf-8")) for file in (DEPLOYED, ROOT / "dagster.yaml"))
    del deployed["storage"]
    assert deployed == own

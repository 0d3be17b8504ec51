"""A server that speaks S3, and hosts whose store lies there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adg_pipeline_tests.object_store.hosts import Host, new_bucket
from adg_pipeline_tests.object_store.s3_server import s3_server


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def url(s3: str) -> Iterator[str]:
    with new_bucket(s3) as url:
        yield url


@pytest.fixture
def host(url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Host:
    return Host(tmp_path / "host", capfd, url=url)


@pytest.fixture
def other_host(url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Host:
    return Host(tmp_path / "other", capfd, url=url)

"""Hosts that share a store in an object store: each has a scratch folder and a Dagster instance of its own."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from adg_pipeline.host.children import environment
from adg_pipeline.host.mirror import Bucket
from adg_pipeline.store import Store
from adg_pipeline_tests.workbench import Workbench


@dataclass
class Host(Workbench):
    """url: of the store."""

    url: str = ""

    @property
    def data(self) -> Path:
        return self.store.root

    @property
    def store(self) -> Store:
        return Store(data_dir=self.url, scratch_dir=str(self.folder / "scratch"))

    def environment(self) -> dict[str, str]:
        own = {"ADG_DATA_DIR": self.url, "ADG_SCRATCH_DIR": str(self.folder / "scratch")}
        return {**super().environment(), **own}

    def add(self, name: str, records: list[dict[str, Any]]) -> Path:
        """Put a file into the bucket by other means than `adg`."""
        text = "".join(json.dumps(record) + "\n" for record in records)
        Bucket(self.url).put(f"pool/{name}.jsonl", text.encode())
        return self.pool / f"{name}.jsonl"


@contextmanager
def new_bucket(server: str) -> Iterator[str]:
    """URL of a store in an empty bucket. Its credentials stand in the environment, as a user's would."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    urlopen(Request(f"{server}/{name}", method="PUT")).close()
    account = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "not-to-be-told", "AWS_REGION": "us-east-1"}
    with environment({**account, "AWS_ENDPOINT_URL": server, "AWS_ALLOW_HTTP": "true"}):
        yield f"s3://{name}/a/prefix"

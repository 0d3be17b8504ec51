"""Shards put aside: their own data is at fault, so they are named instead of holding up the others."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from adg_pipeline.host.files import write_atomically
from adg_pipeline.host.shared_files import at_hand, names_in, remove


@dataclass(frozen=True)
class PutAside:
    """Why a shard doesn't take part, at which stage, since when, and under which file and recipe.

    Another file or another recipe is a new chance: see `adg_pipeline.lineage.states`.
    """

    shard: str
    asset: str
    reason: str
    since: str
    file_version: str
    recipe_id: str


class Quarantine:
    """One small JSON file per shard that is put aside. A shard leaves when the stage that refused it succeeds."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, asset: str, shard: str, reason: str, file_version: str, recipe_id: str) -> None:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        record = PutAside(shard, asset, reason, since, file_version, recipe_id)
        text = json.dumps(asdict(record), indent=2)
        write_atomically(self._path(shard), lambda temporary: _write(temporary, text))

    def get(self, shard: str) -> PutAside | None:
        try:
            return PutAside(**json.loads(at_hand(self._path(shard)).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def release(self, asset: str, shard: str) -> None:
        """Let a shard go if it was this asset that put it aside."""
        record = self.get(shard)
        if record is not None and record.asset == asset:
            self.remove(shard)

    def remove(self, shard: str) -> None:
        remove(self._path(shard))

    def all(self) -> dict[str, PutAside]:
        names = [name for name in names_in(self._directory) if name.endswith(".json")]
        records = [self.get(name.removesuffix(".json")) for name in names]
        return {record.shard: record for record in records if record is not None}

    def _path(self, shard: str) -> Path:
        return self._directory / f"{shard}.json"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")

"""Where the files of the pool came from: what tells an update of the same file from another file of the same name."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from adg_pipeline.formats.shards import shard_key, source_name
from adg_pipeline.host.files import write_atomically
from adg_pipeline.host.shared_files import at_hand

ORIGINS_FOLDER = ".origins"


@dataclass(frozen=True)
class Origin:
    """What `adg pool add` made of one source.

    source: absolute path, or ``hf:owner/name`` with its split. revision: commit of a data set of the hub. files: name in
    the pool → SHA-256. examples: in all of them. noted: what was to be said of the source's records, as
    `ConversionSummary.noted` has it; shards that it was split into no longer show it.
    """

    source: str
    files: Mapping[str, str]
    examples: int
    revision: str | None = None
    noted: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def read_origin(pool_dir: Path, key: str) -> Origin | None:
    """None where nothing is known: a file that was put there by hand, or a record that can't be read."""
    try:
        return Origin(**json.loads(at_hand(_path(pool_dir, key)).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_origin(pool_dir: Path, key: str, origin: Origin) -> None:
    text = json.dumps(asdict(origin), indent=2)
    write_atomically(_path(pool_dir, key), lambda temporary: _write(temporary, text))


def origin_facts(file: Path) -> dict[str, Any]:
    """What the provenance of a shard says of where its file came from; empty where nothing is known."""
    for key in (shard_key(file.name), source_name(file)):
        origin = read_origin(file.parent, key)
        if origin is not None and file.name in origin.files:
            revision = {"revision": origin.revision} if origin.revision else {}
            return {"from": origin.source, **revision, **origin.noted}
    return {}


def _path(pool_dir: Path, key: str) -> Path:
    return pool_dir / ORIGINS_FOLDER / f"{key}.json"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")

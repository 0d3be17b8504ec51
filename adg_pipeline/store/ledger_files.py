"""Files of the ledger: Parquet files of records, each written once, whole, and never changed.

A record says what one version of a stored file tells of itself. It stays true for ever, so the files have no order: what
holds is any record of the version that lies there now.
"""

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from adg_pipeline.host.files import clear_leftovers, write_atomically
from adg_pipeline.host.shared_files import at_hand, names_in
from adg_pipeline.store.provenance import Provenance, Recipe

FORMAT, FORMAT_KEY, RECIPES_KEY = b"1", b"adg.ledger", b"adg.recipes"
SUFFIX = ".parquet"
_NAMES = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("asset", _NAMES),
        ("shard", pa.string()),
        ("version", pa.string()),
        ("recipe", _NAMES),
        ("inputs", pa.string()),
        ("content", pa.string()),
        ("rows", pa.int64()),
        ("created_at", pa.string()),
        ("facts", pa.string()),
    ]
)
Key = tuple[str, str]  # shard, version
Records = dict[str, dict[Key, Provenance]]  # by asset


@dataclass(frozen=True)
class Part:
    """A file that was read. records: by asset, shard and version."""

    path: Path
    records: Records

    def __len__(self) -> int:
        return sum(map(len, self.records.values()))


def part_paths(directory: Path) -> dict[str, Path]:
    """The ledger's files, by name."""
    return {name: directory / name for name in names_in(directory) if name.endswith(SUFFIX)}


def read_part(path: Path) -> Part | None:
    """A file's records; None where it is gone, damaged, or of another format: what it said is read from the tables again."""
    try:
        # Not `pq.read_table`, which imports pyarrow's datasets: a third of a second, which `adg status` needn't spend.
        with pq.ParquetFile(at_hand(path), page_checksum_verification=True) as file:
            table = file.read()
        metadata = table.schema.metadata or {}
        if metadata.get(FORMAT_KEY) != FORMAT or table.column_names != SCHEMA.names:
            return None
        recipes = {name: Recipe(**values) for name, values in json.loads(metadata[RECIPES_KEY]).items()}
        return Part(path, _records(table, recipes))
    except (OSError, pa.ArrowException, pl.exceptions.PolarsError, ValueError, KeyError, TypeError):
        return None


def write_part(directory: Path, records: Records) -> Part:
    """A new file with these records. Raises StoreError where the disk is full or read-only."""
    rows: list[tuple[Any, ...]] = []
    recipes: dict[str, Recipe] = {}
    for asset, of_asset in records.items():
        for (shard, version), stored in of_asset.items():
            recipes[stored.recipe.id] = stored.recipe
            texts = [json.dumps(dict(values), ensure_ascii=True) for values in (stored.inputs, stored.facts)]
            told = (stored.recipe.id, texts[0], stored.content, stored.rows, stored.created_at, texts[1])
            rows.append((asset, shard, version, *told))
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)]
    told_recipes = json.dumps({name: asdict(recipe) for name, recipe in recipes.items()}, ensure_ascii=True)
    metadata = {FORMAT_KEY: FORMAT, RECIPES_KEY: told_recipes.encode()}
    table = pa.Table.from_arrays(columns, schema=SCHEMA.with_metadata(metadata))
    # What a killed process left has a name that doesn't come again, so no later write of it would clear it away.
    for leftover in directory.glob(f".*{SUFFIX}.*.tmp"):
        clear_leftovers(directory / f"{leftover.name[1:].partition(SUFFIX)[0]}{SUFFIX}")
    path = directory / f"{uuid.uuid4().hex}{SUFFIX}"
    write_atomically(
        path, lambda temporary: pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
    )
    return Part(path, records)


def _records(table: pa.Table, recipes: Mapping[str, Recipe]) -> Records:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    # One text for the whole column: parsed one by one, they would take three times as long.
    inputs = json.loads(f"[{','.join(frame['inputs'])}]")
    records: Records = {}
    for asset, shard, version, recipe, read, content, rows, created_at, facts in zip(
        *(frame[name].to_list() if name != "inputs" else inputs for name in SCHEMA.names), strict=True
    ):
        stored = Provenance(asset, shard, recipes[recipe], read, content, rows, created_at, _Facts(facts))
        records.setdefault(asset, {})[shard, version] = stored
    return records


class _Facts(Mapping[str, Any]):
    """Facts that are parsed when somebody asks for one: most looks don't."""

    __slots__ = ("_text", "_values")

    def __init__(self, text: str) -> None:
        self._text = text
        self._values: dict[str, Any] | None = None

    def _read(self) -> dict[str, Any]:
        if self._values is None:
            self._values = json.loads(self._text)
        return self._values

    def __getitem__(self, key: str) -> Any:
        return self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __deepcopy__(self, memory: Any) -> dict[str, Any]:
        return dict(self._read())

"""Converting a few bytes and looking at what came out."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from adg_pipeline.formats.convert import ConversionSummary, convert
from adg_pipeline.settings.sections import RawPoolConfig


@dataclass(frozen=True)
class Converted:
    summary: ConversionSummary
    examples: list[dict[str, Any]]
    rejects: list[dict[str, Any]]

    @property
    def reasons(self) -> list[str]:
        return [reject["reason"] for reject in self.rejects]


def convert_file(path: Path, config: RawPoolConfig | None = None, source: str | None = None) -> Converted:
    with tempfile.TemporaryDirectory() as folder:
        table, rejects = Path(folder) / "table.parquet", Path(folder) / "rejects.jsonl"
        summary = convert(path, table, rejects, config or RawPoolConfig(), source=source)
        # Not splitlines(): it also splits at the line separators that excerpts may hold.
        rejected = rejects.read_text("utf-8").split("\n")[:-1] if rejects.exists() else []
        return Converted(summary, pq.read_table(table).to_pylist(), [json.loads(line) for line in rejected])


def convert_bytes(data: bytes, config: RawPoolConfig | None = None, name: str = "pool.json") -> Converted:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        return convert_file(path, config)


def convert_records(*records: Any, config: RawPoolConfig | None = None) -> Converted:
    """The records as JSON lines."""
    return convert_bytes("\n".join(json.dumps(record) for record in records).encode(), config)


def alpaca(instruction: str = "Name a colour.", output: str = "Red.", **fields: Any) -> dict[str, Any]:
    return {"instruction": instruction, "output": output, **fields}

"""The dataset card: what a subset was made from and how, in the form that the Hugging Face hub reads.

https://huggingface.co/docs/hub/datasets-cards
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CARD = "README.md"
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
_LOADED = (".jsonl", ".json", ".parquet")


def card_of(manifest: Mapping[str, Any], content: str, files: Sequence[Path], said: Sequence[str] = ()) -> str:
    """The card of an export.

    manifest: of the subset. content: what it is called by its content (`store.selections.content_id`). files: what was
    written. said: what the format couldn't hold, in words.
    """
    data = next((file for file in files if file.suffix in _LOADED), None)
    counts = manifest["counts"]
    parts = [
        _front_matter(manifest, data),
        f"# {manifest['arm']}: {counts['selected']:,} of {counts['pool']:,} examples\n",
        "Instruction data selected by adg-pipeline with the arm "
        f"`{manifest['arm']}` on {manifest['made_at'][:10]}; content `{content}`.\n",
        "## From the pool to the subset\n",
        _table(("step", "examples"), _funnel(manifest)),
        *(f"In this export: {line}.\n" for line in said),
        "## Sources\n",
        _table(("source", "selected"), counts["selected_by_source"].items()),
        "## Provenance\n",
        _table(("what", "value"), _provenance(manifest)),
        "Every setting of the selection:\n",
        f"```json\n{json.dumps(manifest['config'], indent=1, sort_keys=True, ensure_ascii=False)}\n```\n",
        *([f"## Loading\n\n{_loading(data)}"] if data else []),
        "## Licence\n",
        "That of the sources above; nothing here grants more. State it as `license:` at the top of this card before "
        "publishing.\n",
    ]
    return "\n".join(parts)


def _front_matter(manifest: Mapping[str, Any], data: Path | None) -> str:
    rows = manifest["counts"]["selected"]
    lines = [
        "task_categories:",
        "- text-generation",
        "tags:",
        "- instruction-tuning",
        "- data-selection",
        "size_categories:",
        f"- {next((name for most, name in _SIZES if rows < most), 'n>10M')}",
    ]
    if data is not None:
        lines += ["configs:", "- config_name: default", "  data_files:", "  - split: train"]
        lines += [f"    path: {json.dumps(data.name, ensure_ascii=False)}"]
    return "---\n" + "\n".join(lines) + "\n---\n"


def _funnel(manifest: Mapping[str, Any]) -> list[tuple[str, int]]:
    rows: list[tuple[str, int]] = []
    for step in manifest.get("funnel", ()):
        rows.append((step["step"], step["examples"]))
        rows += [(f"left out: {reason}", -number) for reason, number in step["left_out"].items()]
    if rows:
        return rows
    counts = manifest["counts"]  # of a subset that was made before there was a funnel
    left_out = [(f"left out: {reason}", -number) for reason, number in counts["left_out"].items()]
    return [
        ("in the pool", counts["pool"]), *left_out, ("eligible", counts["eligible"]), ("selected", counts["selected"]),
    ]  # fmt: skip


def _provenance(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    recipes = manifest["recipes"]
    backbone = recipes["generations"].get("backbone", {})
    embedder = recipes["answer_embeddings"]
    sampling = {name: recipes["generations"].get(name) for name in ("samples", "temperature", "top_p", "top_k")}
    stability = manifest.get("stability", {})
    return [
        ("selection", manifest["key"]),
        ("shards", f"{len(manifest['shards']):,}"),
        ("backbone", str(backbone.get("content", backbone) if isinstance(backbone, Mapping) else backbone)),
        ("sampling", ", ".join(f"{name} {value}" for name, value in sampling.items() if value is not None)),
        ("embedder", str(embedder.get("embedder", ""))),
        ("bins", f"{manifest['bins']['bins']:,}"),
        *(
            [("overlap under a jackknife over the answers", f"{stability['mean']:.0%}")]
            if stability.get("mean")
            else []
        ),
        ("packages", ", ".join(f"{name} {number}" for name, number in manifest["packages"].items())),
    ]


def _loading(data: Path) -> str:
    return (
        "```python\nfrom datasets import load_dataset\n\n"
        'load_dataset("path/to/this/folder", split="train")\n```\n'
        f"\nreads `{data.name}`, as this card says.\n"
    )


def _table(heads: Sequence[str], rows: Any) -> str:
    body = [f"| {_cell(name)} | {_cell(value)} |" for name, value in rows]
    return "\n".join([f"| {' | '.join(heads)} |", "|---|---|", *body]) + "\n"


def _cell(value: object) -> str:
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")

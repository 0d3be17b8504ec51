"""Which examples of a pool are near duplicates: kept, so that one shard more is compared and not the whole pool again.

Keys lie sorted in segments, each a file per kind that is mapped and not read: of a new shard's keys each is looked up. Small
segments are merged into one now and then, as in a log-structured tree, so there are few. A shard that went or changed means
a new start, which takes minutes at millions of examples.

All of it can be made again from the shards' fingerprints; it is a memory, and no stage's result.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from adg_pipeline.algorithms.duplicates import (
    BANDS,
    PERMUTATIONS,
    Keys,
    Rows,
    Signatures,
    alike_by,
    link,
    roots,
)
from adg_pipeline.host.files import locked, write_atomically

STATE = "state.json"
VERSION = 1

#: Gives a shard's fingerprints: columns signature and bands.
ReadShard = Callable[[str], pa.Table]


class DuplicateIndex:
    """Components of near duplicates over shards. folder: of one likeness and one way to make fingerprints."""

    def __init__(self, folder: Path, likeness: float) -> None:
        self._folder, self._likeness = folder, likeness

    def components(self, shards: Mapping[str, str], read: ReadShard) -> dict[str, Rows]:
        """Of each shard (→ content of its fingerprints) the component of each row: equal numbers are near duplicates.

        The numbers tell rows of one call apart and nothing else.
        """
        if not shards:
            return {}
        with locked(self._folder.with_suffix(".lock")):
            state = self._state()
            known = {name: content for name, content, _ in state["shards"]}
            if any(shards.get(name) != content for name, content in known.items()):
                state, known = _empty(), {}
            new = sorted(set(shards) - set(known))
            if new:
                state = self._add(state, {name: shards[name] for name in new}, read)
            parents = np.load(self._folder / f"{state['parents']}.npy")
            found = roots(parents, np.arange(len(parents)))
            ends = np.cumsum([rows for *_, rows in state["shards"]])
            return {name: found[end - rows : end] for (name, _, rows), end in zip(state["shards"], ends, strict=True)}

    def alike_rows(self, signed: Signatures, keys: Keys) -> Rows:
        """Rows known, in the order of `known_shards`, that are alike to any of these texts; (N, 128), (N, 20)."""
        state = self._state()
        stored = _Stored(self._folder, state)
        hits = []
        for band in range(BANDS):
            own, rows, _ = stored.matches(band, keys[:, band])
            for start in range(0, len(rows), 50_000):
                mine, theirs = own[start : start + 50_000], rows[start : start + 50_000]
                alike = alike_by(signed[mine], stored.signatures(theirs)) >= self._likeness
                hits.append(theirs[alike])
        return np.unique(np.concatenate(hits)) if hits else np.zeros(0, dtype=np.int64)

    def known_shards(self) -> list[tuple[str, int]]:
        """Shards and their numbers of rows, in the order of rows."""
        return [(name, rows) for name, _, rows in self._state()["shards"]]

    def _state(self) -> dict[str, Any]:
        try:
            state = json.loads((self._folder / STATE).read_text("utf-8"))
        except (OSError, ValueError):
            return _empty()
        names = [state.get("parents", "-"), *state.get("segments", {}), *state.get("signatures", {})]
        whole = state.get("version") == VERSION and all((self._folder / f"{name}.npy").exists() for name in names)
        return state if whole else _empty()

    def _add(self, state: dict[str, Any], new: Mapping[str, str], read: ReadShard) -> dict[str, Any]:
        if not state["shards"]:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        before = sum(rows for *_, rows in state["shards"])
        tables = {name: read(name) for name in new} if before else {}
        sizes = {name: (tables[name] if before else read(name)).num_rows for name in new}
        count = sum(sizes.values())
        stored = _Stored(self._folder, state)
        generation = state["generation"] + 1
        # An empty file can't be mapped, so shards without examples get a row that no shard owns.
        height = max(count, 1)
        signed = np.lib.format.open_memmap(
            self._folder / f"signatures-{generation}.npy", "w+", np.uint32, (height, PERMUTATIONS)
        )
        keys = np.empty((BANDS, count), dtype=np.uint64)
        at = 0
        for name in new:
            table = tables.pop(name) if before else read(name)
            signed[at : at + table.num_rows] = signatures_of(table)
            keys[:, at : at + table.num_rows] = keys_of(table).T
            at += table.num_rows
        stored.add(before, signed)
        parents = np.arange(before + count)
        if before:
            parents[:before] = np.load(self._folder / f"{state['parents']}.npy")

        def alike(first: Rows, second: Rows) -> np.ndarray:
            return alike_by(stored.signatures(first), stored.signatures(second)) >= self._likeness

        fresh = np.arange(before, before + count)
        for band in range(BANDS):
            _, met, met_keys = stored.matches(band, keys[band])
            rows, of = np.unique(met, return_index=True)
            link(parents, np.concatenate([fresh, rows]), np.concatenate([keys[band], met_keys[of]]), alike)
        signed.flush()
        segments = self._merged(state["segments"], keys, before, generation)
        state = {
            "version": VERSION,
            "generation": generation,
            "shards": [*state["shards"], *([name, new[name], sizes[name]] for name in new)],
            "segments": segments,
            "signatures": {**state["signatures"], f"signatures-{generation}": before},
            "parents": f"parents-{generation}",
        }
        np.save(self._folder / f"{state['parents']}.npy", parents)
        text = json.dumps(state)
        write_atomically(self._folder / STATE, lambda temporary: _write(temporary, text))
        kept = {STATE, *(f"{name}.npy" for name in [*segments, *state["signatures"], state["parents"]])}
        for path in self._folder.iterdir():
            if path.name not in kept and not path.name.startswith("."):
                path.unlink()
        return state

    def _merged(self, segments: Mapping[str, int], keys: Keys, first: int, generation: int) -> dict[str, int]:
        """The segments, with a new one of these keys (20, n) and their rows from `first` on, in which the last ones are
        merged that aren't twice as large."""
        kept = dict(segments)
        if not keys.size:
            return kept
        rows = np.broadcast_to(np.arange(first, first + keys.shape[1], dtype=np.uint64), keys.shape)
        while kept and next(reversed(kept.values())) < 2 * keys.shape[1]:
            name, _ = kept.popitem()
            earlier = np.load(self._folder / f"{name}.npy", mmap_mode="r")
            keys, rows = np.concatenate([earlier[0], keys], axis=1), np.concatenate([earlier[1], rows], axis=1)
        name = f"segment-{generation}"
        out = np.lib.format.open_memmap(self._folder / f"{name}.npy", "w+", np.uint64, (2, *keys.shape))
        for band in range(BANDS):
            order = np.argsort(keys[band], kind="stable")
            out[0, band], out[1, band] = keys[band][order], rows[band][order]
        out.flush()
        return {**kept, name: keys.shape[1]}


class _Stored:
    """Keys and signatures as they lie on disk: of what is looked up only those pages are read that hold it."""

    def __init__(self, folder: Path, state: Mapping[str, Any]) -> None:
        self._segments = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in state["segments"]]
        self._signed = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in state["signatures"]]
        self._starts = list(state["signatures"].values())

    def add(self, start: int, signed: Signatures) -> None:
        self._signed.append(signed)
        self._starts.append(start)

    def matches(self, band: int, keys: Keys) -> tuple[Rows, Rows, Keys]:
        """Pairs of places in `keys` and rows known that share a key of this band, and that key."""
        order = np.argsort(keys, kind="stable")
        places, rows, shared = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
        for segment in self._segments:
            known = segment[0, band]
            left, right = (np.searchsorted(known, keys[order], side=side) for side in ("left", "right"))
            counts = right - left
            owner = np.repeat(np.arange(len(order)), counts)
            at = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + left[owner]
            places.append(order[owner])
            rows.append(segment[1, band][at].astype(np.int64))
            shared.append(keys[order[owner]])
        return np.concatenate(places), np.concatenate(rows), np.concatenate(shared)

    def signatures(self, rows: Rows) -> Signatures:
        found = np.empty((len(rows), PERMUTATIONS), dtype=np.uint32)
        part = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(part):
            mine = part == number
            found[mine] = self._signed[number][rows[mine] - self._starts[number]]
        return found


def signatures_of(table: pa.Table) -> Signatures:
    """(N, 128) of a table of fingerprints."""
    parts = (np.frombuffer(chunk.buffers()[1], "<u4") for chunk in _chunks(table, "signature"))
    return np.concatenate([np.zeros(0, "<u4"), *parts]).reshape(-1, PERMUTATIONS).astype(np.uint32, copy=False)


def keys_of(table: pa.Table) -> Keys:
    """(N, 20) of a table of fingerprints."""
    parts = (chunk.flatten().to_numpy() for chunk in _chunks(table, "bands"))
    return np.concatenate([np.zeros(0, np.uint64), *parts]).reshape(-1, BANDS)


def _chunks(table: pa.Table, column: str) -> Iterator[pa.Array]:
    return (pa.concat_arrays([chunk]) for chunk in table[column].chunks if len(chunk))


def _empty() -> dict[str, Any]:
    return {"version": VERSION, "generation": 0, "shards": [], "segments": {}, "signatures": {}, "parents": "none"}


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")

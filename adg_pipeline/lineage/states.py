"""What is up to date, what isn't and why: one shard's state from the store, the pool file and the settings.

The command line, the sensors and the selection read the same states, so they agree on what there is to do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from adg_pipeline.algorithms.selectors import SELECTORS
from adg_pipeline.algorithms.selectors.base import FILES
from adg_pipeline.errors import StoreError
from adg_pipeline.formats.shards import PoolListing, ShardFile
from adg_pipeline.formats.staging import sha256_of
from adg_pipeline.host.shared_files import all_at_hand
from adg_pipeline.progress import Progress
from adg_pipeline.resources.generators.journal import journal_at_hand
from adg_pipeline.store import Store
from adg_pipeline.store.ledger import Look
from adg_pipeline.store.provenance import Provenance, Recipe, differences, digest
from adg_pipeline.store.quarantine import PutAside
from adg_pipeline.store.vectors import TABLES
from adg_pipeline.store.versions import known_version

# Each shard asset and those whose content it is computed from, in the data's order.
SOURCES: dict[str, tuple[str, ...]] = {
    "raw_pool": ("file",),
    "fingerprints": ("raw_pool",),
    "token_counts": ("raw_pool",),
    "instruction_embeddings": ("raw_pool",),
    "generations": ("raw_pool",),
    "reference_losses": ("raw_pool", "generations"),
    "answer_embeddings": ("generations",),
    "divergence_scores": ("answer_embeddings",),
}
# Only arms that read them need these; every subset needs the others.
OPTIONAL = ("fingerprints", "token_counts", "reference_losses")
SHARD_ASSETS = tuple(asset for asset in SOURCES if asset not in OPTIONAL)
# Why a shard takes no part in a selection that reads one of them.
LACKING = {
    "reference_losses": "its references are not scored yet",
    "fingerprints": "its fingerprints are not computed yet",
    "token_counts": "its tokens are not counted yet",
}
State = Literal["current", "missing", "stale", "damaged"]


@dataclass(frozen=True)
class AssetState:
    """State of one asset of one shard.

    recipe_changed: tells a change of settings from a change of data. delete: damaged files, to be made again.
    """

    state: State
    why: str = ""
    rows: int = 0
    recipe_changed: bool = False
    delete: Sequence[Path] = ()


@dataclass(frozen=True)
class ShardState:
    """State of one shard: its assets, whether it is put aside, and the version of its file."""

    shard: str
    assets: Mapping[str, AssetState] = field(default_factory=dict)
    put_aside: PutAside | None = None
    version: str = ""

    @property
    def current(self) -> bool:
        return all(asset.state == "current" for asset in self.assets.values())

    @property
    def needs_work(self) -> bool:
        return not self.current and self.put_aside is None

    @property
    def summary(self) -> str:
        """One word for the shard: quarantined, current, damaged, missing or stale."""
        if self.put_aside is not None:
            return "quarantined"
        states = {asset.state for asset in self.assets.values()}
        return next((state for state in ("damaged", "stale", "missing") if state in states), "current")

    @property
    def why(self) -> str:
        if self.put_aside is not None:
            return f"{self.put_aside.asset}: {self.put_aside.reason}"
        return next((f"{name}: {asset.why}" for name, asset in self.assets.items() if asset.state != "current"), "")

    @property
    def data_changed(self) -> bool:
        """Whether there is work that the data asks for, and none that a change of settings would redo."""
        behind = [asset for asset in self.assets.values() if asset.state != "current"]
        return self.needs_work and not any(asset.recipe_changed for asset in behind)

    @property
    def damages(self) -> dict[str, Sequence[Path]]:
        """Damage of the store that keeps the shard from being computed: what is wrong, and what to delete."""
        return {asset.why: asset.delete for asset in self.assets.values() if asset.state == "damaged"}


def shard_states(
    store: Store,
    listing: PoolListing,
    wanted: Mapping[str, Recipe],
    *,
    look: Look | None = None,
    look_at_tables: bool = False,
    progress: Progress | None = None,
) -> dict[str, ShardState]:
    """States of all shards of the pool directory, by key, sorted.

    look: what is stored; looked at now by default. look_at_tables: also look at every file of the vector tables, which a
    sensor needn't do at each look.
    progress: called with (shards looked at, shards in all). A look takes long where many files were copied or touched, once.
    """
    look = look or store.look()
    put_aside = store.quarantine.all()
    memory = store.versions_dir
    tables = {table: store.vectors.damage(table) for table in TABLES} if look_at_tables else {}
    damaged = {table: error for table, error in tables.items() if error is not None}
    states = {}
    for done, (shard, file) in enumerate(sorted(listing.shards.items())):
        if progress is not None:
            progress(done, len(listing.shards))
        version = _version(look, shard, file, memory)
        record = put_aside.get(shard)
        if record is not None and (record.asset not in wanted or _has_new_chance(record, version, wanted)):
            record = None
        states[shard] = ShardState(shard, _asset_states(look, shard, version, wanted, damaged), record, version)
    return states


def _version(look: Look, shard: str, file: ShardFile, memory: Path) -> str:
    try:
        return known_version(file, look.provenance("raw_pool", shard), memory)
    except StoreError:
        return known_version(file, None, memory)


def _has_new_chance(record: PutAside, version: str, wanted: Mapping[str, Recipe]) -> bool:
    return record.file_version != version or record.recipe_id != wanted[record.asset].id


def _asset_states(
    look: Look, shard: str, version: str, wanted: Mapping[str, Recipe], damaged: Mapping[str, StoreError]
) -> dict[str, AssetState]:
    states: dict[str, AssetState] = {}
    contents: dict[str, str | None] = {"file": version}
    for asset in wanted:
        try:
            stored = look.provenance(asset, shard)
            if asset in damaged:
                raise damaged[asset]
        except StoreError as error:
            states[asset], contents[asset] = AssetState("damaged", str(error), delete=error.delete), None
            continue
        states[asset] = _asset_state(stored, wanted[asset], SOURCES[asset], contents, states)
        contents[asset] = stored.content if stored is not None else None
    return states


def _asset_state(
    stored: Provenance | None,
    wanted: Recipe,
    sources: Sequence[str],
    contents: Mapping[str, str | None],
    states: Mapping[str, AssetState],
) -> AssetState:
    if stored is None:
        return AssetState("missing", "not computed yet")
    if stored.recipe.id != wanted.id:
        why = "; ".join(differences(stored.recipe, wanted))
        return AssetState("stale", why, stored.rows, recipe_changed=True)
    for source in sources:
        content = contents[source]
        if content is None or stored.inputs.get(source) != content:
            return AssetState("stale", "the file changed" if source == "file" else f"{source} changed", stored.rows)
        upstream = states.get(source)
        if upstream is not None and upstream.state != "current":
            return AssetState("stale", f"{source} is {upstream.state}", stored.rows, upstream.recipe_changed)
    return _current(stored.rows)


@lru_cache(maxsize=10_000)
def _current(rows: int) -> AssetState:
    return AssetState("current", rows=rows)


def answers_elsewhere(store: Store, listing: PoolListing) -> list[Path]:
    """Tables and journals whose answers are about to lose their place: of shards whose file is gone or has changed.

    With `Store.kept_answers` they are all places from which answers may follow a file that was renamed, split or edited.
    """
    look, memory = store.look(), store.versions_dir
    with_answers = {*look.shards("generations"), *store.unfinished()}
    behind = [shard for shard in sorted(with_answers) if not _answers_stay(look, shard, listing, memory)]
    tables = all_at_hand([store.table_path("generations", shard) for shard in behind])
    journals = [journal_at_hand(store.journal_path(shard)) for shard in behind]
    return [path for places in zip(tables, journals, strict=True) for path in places if path.exists()]


def _answers_stay(look: Look, shard: str, listing: PoolListing, memory: Path) -> bool:
    file = listing.shards.get(shard)
    try:
        raw, generated = look.provenance("raw_pool", shard), look.provenance("generations", shard)
    except StoreError:
        return False
    if file is None or raw is None or generated is None:
        return False
    return raw.inputs["file"] == known_version(file, raw, memory) and generated.inputs["raw_pool"] == raw.content


@dataclass(frozen=True)
class SelectionInputs:
    """The shards that a selection ranks against each other, and what it is told apart by.

    scores: shard → content of its scores. instructions: shard → content of its instruction embeddings. optional: asset that
    only some arms read → shard → content, of those that this one reads.
    """

    scores: Mapping[str, str]
    instructions: Mapping[str, str]
    recipes: Mapping[str, Sequence[str]]
    left_out: Mapping[str, str]
    optional: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def shards(self) -> list[str]:
        return sorted(self.scores)

    @property
    def mixed(self) -> str:
        """Names the shards that differ where scores were made in more than one way; empty where they weren't."""
        if len(self.recipes) <= 1:
            return ""
        groups = sorted(self.recipes.values(), key=len)
        named = "; ".join(f"{len(group)} shards such as {', '.join(sorted(group)[:3])}" for group in groups)
        return f"scores were made in {len(self.recipes)} different ways: {named}"


def selection_inputs(
    store: Store,
    shards: Sequence[str],
    look: Look | None = None,
    /,
    *,
    references: bool = False,
    fingerprints: bool = False,
    tokens: bool = False,
) -> SelectionInputs:
    """What is stored for a selection over these shards. Shards put aside or not scored are left out, by name.

    look: what is stored; looked at now by default.
    """
    look = look or store.look()
    read = {"reference_losses": references, "fingerprints": fingerprints, "token_counts": tokens}
    put_aside = {shard: record for shard, record in store.quarantine.all().items() if read.get(record.asset, True)}
    scores, instructions, recipes, left_out = {}, {}, dict[str, list[str]](), {}
    optional: dict[str, dict[str, str]] = {asset: {} for asset, it_is in read.items() if it_is}
    for shard in sorted(shards):
        if shard in put_aside:
            left_out[shard] = f"put aside by {put_aside[shard].asset}: {put_aside[shard].reason}"
            continue
        score = look.provenance("divergence_scores", shard)
        instruction = look.provenance("instruction_embeddings", shard)
        if score is None or instruction is None:
            left_out[shard] = "not scored yet"
            continue
        others = {asset: look.provenance(asset, shard) for asset in optional}
        lacking = next((asset for asset, stored in others.items() if stored is None), None)
        if lacking is not None:
            left_out[shard] = LACKING[lacking]
            continue
        known = {asset: stored for asset, stored in others.items() if stored is not None}
        for asset, stored in known.items():
            optional[asset][shard] = stored.content
        scores[shard], instructions[shard] = score.content, instruction.content
        ways = " ".join(stored.recipe.id for stored in (score, instruction, *known.values()))
        recipes.setdefault(ways, []).append(shard)
    return SelectionInputs(scores, instructions, recipes, left_out, optional)


def selection_key(arm: str, bins: Mapping[str, Any], selection: Mapping[str, Any], inputs: SelectionInputs) -> str:
    """Names a selection by all it is made from, so that the same one is not made twice."""
    made_from: list[Any] = [arm, dict(bins), _with_content(selection), dict(inputs.scores), dict(inputs.instructions)]
    for asset, contents in inputs.optional.items():
        if contents:  # the oldest of them is told by its place alone
            made_from.append(dict(contents) if asset == "reference_losses" else {asset: dict(contents)})
    return digest(made_from)


def _by_content(path: str) -> str:
    return sha256_of(Path(path)) if Path(path).is_file() else path


def _with_content(selection: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a selection. A file that they name is told by what it holds: edited, it asks for another subset. It counts
    only where it is read."""
    selector = SELECTORS.get(selection.get("selector", "adg"))
    read = {name: value for name, value in selection.items() if name not in FILES}
    for name in FILES if selector is None else selector.files:
        path = selection.get(name)
        if path is not None:
            read[name] = _by_content(path)
    if "must_keep" in read:
        read["must_keep"] = _by_content(read["must_keep"])
    if "without" in read:
        read["without"] = [_by_content(path) for path in read["without"]]
    return read

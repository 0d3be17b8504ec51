"""What a stored table was made from, and whether that is still what the settings ask for.

A *recipe* is everything that decides how a stage computes: its configuration, the model's content, the code version and
the recipes of the stages before it. An *input* is what it computed from. Their hashes tell a table that is up to date
from one that is stale, and a subset's recipes tell whether its shards may be ranked against each other.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any


def digest(value: Any) -> str:
    """Hash of a JSON value, stable across runs and platforms: 32 hex digits."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Recipe:
    """How a stage computes.

    asset: the stage. code_version: raised when its code gives other results. config: what decides its result.
    upstream: recipe ids of the stages whose way of computing matters to this one.
    """

    asset: str
    code_version: str
    config: Mapping[str, Any]
    upstream: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def id(self) -> str:
        return digest(asdict(self))

    def fingerprint(self, inputs: Mapping[str, str]) -> str:
        """Identifies the result: this recipe over these inputs (name → content fingerprint)."""
        return digest([self.id, dict(inputs)])


@dataclass(frozen=True)
class Provenance:
    """Record kept with every stored table. `content` identifies the result for the stages after it."""

    asset: str
    shard: str
    recipe: Recipe
    inputs: Mapping[str, str]
    content: str
    rows: int
    created_at: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return self.recipe.fingerprint(self.inputs)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Provenance":
        values = json.loads(text)
        return cls(**{**values, "recipe": Recipe(**values["recipe"])})


def make_provenance(
    recipe: Recipe,
    shard: str,
    inputs: Mapping[str, str],
    rows: int,
    content: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Provenance:
    """Provenance stamped now. Where the content isn't hashed, it is identified by what it was made from."""
    return Provenance(
        asset=recipe.asset,
        shard=shard,
        recipe=recipe,
        inputs=dict(inputs),
        content=content or recipe.fingerprint(inputs),
        rows=rows,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        facts=dict(facts or {}),
    )


def differences(stored: Recipe, wanted: Recipe) -> list[str]:
    """What changed between two recipes, in words: ``temperature 1.4 → 1.0``, ``states: not set before, now true``."""
    changes = []
    if stored.code_version != wanted.code_version:
        changes.append(f"code version {stored.code_version} → {wanted.code_version}")
    for key in sorted({*stored.config, *wanted.config}):
        before, after = stored.config.get(key), wanted.config.get(key)
        if before == after:
            continue
        # What stands at its default may be missing from a recipe, so nothing is to be told but that it isn't set.
        if before is None:
            changes.append(f"{key}: not set before, now {_short(after)}")
        elif after is None:
            changes.append(f"{key}: {_short(before)} before, no longer set")
        else:
            changes.append(f"{key} {_short(before)} → {_short(after)}")
    changes.extend(
        f"{name} computed differently"
        for name in sorted({*stored.upstream, *wanted.upstream})
        if stored.upstream.get(name) != wanted.upstream.get(name)
    )
    return changes


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("id", value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)  # as adg.yaml has it
    return text if len(text) <= 60 else text[:57] + "..."

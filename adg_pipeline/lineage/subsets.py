"""Subsets at hand and before: found by name, compared, and brought back with the settings they were made with."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adg_pipeline.errors import PipelineError
from adg_pipeline.lineage.in_force import settings_in_force
from adg_pipeline.settings.kept import spoken, to_keep, values
from adg_pipeline.store import Store
from adg_pipeline.store.history import StoredSubset
from adg_pipeline.store.kept import SHARED
from adg_pipeline.store.selections import arm_of


def all_subsets(store: Store, arm: str | None = None) -> list[StoredSubset]:
    """Of one arm or of all: the current one first, then the newest."""
    return [one for name in sorted(store.arms()) if arm in (None, name) for one in store.subset_history(name).all()]


def find_subset(store: Store, name: str, arm: str | None = None) -> StoredSubset:
    """The subset whose id begins so, or the current one of the arm of that name.

    Raises PipelineError, with the known ids, if there is none or more than one.
    """
    known = all_subsets(store, arm)
    named = [one for one in known if one.current and one.arm == name]
    found = named or [one for one in known if name and one.id.startswith(name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{one.id} ({one.arm})" for one in (found or known)) or "there is none yet"
    raise PipelineError(f"{'several subsets begin' if found else 'no subset begins'} with {name!r}: {names}")


@dataclass(frozen=True)
class SubsetDifference:
    """What changes from one subset to another.

    overlap: Jaccard's index of their examples, 1 for equal sets. added, removed: ids, best first. by_source: source →
    numbers added and removed. settings: dotted name → value before and after, of all that differ.
    """

    overlap: float
    in_both: int
    added: list[str]
    removed: list[str]
    by_source: Mapping[str, Mapping[str, int]]
    settings: Mapping[str, tuple[Any, Any]]


def compare(before: StoredSubset, after: StoredSubset) -> SubsetDifference:
    """Read both and compare them. Raises StoreError where one is damaged."""
    source_before, source_after = (
        dict(one.rows().select("example_id", "source").iter_rows()) for one in (before, after)
    )
    added = [example for example in source_after if example not in source_before]
    removed = [example for example in source_before if example not in source_after]
    gained, lost = Counter(source_after[example] for example in added), Counter(source_before[one] for one in removed)
    in_both, of_either = len(source_after) - len(added), len(source_after) + len(removed)
    made, makes = _settings(before.manifest), _settings(after.manifest)
    return SubsetDifference(
        overlap=in_both / of_either if of_either else 1.0,
        in_both=in_both,
        added=added,
        removed=removed,
        by_source={source: {"added": gained[source], "removed": lost[source]} for source in sorted({*gained, *lost})},
        settings={key: (made.get(key), makes.get(key)) for key in {**made, **makes} if made.get(key) != makes.get(key)},
    )


def _settings(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """All that decided a subset, by dotted name: its own settings, the bins', and the recipes of the stages before."""
    sections = {
        "selected_subset": manifest["config"],
        "semantic_bins": manifest["bins"]["recipe"],
        **manifest["recipes"],
    }
    return {"arm": arm_of(manifest)} | {
        f"{section}.{key}": value for section, made in sections.items() for key, value in made.items() if key != "id"
    }


def restore(store: Store, subset: StoredSubset) -> None:
    """Make a subset its arm's current one, and pin it: no sensor replaces it, the next `adg run` may.

    The settings it was made with are kept, so that it is renewed with these. Raises StoreError where it is damaged.
    """
    in_force = settings_in_force(store, subset.arm)
    said, made = spoken(in_force.configured), {**values(in_force.settings), **_settings(subset.manifest)}
    history = store.subset_history(subset.arm)
    with store.shard_lock("selected_subset", subset.arm):
        subset.require()
        store.kept.keep(SHARED, ["semantic_bins"], to_keep(made, said, "semantic_bins"))
        store.kept.keep(subset.arm, ["selected_subset"], to_keep(made, said, "selected_subset"))
        store.kept.pin(subset.arm, subset.id)
        history.make_current(subset)
        history.prune(in_force.settings.selected_subset.history)

"""Where a plan's rates come from: a file, the shards that are stored, the last plan, or a look at some examples now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from adg_pipeline.algorithms.costs import REFERENCES, Profile, Work, planned
from adg_pipeline.errors import PipelineError
from adg_pipeline.orchestration.planning.plan import Plan, kept_plans, recipe_ids
from adg_pipeline.orchestration.planning.sample import Say, draw_examples, measure
from adg_pipeline.orchestration.planning.stored import profile_of_store, with_trainings
from adg_pipeline.settings.loading import Settings
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Recipe

FEWEST = 64  # examples that are measured on: with fewer their answers' lengths say little
BATCHES = 2  # of the engine: while the last one ends it has less to do than it could


def find_profile(
    store: Store,
    settings: Settings,
    wanted: Mapping[str, Recipe],
    shards: Sequence[str],
    work: Work,
    examples: int | None,
    say: Say,
    *,
    anew: bool = False,
) -> tuple[Profile, int]:
    """A profile, and how many of the pool's answers were had for it: a run doesn't ask for those.

    What stored shards tell, if it is of all that is to do; else what the last plan of the same settings measured; else
    what a look at so many examples of the shards tells, for which the engine is asked. anew: look in any case."""
    known = None if anew else known_profile(store, settings, wanted, work)
    if known is not None:
        return known
    count = examples or max(FEWEST, BATCHES * settings.generations.batch_size)
    drawn = draw_examples(store, shards, count)
    say(
        f"measuring on {drawn.height} examples, {drawn.height * settings.generations.samples} answers: a run finds them "
        "and doesn't ask again"
    )
    measured = measure(store, settings, drawn, say, references=REFERENCES in wanted)
    found = completed(measured.profile, store, settings, wanted)
    return with_trainings(store, found), measured.counts.asked + measured.counts.reused


def known_profile(
    store: Store, settings: Settings, wanted: Mapping[str, Recipe], work: Work
) -> tuple[Profile, int] | None:
    """The same of what is known without a look at the pool: of stored shards, or of a plan of the same settings."""
    known = [(profile_of_store(store, wanted, settings.generations.max_new_tokens), 0)]
    known += [(plan.profile, plan.had) for plan in kept_plans(store) if _holds(plan, wanted, recipe_ids(wanted))]
    for profile, had in known:
        if profile is not None and all(
            stage.seconds is not None for stage in planned(profile, replace(work, budget=0))
        ):
            return with_trainings(store, profile), had
    return None


def completed(profile: Profile, store: Store, settings: Settings, wanted: Mapping[str, Recipe]) -> Profile:
    """The profile with rates of what it couldn't measure, as stored shards or a plan tell: of a sample whose answers were all
    had, sampling."""
    rates = dict(profile.rates)
    if (stored := profile_of_store(store, wanted, settings.generations.max_new_tokens)) is not None:
        rates = {**stored.rates, **rates}
    for plan in kept_plans(store):
        rates = {
            **{stage: rate for stage, rate in plan.profile.rates.items() if _holds(plan, wanted, [stage])},
            **rates,
        }
    return profile.model_copy(update={"rates": rates})


def _holds(plan: Plan, wanted: Mapping[str, Recipe], stages: Iterable[str]) -> bool:
    """Whether what it measured of these stages is of the settings now."""
    return all(stage in wanted and plan.recipes.get(stage) == wanted[stage].id for stage in stages)


def read_profile(file: Path) -> Profile:
    """A profile of a JSON file. Raises PipelineError that names the file and the key."""
    try:
        return Profile.model_validate_json(file.read_text("utf-8"))
    except OSError as error:
        raise PipelineError(f"{file}: there is no such profile ({error.strerror})") from error
    except (ValidationError, UnicodeDecodeError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": "not UTF-8"}
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise PipelineError(f"{file}: {where}: {first['msg']}; `adg plan --write-profile FILE` writes one") from error

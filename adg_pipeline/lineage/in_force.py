"""The settings that hold now for an arm's subset: adg.yaml, what is kept from earlier runs, and flags."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from adg_pipeline.algorithms.arms import arms
from adg_pipeline.algorithms.selectors import SELECTORS
from adg_pipeline.algorithms.selectors.base import REFERENCE_SIGNALS
from adg_pipeline.errors import SettingsError
from adg_pipeline.settings.kept import Kept, as_override, in_words, spoken, still_held, values
from adg_pipeline.settings.loading import Origins, Settings, load_file, override
from adg_pipeline.settings.presets import preset_flags
from adg_pipeline.settings.sections import SelectionConfig
from adg_pipeline.store import Store
from adg_pipeline.store.kept import SHARED

DROP = "`adg run --as-configured` drops it"


@dataclass(frozen=True)
class InForce:
    """settings: what holds. configured: what adg.yaml gives alone. kept: what differs from it since an earlier run.

    arm: whose subset they are for; None for shards alone.
    """

    arm: str | None
    settings: Settings
    configured: Settings
    kept: Kept
    origins: Origins

    @property
    def differences(self) -> list[str]:
        """What is kept, one setting each, in words."""
        return [in_words(key, one) for key, one in self.kept.items()]


def settings_in_force(
    store: Store,
    arm: str | None = None,
    flags: Mapping[str, str] | None = None,
    *,
    as_configured: bool = False,
    preset: str | None = None,
) -> InForce:
    """What holds for the arm's subset, or (None) for shards alone.

    flags: ``section.key=value`` → how the user wrote it. as_configured: drop what is kept. preset: settings that are weaker
    than adg.yaml, the arm's own and flags, and stronger than what is kept. Raises SettingsError.
    """
    flags = flags or {}
    for flag, said in flags.items():
        if flag.startswith("arms."):
            raise SettingsError(
                f"{said}: an arm stands in adg.yaml; a flag sets selected_subset.KEY of the arms asked for"
            )
    of_all, of_file = load_file()
    _require_known(of_all, of_file)
    _require_arms_read(of_all, of_file)
    of_arm = _arm_settings(of_all, of_file, arm) if arm is not None else {}
    configured, _ = override(of_file, of_arm)
    of_preset = preset_flags(preset, {*spoken(configured)}) if preset is not None else {}
    given = {flag.partition("=")[0] for flag in (*flags, *of_preset)}
    known = values(configured)
    held = {} if as_configured else still_held(_recorded(store, arm), spoken(configured))
    kept = {key: one for key, one in held.items() if key in known and one["value"] != known[key] and key not in given}
    written = {
        as_override(key, one): f"{key}={one['value']}, kept from an earlier run ({DROP})" for key, one in kept.items()
    }
    settings, origins = override(of_file, {**of_preset, **of_arm, **written, **flags})
    _require_known(settings, origins)
    return InForce(arm, settings, configured, kept, origins)


def require_read(asked: Mapping[str, InForce], flags: Iterable[str]) -> None:
    """Refuse a flag that none of the arms reads: whoever gives it expects another subset than he would get.

    asked: what holds for each arm of the run. flags: ``section.key=value``. Raises SettingsError.
    """
    faults = []
    for key in dict.fromkeys(flag.partition("=")[0] for flag in flags):
        section, _, name = key.partition(".")
        configs = [of.settings.selected_subset for of in asked.values()]
        if section == "selected_subset" and all(name in _ignored(config) for config in configs):
            origins = next(iter(asked.values())).origins
            told = dict.fromkeys(_does_not_read(config, name) for config in configs)
            faults.append(f"{origins.of(key)}: {key}: {', '.join(told)}: leave it out")
    if faults:
        raise SettingsError("\n".join(faults))


def _ignored(config: SelectionConfig) -> tuple[str, ...]:
    selector = SELECTORS.get(config.selector)
    return () if selector is None else selector.ignores(config)


def _does_not_read(config: SelectionConfig, key: str) -> str:
    without = " without bins" if key == "quota" and config.bins == "none" else ""
    return f"{config.selector}{without} doesn't read it"


def reads_references(config: SelectionConfig) -> bool:
    """Whether an arm with this configuration reads reference losses."""
    chooses = SELECTORS[config.selector]
    return chooses.likeness or not set(chooses.reads(config)).isdisjoint(REFERENCE_SIGNALS)


def reads_fingerprints(config: SelectionConfig) -> bool:
    """Whether a selection with this configuration reads fingerprints."""
    return config.near_duplicates is not None or config.decontaminate


def reads_tokens(config: SelectionConfig) -> bool:
    """Whether a selection with this configuration reads how many tokens an example has."""
    return any(bound is not None for bound in (config.budget_tokens, config.min_tokens, config.max_tokens))


def optional_reads(configs: Iterable[SelectionConfig]) -> dict[str, bool]:
    """Which of the assets that only some arms need any of these reads: arguments of `wanted_recipes`, `selection_inputs`."""
    known = list(configs)
    return {
        "references": any(reads_references(config) for config in known),
        "fingerprints": any(reads_fingerprints(config) for config in known),
        "tokens": any(reads_tokens(config) for config in known),
    }


def watched_reads(store: Store, settings: Settings) -> dict[str, bool]:
    """Likewise, of the arms that sensors renew."""
    return optional_reads(settings_in_force(store, arm).settings.selected_subset for arm in settings.sensors.arms)


def _arm_settings(of_all: Settings, of_file: Origins, name: str) -> dict[str, str]:
    """An arm's settings as overrides: ``selected_subset.key=value`` → where it comes from."""
    known = arms(of_all.arms)
    if name not in known:
        raise SettingsError(f"there is no arm {name!r}: {_others(known)}")
    return {
        f"selected_subset.{key}={json.dumps(value)}": f"{of_file.of(f'arms.{name}.{key}')} (arms.{name}.{key})"
        if key in of_all.arms.get(name, {})
        else f"the built-in arm {name}"
        for key, value in known[name].settings.items()
    }


def _require_known(settings: Settings, origins: Origins) -> None:
    """Raise SettingsError where a setting names a selector or an arm that there isn't."""
    chosen = {"selected_subset.selector": settings.selected_subset.selector} | {
        f"arms.{name}.selector": differs["selector"] for name, differs in settings.arms.items() if "selector" in differs
    }
    faults = [
        f"{origins.of(key)}: {key}: there is no selector {name!r}; choose one of {', '.join(SELECTORS)}"
        for key, name in chosen.items()
        if name not in SELECTORS
    ]
    known = arms(settings.arms)
    faults += [
        f"{origins.of('sensors.arms')}: sensors.arms: there is no arm {name!r}; {_others(known)}"
        for name in settings.sensors.arms
        if name not in known
    ]
    if faults:
        raise SettingsError("\n".join(faults))


def _require_arms_read(of_all: Settings, of_file: Origins) -> None:
    """Raise SettingsError where adg.yaml gives an arm a setting that its selector doesn't read."""
    known = arms(of_all.arms)
    faults = [
        f"{of_file.of(f'arms.{name}.{key}')}: arms.{name}.{key}: {_does_not_read(config, key)}: leave it out"
        for name, differs in of_all.arms.items()
        if (config := known[name].config(of_all.selected_subset))
        for key in differs
        if key in _ignored(config)
    ]
    if faults:
        raise SettingsError("\n".join(faults))


def _others(known: Iterable[str]) -> str:
    return f"known are {', '.join(known)}; others are named under `arms:` in adg.yaml"


def kept_of_subset(store: Store, arm: str) -> Kept:
    """What is kept for an arm's subset. Of one that was made before anything was recorded: what it was made with."""
    recorded = store.kept.of(arm)
    if recorded is not None:
        return recorded
    manifest = store.selection_manifest(arm)
    if manifest is None:
        return {}
    return manifest["kept"] if "kept" in manifest else made_with(manifest)


def made_with(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The settings that a subset was made with, as kept where adg.yaml doesn't name them."""
    sections = {"selected_subset": manifest["config"], "semantic_bins": manifest["bins"]["recipe"]}
    return {f"{section}.{key}": {"value": value} for section, made in sections.items() for key, value in made.items()}


def _recorded(store: Store, arm: str | None) -> Kept:
    shared = store.kept.of(SHARED) or {}
    return shared if arm is None else {**kept_of_subset(store, arm), **shared}

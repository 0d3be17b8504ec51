"""What commands share: options, and the store and settings that they name."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from adg_pipeline.settings.loading import Settings
    from adg_pipeline.store import Store

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
set_option = click.option(
    "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Override a setting of adg.yaml; repeatable."
)


class _Preset(click.ParamType):
    """Known names are looked up when they are asked for: a command's help reads no file before."""

    name = "name"

    def convert(self, value: str, param: click.Parameter | None, context: click.Context | None) -> str:
        from adg_pipeline.settings.presets import presets

        if value not in (known := presets()):
            self.fail(f"there is no preset {value!r}; known are {', '.join(known)}", param, context)
        return value


preset_option = click.option(
    "--preset",
    type=_Preset(),
    help="Settings that come with the project, weaker than adg.yaml and --set: paper-llama3-8b, paper-qwen2.5-7b, published "
    "(docs/reproduce.md).",
)


def open_store() -> "Store":
    from adg_pipeline.store import Store, default_data_dir

    return Store(data_dir=default_data_dir())


def read_settings(overrides: Sequence[str]) -> "Settings":
    from adg_pipeline.settings.loading import load_settings

    return load_settings(overrides=overrides)


def budget_flag(budget: int | None) -> dict[str, str]:
    """``--budget N`` as overrides: examples are counted then, whatever budget in tokens was in force."""
    if budget is None:
        return {}
    said = f"--budget {budget}"
    return {f"selected_subset.budget={budget}": said, "selected_subset.budget_tokens=null": said}


def require_known(arms: Sequence[str], stored: Collection[str] = (), option: str = "--arm") -> None:
    """Refuse names that no arm has. stored: arms that may be gone from adg.yaml and still be looked at."""
    from adg_pipeline.algorithms.arms import arms as known_arms
    from adg_pipeline.settings.loading import load_file

    known = known_arms(load_file()[0].arms)
    if unknown := sorted({name for name in arms if name not in known and name not in stored}):
        raise click.BadParameter(
            f"there is no arm {', '.join(unknown)}; known are {', '.join(known)}. Others are named under `arms:` in "
            "adg.yaml (`adg arms` tells what each does)",
            param_hint=option,
        )

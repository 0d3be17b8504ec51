"""Presets: settings files that come with the project, by name. Each is an adg.yaml that can also be copied as one.

What a preset says is weaker than what adg.yaml, an arm or a flag says of the same setting, and stronger than what is kept
from an earlier run. It is kept like a flag: what was made with a preset is renewed with it.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from adg_pipeline.errors import SettingsError
from adg_pipeline.settings.yaml_file import read_settings_file

FOLDER = Path(__file__).parent
# A setting that names a file beside the preset.
_BESIDE = "finetuned_checkpoint.accelerate_config"


def presets() -> dict[str, str]:
    """Name of each → what it is: the first line of its file."""
    files = sorted(path for path in FOLDER.glob("*.yaml") if not path.stem.startswith("accelerate"))
    return {path.stem: path.read_text("utf-8").splitlines()[0].removeprefix("#").strip() for path in files}


def preset_flags(name: str, spoken: Collection[str]) -> dict[str, str]:
    """A preset as flags: ``section.key=value`` → ``--preset NAME``. spoken: settings that adg.yaml names, which hold.

    Raises SettingsError for an unknown name.
    """
    known = presets()
    if name not in known:
        raise SettingsError(f"there is no preset {name!r}; known are {', '.join(known)}")
    given = dict(_leaves(read_settings_file(FOLDER / f"{name}.yaml").values))
    if _BESIDE in given:
        given[_BESIDE] = str(FOLDER / given[_BESIDE])
    return {f"{key}={json.dumps(value)}": f"--preset {name}" for key, value in given.items() if key not in spoken}


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value

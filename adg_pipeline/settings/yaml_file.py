"""``adg.yaml`` as values, and the line that each of them stands on."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from adg_pipeline.errors import SettingsError


@dataclass(frozen=True)
class SettingsFile:
    """values: as they stand in the file. lines: of every key, by its dotted name, counted from 1."""

    path: Path
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)


def read_settings_file(path: Path) -> SettingsFile:
    """Raises SettingsError, naming file and line, where it isn't YAML, isn't made of sections, or repeats a key."""
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        lines: dict[str, int] = {}
        if isinstance(node, yaml.MappingNode):
            _find_lines(path, node, "", lines)
        values = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        raise SettingsError(_not_yaml(path, error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: can't be read as YAML: {error}") from error
    if values is None:
        return SettingsFile(path)
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: expected sections, each `name:` with its settings below, found {values!r}")
    # A section whose settings are all commented out is empty, not wrong.
    return SettingsFile(path, {key: {} if value is None else value for key, value in values.items()}, lines)


def _find_lines(path: Path, mapping: yaml.MappingNode, prefix: str, lines: dict[str, int]) -> None:
    """Note where each key stands. YAML itself lets the last of two equal keys win without a word."""
    seen: dict[Hashable, int] = {}
    for key, value in mapping.value:
        line = key.start_mark.line + 1
        if key.value in seen:
            raise SettingsError(
                f"{path}, line {line}: {prefix}{key.value} is given a second time (first in line {seen[key.value]}): "
                "keep one of them"
            )
        seen[key.value] = line
        lines[f"{prefix}{key.value}"] = line
        if isinstance(value, yaml.MappingNode) and value is not mapping:
            _find_lines(path, value, f"{prefix}{key.value}.", lines)


def _not_yaml(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"{path}: can't be read as YAML: {error}"
    problem = getattr(error, "problem", None) or "it is malformed"
    hint = "; indent with spaces, not with tabs" if "'\\t'" in problem else ""
    return f"{path}, line {mark.line + 1}: can't be read as YAML: {problem}{hint}"

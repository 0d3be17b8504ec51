"""``kept_settings.json``: settings that were asked for and hold until adg.yaml or a flag says otherwise; pinned subsets.

The file outlives what was made: a subset that is deleted is made again as it was. See `adg_pipeline.settings.kept`.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adg_pipeline.errors import StoreError
from adg_pipeline.host.files import locked, write_atomically
from adg_pipeline.host.shared_files import at_hand
from adg_pipeline.settings.kept import Kept

SHARED = "*"  # what shards, bins and trainings were made with: one of each for all subsets


class KeptSettings:
    """Kept settings of everything shared and of the subset of each arm, and the pinned arms."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, scope: str) -> Kept | None:
        """Of an arm's subset, or of what is `SHARED`; None where nothing was ever recorded."""
        found: Kept | None = self._read()["kept"].get(scope)
        return found

    def keep(self, scope: str, sections: Sequence[str], kept: Kept) -> None:
        """Replace what is kept of these sections."""
        of_sections = tuple(f"{section}." for section in sections)

        def change(record: dict[str, Any]) -> None:
            others = record["kept"].get(scope, {})
            record["kept"][scope] = {k: v for k, v in others.items() if not k.startswith(of_sections)} | dict(kept)

        self._change(change)

    def pinned(self) -> Mapping[str, str]:
        """Arms of which a subset was restored, with that subset's name (see `Store.is_pinned`)."""
        pinned: Mapping[str, str] = self._read()["pinned"]
        return pinned

    def pin(self, arm: str, subset: str) -> None:
        self._change(lambda record: record["pinned"].update({arm: subset}))

    def unpin(self, arm: str) -> None:
        self._change(lambda record: record["pinned"].pop(arm, None))

    def _change(self, change: Callable[[dict[str, Any]], Any]) -> None:
        """Write what `change` makes of the record; nothing, not even a lock, where that is the same."""
        if _changed(self._read(), change) is None:
            return
        with locked(self._path.parent / ".locks" / "kept_settings.lock"):
            record = _changed(self._read(), change)
            if record is not None:
                text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
                write_atomically(self._path, lambda temporary: _write(temporary, text))

    def _read(self) -> dict[str, Any]:
        try:
            record = json.loads(at_hand(self._path).read_text(encoding="utf-8"))
            return {"kept": dict(record["kept"]), "pinned": dict(record["pinned"])}
        except FileNotFoundError:
            return {"kept": {}, "pinned": {}}
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{self._path}: damaged ({error!r}). Delete it, then run again: settings given by flag for what isn't a "
                "subset are forgotten, nothing else",
                delete=[self._path],
            ) from error


def _changed(record: dict[str, Any], change: Callable[[dict[str, Any]], Any]) -> dict[str, Any] | None:
    changed = copy.deepcopy(record)
    change(changed)
    return changed if changed != record else None


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")

"""Files and folders that other hosts may write as well. Where they lie on this machine's own disk, or on one that it shares,
all of this is what `pathlib` does; in a copy of an object store, the store is asked."""

import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from adg_pipeline.host.mirror import changed_ns, mirror_around, mirror_of


def at_hand(path: Path) -> Path:
    """The path itself, once the newest of its file lies there, or none if there is none."""
    if mirror := mirror_of(path):
        mirror.pull(path)
    return path


def all_at_hand(paths: Sequence[Path]) -> Sequence[Path]:
    """Likewise of many files of one store."""
    if paths and (mirror := mirror_of(paths[0])):
        mirror.pull_all(paths)
    return paths


def listed_at_hand(path: Path, changed_ns: int) -> Path:
    """Likewise of a file that was listed, whose time is then the listed one, unless it is another file by now."""
    if mirror := mirror_of(path):
        mirror.pull_listed(path, changed_ns)
    return path


def folder_at_hand(path: Path, largest: int | None = None) -> Path:
    """Likewise of a folder that is published as a whole. largest: bytes from which on a file of it isn't fetched."""
    if mirror := mirror_of(path):
        mirror.pull_folder(path, largest)
    return path


def tree_at_hand(path: Path) -> Path:
    """Likewise of all that lies in a folder."""
    if mirror := mirror_of(path):
        mirror.pull_tree(path)
    return path


def names_in(folder: Path, *, folders: bool = False) -> list[str]:
    """Names of files in a folder, or of folders, sorted; hidden ones aren't among them. Empty where it is missing."""
    if mirror := mirror_of(folder):
        found = mirror.folders(folder) if folders else list(mirror.files(folder))
        return sorted(name for name in found if not name.startswith("."))
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir() == folders
            )
    except FileNotFoundError:
        return []


def states_in(folder: Path) -> dict[str, tuple[int, int, str]] | None:
    """Of each file that the object store has in a folder: size, time in nanoseconds since the epoch, and version. None for a
    folder of a disk.
    """
    if (mirror := mirror_of(folder)) is None:
        return None
    return {name: (found.size, changed_ns(found), found.version) for name, found in mirror.files(folder).items()}


def end_of(path: Path, size: int) -> bytes | None:
    """The last bytes of a file of an object store, without fetching it; None for a file of a disk. Raises FileNotFoundError
    where the store has none."""
    if (mirror := mirror_of(path)) is None:
        return None
    found = mirror.end_of(path, size)
    if found is None:
        raise FileNotFoundError(path)
    return found


def remove(path: Path) -> None:
    """Delete a file; nothing happens where there is none."""
    if mirror := mirror_of(path):
        mirror.remove(path)
    else:
        path.unlink(missing_ok=True)


def remove_folder(path: Path) -> None:
    """Delete a published folder."""
    if mirror := mirror_of(path):
        mirror.remove_folder(path)
    else:
        shutil.rmtree(path)


def move(path: Path, target: Path) -> None:
    """Move a file within a store: it is always found in one of the two places, or in both."""
    mirror = mirror_of(path)
    if mirror is None:
        path.rename(target)
        return
    mirror.pull(path)
    version = mirror.put(path, target)
    path.rename(target)
    mirror.remember(target, version)
    mirror.remove(path)


def named(path: Path) -> str:
    """What to call a path to somebody who may have to look there: its URL, where it is of an object store."""
    return object_store_of(path) or str(path)


def removal(paths: Sequence[Path]) -> str:
    """The command that deletes damaged files and folders of a store."""
    if paths and (mirror := mirror_around(paths[0])):
        return f"adg store delete {shlex.join(str(path.relative_to(mirror.root)) for path in paths)}"
    return f"rm -r {shlex.join(map(str, paths))}"


def remove_all(path: Path) -> bool:
    """Delete a file, or a folder with all that lies in it; whether there was anything."""
    found = path.exists()
    if mirror := mirror_around(path):
        found = mirror.remove_all(path) or found
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return found


def object_store_of(path: Path) -> str | None:
    """URL of what a path stands for in an object store; None for a path of a disk."""
    mirror = mirror_around(path)
    return None if mirror is None else f"{mirror.bucket.url}/{path.relative_to(mirror.root).as_posix()}"

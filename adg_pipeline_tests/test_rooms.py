"""The house: which rooms there are, and that imports run one way, from the doors down to the leaves."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "adg_pipeline"

# From the doors down. A room may import from the rows below its own, and from itself.
FLOORS = (
    ("definitions", "cli"),
    ("demo", "assets"),
    ("orchestration",),
    ("lineage", "report"),
    ("store",),
    ("formats", "resources"),
    ("models", "host"),
    ("algorithms",),
    ("settings",),
    ("errors", "progress"),
)
FLOOR = {room: number for number, floor in enumerate(FLOORS) for room in floor}


def modules() -> Iterator[Path]:
    return (path for path in sorted(PACKAGE.rglob("*.py")) if path.parent != PACKAGE or path.stem != "__init__")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    """Line and room of every import of the package, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: line {node.lineno}: relative import"
            names = [node.module or ""]
            if node.module == "adg_pipeline":
                names = [f"adg_pipeline.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "adg_pipeline" and len(parts) > 1:
                yield node.lineno, parts[1]


def test_nothing_lies_at_the_root_but_rooms_and_leaves() -> None:
    entries = {path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    files = {"__init__.py", "definitions.py", "errors.py", "progress.py"}
    assert entries - files == set(FLOOR) - {"definitions", "errors", "progress"}


def test_imports_run_one_way() -> None:
    upward = [
        f"{path.relative_to(PACKAGE)}, line {line}: imports {room}"
        for path in modules()
        for line, room in imported_rooms(path)
        if room != room_of(path) and FLOOR[room] <= FLOOR[room_of(path)]
    ]
    assert not upward


def test_algorithms_know_neither_dagster_nor_models_nor_the_disk() -> None:
    refused = {"dagster", "torch", "transformers", "vllm", "sentence_transformers", "lancedb", "pathlib", "shutil"}
    found = [
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in (PACKAGE / "algorithms").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in _top_names(node)
        if name in refused
    ]
    assert not found


def test_tests_stand_where_the_code_they_test_stands() -> None:
    folders = {path.name for path in Path(__file__).parent.iterdir() if (path / "__init__.py").exists()}
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    # Tests of the whole: what breaks, what is killed, what lies in an object store, what needs vLLM's own environment; and of
    # what isn't in the package.
    assert folders - rooms == {"faults", "kills", "object_store", "vllm", "benchmarks", "deploy"}


def _top_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [(node.module or "").split(".")[0]]
    return []

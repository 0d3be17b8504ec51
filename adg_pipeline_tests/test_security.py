"""What must not leak, and what a hostile name must not do."""

import re
from pathlib import Path

import pytest

from adg_pipeline_tests.resources.generators.faulty_server import serve, status
from adg_pipeline_tests.workbench import Workbench, records

PROJECT = Path(__file__).resolve().parents[1]
KEY = "sk-do-not-tell-4f1c9e"


@pytest.mark.parametrize("refused", [False, True])
def test_the_key_of_an_endpoint_is_written_nowhere(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    monkeypatch.setenv("ADG_ENDPOINT_API_KEY", KEY)
    with serve() as server:
        if refused:
            server.fault = status(401, f"Incorrect API key provided: {KEY}")
        endpoint = {"url": server.url, "model": "tiny"}
        bench.settings["generations"].update(engine="endpoint", backbone="embedded", endpoint=endpoint)
        bench.settings["selected_subset"]["budget"] = 2
        bench.write_settings()
        bench.add("a", records(3))
        done = bench.adg("run")
        assert done.code == (1 if refused else 0), done.err
        assert server.keys == {f"Bearer {KEY}"}
    assert KEY not in done.out + done.err
    files = [path for path in bench.folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)  # Dagster's event logs are among them
    assert [str(path) for path in files if KEY.encode() in path.read_bytes()] == []


HOSTILE = ['it\'s "quoted"', "x' OR 'a'='a", "a..b", "a; DROP TABLE", "%2e%2e%2fetc", "$(id)"]


def test_a_hostile_file_name_is_a_harmless_key(bench: Workbench) -> None:
    bench.settings["selected_subset"]["budget"] = 4
    bench.write_settings()
    bench.add("good", records(4))
    for number, name in enumerate(HOSTILE):
        bench.add(f"{name}x", records(2, first=4 + 2 * number))
    done = bench.adg("run", "--json")
    assert done.code == 0, done.err
    keys = bench.store.shards("divergence_scores")
    assert len(keys) == 1 + len(HOSTILE)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", key) for key in keys)
    assert bench.store.vectors.count("answer_embeddings", "good") == 20
    for hostile in set(keys) - {"good"}:
        bench.store.remove_shard(hostile)
        left = {key: bench.store.vectors.count("answer_embeddings", key) for key in keys if key != hostile}
        assert left == {"good": 20} | {key: 10 for key in keys if key not in ("good", hostile)}
        keys.remove(hostile)
    inside = {path.name for path in (bench.folder / "data").iterdir()}
    assert {path.name for path in bench.folder.iterdir()} == {"data", "dagster", "adg.yaml"}, inside


def test_the_ui_binds_to_loopback(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr("adg_pipeline.host.services.serve", lambda command: started.extend(command) or 0)
    assert bench.adg("dev", "--port", "3999").code == 0
    assert started[started.index("-h") + 1] == "127.0.0.1"
    assert "0.0.0.0" not in (PROJECT / "Makefile").read_text() + (PROJECT / "dagster.yaml").read_text()


def test_nothing_unpickles_and_no_model_brings_code() -> None:
    sources = {path: path.read_text() for path in (PROJECT / "adg_pipeline").rglob("*.py")}
    forbidden = re.compile(r"\bimport pickle|\bpickle\.|joblib|trust_remote_code=True|weights_only=False|yaml\.load\(")
    assert [str(path) for path, text in sources.items() if forbidden.search(text)] == []

"""Files that are touched, copied, renamed or split otherwise: the content counts, and answers follow it."""

import json
import os
import shutil
from collections import Counter

from adg_pipeline_tests.workbench import Workbench, records


def paid(bench: Workbench) -> Counter[str]:
    """Answers asked for and reused by the shards as they stand."""
    counts: Counter[str] = Counter()
    for shard in bench.store.shards("generations"):
        facts = bench.store.required_provenance("generations", shard).facts
        counts.update({name: facts[name] for name in ("asked", "reused")})
    return counts


def states(bench: Workbench) -> dict[str, str]:
    return {row["shard"]: row["state"] for row in bench.adg("status", "--json").json["shards"]}


def run(bench: Workbench) -> None:
    done = bench.adg("run")
    assert done.code == 0, done.err


def test_answers_follow_their_questions_and_times_change_nothing(bench: Workbench) -> None:
    bench.settings["selected_subset"]["budget"] = 4
    bench.write_settings()
    file = bench.folder / "mine.json"
    file.write_text(json.dumps(records(12)), encoding="utf-8")
    assert bench.adg("pool", "add", str(file), "--rows-per-shard", "4").code == 0
    run(bench)
    assert paid(bench) == {"asked": 60, "reused": 0}
    best = bench.subset()

    # Touched, and copied with other times: current, and no answer is looked for.
    for path in bench.pool.glob("*.jsonl"):
        os.utime(path, (1, 1))
    copy = Workbench(bench.folder / "copy", bench.capture, bench.settings)
    shutil.copytree(bench.folder / "data", copy.folder / "data", dirs_exist_ok=True)
    for path in copy.pool.glob("*.jsonl"):
        os.utime(path, (2, 2))
    for each in (bench, copy):
        assert set(states(each).values()) == {"current"}

    # Other bytes of the same size are another content.
    path = copy.pool / "mine-00000.jsonl"
    path.write_bytes(path.read_bytes()[::-1])
    assert states(copy)["mine-00000"] == "stale"

    # Split otherwise, and one of the new shards renamed, by which the others' answers lose their places before theirs are
    # looked for: nothing is paid for twice.
    assert bench.adg("pool", "add", str(file), "--rows-per-shard", "6").code == 0
    (bench.pool / "mine-00001.jsonl").rename(bench.pool / "a-new-name.jsonl")
    run(bench)
    assert sorted(bench.store.shards("generations")) == ["a-new-name", "mine-00000"]
    assert paid(bench) == {"asked": 0, "reused": 60}
    assert bench.subset() == best

"""`adg status` of a large pool is read at a glance, on any width."""

from typing import Any

import pytest

from adg_pipeline.cli.status import summary
from adg_pipeline_tests.workbench import Workbench, records


def row(shard: str, state: str = "current", why: str = "", mend: str = "") -> dict[str, Any]:
    return {"shard": shard, "state": state, "raw_pool": 1000, "why": why, "mend": mend}


def test_shards_that_share_a_state_and_its_reason_are_counted_what_needs_attention_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = [row(f"pool-{number:05d}") for number in range(2000)]
    rows[3] = row(
        "pool-00003", "quarantined", "raw_pool: " + "a long reason " * 12, "mend the file, or `adg run --retry`"
    )
    for number in range(10, 40):
        rows[number] = row(f"pool-{number:05d}", "stale", "raw_pool: the file changed", "`adg run`")
    lines = list(summary(rows))
    assert [line for line in lines if not line.startswith("    ")] == [
        "  1 quarantined",
        "  30 stale",
        "  1,969 current: 1,969,000 examples",
    ]
    assert max(map(len, lines)) <= 80
    assert len(lines) < 20
    text = " ".join(" ".join(lines).split())
    assert "pool-00014 and 25 more (`adg status --all`) why raw_pool: the file changed mend `adg run`" in text


def test_every_state_that_status_knows_has_its_place() -> None:
    for state in ("current", "missing", "stale", "damaged", "quarantined", "running"):
        assert list(summary([row("a", state)]))


def test_a_pool_before_its_first_run_is_summarised_and_all_of_it_is_there_when_asked_for(bench: Workbench) -> None:
    for name in ("a", "b"):
        bench.add(name, records(2))
    told = bench.adg("status").out.splitlines()
    assert told[:3] == [f"pool: 2 shards in {bench.pool}", "  2 missing", "      shards a, b"]
    assert "subset adg: missing" in told
    rows = bench.adg("status", "--all").out.splitlines()
    assert [line.split()[:2] for line in rows[:3]] == [["shard", "state"], ["a", "missing"], ["b", "missing"]]

"""What a run will take is told before it, from a few examples that are paid for once; and afterwards how far off that was."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from adg_pipeline.resources.generators.base import AnswerRequest, Outcome
from adg_pipeline.resources.generators.transformers import TransformersGenerator
from adg_pipeline_tests.resources.generators.faulty_server import serve
from adg_pipeline_tests.workbench import Workbench, records

ROWS, SAMPLE, K = 40, 16, 5


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Request ids that the engine is asked, and what is opened."""
    noted: list[str] = []
    really, opens = TransformersGenerator.generate, TransformersGenerator.open

    def generate(generator: TransformersGenerator, requests: Sequence[AnswerRequest]) -> Iterator[Outcome]:
        noted.extend(request.request_id for request in requests)
        return really(generator, requests)

    def opened(generator: TransformersGenerator) -> None:
        noted.append("opened")
        opens(generator)

    monkeypatch.setattr(TransformersGenerator, "generate", generate)
    monkeypatch.setattr(TransformersGenerator, "open", opened)
    return noted


def in_two_shards(bench: Workbench) -> None:
    rows = records(ROWS)
    bench.add("a", rows[:25])
    bench.add("b", rows[25:])


def stages(bench: Workbench, *arguments: str) -> dict[str, dict[str, Any]]:
    done = bench.adg("plan", "--json", *arguments)
    assert done.code == 0, done.err
    return {row["stage"]: row for row in done.json["stages"]}


def test_what_was_planned_is_what_the_run_then_asks_for(bench: Workbench, asked: list[str]) -> None:
    in_two_shards(bench)
    planned = stages(bench, "--examples", str(SAMPLE), "--per-hour", "36")
    assert len(set(asked) - {"opened"}) == SAMPLE * K
    assert planned["generations"]["what"] == f"{(ROWS - SAMPLE) * K} answers to {ROWS} examples"
    assert planned["answer_embeddings"]["what"] == f"{ROWS * K} answers"
    assert planned["generations"]["money"] == pytest.approx(planned["generations"]["seconds"] / 100)
    assert "reference_losses" not in planned
    assert bench.store.shards("generations") == []
    # A second look asks nothing.
    before = len(asked)
    assert stages(bench)["generations"]["tokens"] == planned["generations"]["tokens"]
    assert len(asked) == before

    assert bench.adg("run").code == 0
    answers = [name for name in asked if name != "opened"]
    assert len(answers) == len(set(answers)) == ROWS * K  # nothing was paid twice

    took = {row["stage"]: row for row in bench.adg("plan", "--took", "--json").json["stages"]}
    assert set(took) == set(planned)
    sampling = took["generations"]
    assert sampling["planned_tokens"] == planned["generations"]["tokens"]
    # All that the tables hold, less what the sample's answers had.
    facts = [bench.store.required_provenance("generations", shard).facts for shard in "ab"]
    assert sampling["tokens"] == sum(one["asked_output_tokens"] for one in facts) > 0
    spread = planned["generations"]["spread"]
    assert abs(sampling["tokens"] / sampling["planned_tokens"] - 1) < 2 * spread < 1
    assert all(row["seconds"] > 0 for row in took.values())
    assert took["answer_embeddings"]["bytes"] == pytest.approx(took["answer_embeddings"]["planned_bytes"], rel=0.05)
    shown = bench.adg("plan", "--took").out
    assert "off by" in shown
    assert "%" in shown

    assert stages(bench) == {}
    assert "nothing is left to compute" in bench.adg("plan").out
    assert "nothing was planned for random" in bench.adg("plan", "--arm", "random", "--took").err


def test_stored_shards_tell_how_fast_the_engine_is(ready: Workbench, asked: list[str]) -> None:
    more = stages(ready, "--set", "generations.samples=7")
    assert more["generations"]["what"] == "48 answers to 24 examples"  # two more of each
    assert more["answer_embeddings"]["what"] == "168 answers"
    assert asked == []
    shown = ready.adg("plan", "--set", "generations.samples=7", "--train")
    assert "rates of 2 stored shards" in shown.out
    assert "generations.samples=3" in shown.out
    assert "selected_subset.budget=24" in shown.out
    assert "not known" in shown.out  # no training was ever done here


def test_a_profile_of_another_machine_needs_no_engine_here(bench: Workbench, asked: list[str], tmp_path: Path) -> None:
    in_two_shards(bench)
    profile = tmp_path / "profile.json"
    here = stages(bench, "--examples", "8", "--write-profile", str(profile), "--arm", "ifd")
    assert here["reference_losses"]["seconds"] > 0
    measured = json.loads(profile.read_text())
    measured["rates"]["generations"] = {"per_second": 50.0, "open_seconds": 30.0, "gpus": 4, "hardware": "4 × H100"}
    profile.write_text(json.dumps(measured))
    asked.clear()
    # As that machine's plan knows nothing of this pool's answers, all of them are to be sampled.
    there = stages(bench, "--profile", str(profile), "--arm", "ifd")
    assert asked == []
    assert there["generations"]["seconds"] == pytest.approx(there["generations"]["tokens"] / 50 + 30)
    assert there["generations"]["gpu_hours"] == pytest.approx(4 * there["generations"]["seconds"] / 3600)

    measured["rates"]["generations"]["per_second"] = 0
    profile.write_text(json.dumps(measured))
    refused = bench.adg("plan", "--profile", str(profile))
    assert refused.code == 1
    assert f"{profile}: rates.generations.per_second: Input should be greater than 0" in refused.err
    assert "there is no such profile" in bench.adg("plan", "--profile", str(tmp_path / "none.json")).err
    assert "two numbers with a comma" in bench.adg("plan", "--per-million", "3").err


def test_cheaper_settings_are_told_from_the_answers_of_the_full_one(bench: Workbench, asked: list[str]) -> None:
    in_two_shards(bench)
    probed = bench.adg("probe", "--examples", "30", "--cut", "3", "--cut", "500", "--json")
    assert probed.code == 0, probed.err
    found = probed.json
    assert len(set(asked) - {"opened"}) == 30 * K
    verdicts = {one["setting"]: one for one in found["verdicts"]}
    assert list(verdicts) == [
        "as set",
        *(f"generations.samples={k}" for k in (2, 3, 4)),
        "generations.max_new_tokens=3",
        "embeddings.embedder=sentence_transformer",
    ]
    assert (found["examples"], found["pool"], found["share"]) == (30, ROWS, 12 / ROWS)
    agreements = [verdicts[f"generations.samples={k}"]["agreement"]["value"] for k in (2, 3, 4)]
    assert agreements == sorted(agreements)
    assert 0 < found["ceiling"] < 1
    assert verdicts["generations.samples=3"]["tokens"] == pytest.approx(0.6 * verdicts["as set"]["tokens"])
    assert 0 < verdicts["generations.samples=3"]["saves"] < 0.4
    assert verdicts["generations.max_new_tokens=3"]["tokens"] < verdicts["as set"]["tokens"]
    for one in verdicts.values():
        assert one["agreement"]["low"] <= one["agreement"]["value"] <= one["agreement"]["high"]
        assert 0 <= one["overlap"] <= 1

    # Its answers serve another probe, and the run.
    asked.clear()
    table = bench.adg("probe", "--examples", "30", "--embedder", "hidden_state")
    assert "embeddings.embedder=hidden_state" in table.out
    assert "read overlaps against that" in table.out
    assert set(asked) == {"opened"}
    assert bench.adg("run").code == 0
    assert len(set(asked) - {"opened"}) == (ROWS - 30) * K


def test_answers_too_few_to_be_parted_are_refused_before_anything_is_asked(bench: Workbench, asked: list[str]) -> None:
    in_two_shards(bench)
    refused = bench.adg("probe", "--set", "generations.samples=3")
    assert refused.code == 2
    assert (
        "generations.samples is 3: a probe parts the answers in two that diverge, so it needs 4 and more" in refused.err
    )
    assert asked == []


def test_a_budget_that_leaves_nothing_to_choose_is_refused(bench: Workbench, asked: list[str]) -> None:
    in_two_shards(bench)
    for command, budget, words in (
        ("probe", ROWS, f"selected_subset.budget is {ROWS} and the pool has {ROWS} examples: all are picked"),
        ("plan", ROWS + 1, f"--budget {ROWS + 1}: "),
    ):
        refused = bench.adg(command, "--budget", str(budget))
        assert refused.code == 2
        assert f"--budget {budget}" in refused.err
        assert words in refused.err
    assert asked == []


def test_of_a_server_tokens_are_paid_and_what_needs_its_tokenizer_is_not_tried(bench: Workbench) -> None:
    in_two_shards(bench)
    bench.settings["embeddings"] = {}
    with serve() as server:
        bench.settings["generations"] = {"engine": "endpoint", "endpoint": {"url": server.url, "model": "tiny"}}
        bench.write_settings()
        planned = bench.adg("plan", "--json", "--examples", "8", "--per-million", "1000,2000")
        assert planned.code == 0, planned.err
        row = next(row for row in planned.json["stages"] if row["stage"] == "generations")
        asked = len(server.bodies)
        assert asked == 8 * K
        # Every answer pays for its prompt, and for what is written.
        prompts = json.loads((bench.store.root / "plans" / "adg.json").read_text())["profile"]["prompt_tokens"]
        assert prompts > 0
        assert row["money"] == pytest.approx(((ROWS - 8) * K * prompts * 1000 + row["tokens"] * 2000) / 1e6)
        assert row["gpu_hours"] == 0
        probed = bench.adg("probe", "--examples", "30", "--cut", "3")
        assert probed.code == 0, probed.err
        assert len(server.bodies) == 30 * K
        assert "not tried: generations.max_new_tokens=3: the tokenizer isn't at hand" in probed.out
        assert "hidden_state isn't tried: the model behind the server isn't named" in probed.err

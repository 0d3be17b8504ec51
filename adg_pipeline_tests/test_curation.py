"""What a selection leaves out beside what its arm would take: end to end, on real files."""

import itertools
import json
from pathlib import Path

import polars as pl

from adg_pipeline.algorithms.filters import REASONS
from adg_pipeline.assets.duplicates import EXACT, NEAR
from adg_pipeline.assets.exclusions import CONTAMINATED, HELD, NEARLY_HELD
from adg_pipeline_tests.workbench import Workbench, records

LONG = "Tell in one sentence which animals live in the deep forest behind the old mill by the river near the northern village"


def ranking(bench: Workbench, arm: str = "adg") -> pl.DataFrame:
    return pl.read_parquet(bench.store.selection_dir(arm) / "ranking.parquet")


def left_out(frame: pl.DataFrame, reason: str) -> dict[str, str]:
    """Who is left out for that reason, and who stands for it."""
    return dict(frame.filter(pl.col("left_out") == reason).select("example_id", "duplicate_of").iter_rows())


def test_the_same_content_under_two_ids_counts_once_and_the_better_score_stays(bench: Workbench) -> None:
    bench.add("a", [{**record, "id": f"a-{n}"} for n, record in enumerate(records(12))])
    bench.add("b", [{**record, "id": f"b-{n}"} for n, record in enumerate(records(12, first=6))])
    assert bench.adg("run").code == 0
    frame = ranking(bench)
    replaced = left_out(frame, EXACT)
    pairs = [{f"a-{n + 6}", f"b-{n}"} for n in range(6)]
    assert sorted(map(sorted, pairs)) == sorted(sorted(pair) for pair in replaced.items())
    scores = dict(frame.select("example_id", pl.col("dispersion") * 0.6 + pl.col("anisotropy") * 0.4).iter_rows())
    for gone, stays in replaced.items():
        assert (-scores[stays], stays) < (-scores[gone], gone)
    assert not bench.store.shards("fingerprints")  # nothing is paid for what nobody asked for


def test_near_duplicates_are_found_over_shards_once_they_are_asked_for(bench: Workbench) -> None:
    near = LONG.replace("Tell", "Say")
    bench.add("a", [*records(12), {"id": "one", "instruction": LONG, "output": "Deer."}])
    bench.add("b", [*records(12, first=12), {"id": "other", "instruction": near, "output": "Owls."}])
    assert bench.adg("run").code == 0
    before = bench.subset()
    assert not left_out(ranking(bench), NEAR)
    done = bench.adg("run", "--set", "selected_subset.near_duplicates=0.8", "--json")
    assert done.code == 0, done.err
    (pair,) = left_out(ranking(bench), NEAR).items()
    assert set(pair) == {"one", "other"}
    assert bench.store.shards("fingerprints") == ["a", "b"]
    told = bench.adg("explain", pair[0], "--json").json["selection"]
    assert told["duplicate_of"] == pair[1]
    assert bench.adg("status", "--json").json["subsets"][0]["state"] == "current"

    bench.add("c", [{"id": "third", "instruction": near.upper(), "output": "Foxes."}])
    assert bench.adg("run").code == 0
    found = left_out(ranking(bench), NEAR)
    assert len(found) == 2
    assert len({*found, *found.values()}) == 3
    assert bench.adg("run", "--as-configured").code == 0
    assert not left_out(ranking(bench), NEAR)
    assert len(before) == len(bench.subset())


def test_every_arm_takes_one_of_each_cluster(bench: Workbench) -> None:
    twice = [*records(12), *({**record, "instruction": record["instruction"] + " "} for record in records(12))]
    bench.add("a", [{**record, "id": f"x{n:02}"} for n, record in enumerate(twice)])
    bench.settings["selected_subset"] |= {"near_duplicates": 0.9, "semantic_duplicates": 0.999}
    bench.write_settings()
    arms = ("adg", "random", "longest", "mig", "deita_filter", "zip", "adg_bottom", "random_length_matched")
    done = bench.adg("run", *(part for arm in arms for part in ("--arm", arm)))
    assert done.code == 0, done.err
    for arm in arms:
        frame = ranking(bench, arm)
        stands = frame.filter(pl.col("duplicate_of").is_not_null())["duplicate_of"]
        assert len(stands) >= 12
        assert set(stands).isdisjoint(frame.filter(pl.col("left_out").is_not_null())["example_id"])


def test_contaminated_examples_are_left_out_by_item_and_words(bench: Workbench, tmp_path: Path) -> None:
    asked = "How many apples has Ann if she buys twelve of them on Monday and eats three of them until Friday night"
    bench.add("a", [*records(12), {"id": "given-away", "instruction": f"Solve: {asked}", "output": "Nine."}])
    bench.add(
        "b", [*records(12, first=12), {"id": "fine", "instruction": "How many apples has Ann?", "output": "Nine."}]
    )
    questions = tmp_path / "asked.jsonl"
    questions.write_text(json.dumps({"question": asked, "answer": "9"}) + "\n", encoding="utf-8")
    refused = bench.adg("run", "--set", "selected_subset.decontaminate=true")
    assert refused.code == 2
    assert "fingerprints.benchmarks" in refused.err
    missing = bench.adg("run", "--set", f'fingerprints.benchmarks=["{tmp_path}/none"]')
    assert missing.code == 2
    assert f"there is no file or folder {tmp_path}/none" in missing.err
    bench.settings["fingerprints"] = {"benchmarks": [str(questions)]}
    bench.settings["selected_subset"] |= {"decontaminate": True}
    bench.write_settings()
    done = bench.adg("run")
    assert done.code == 0, done.err
    out = ranking(bench).filter(pl.col("left_out") == CONTAMINATED)
    assert out["example_id"].to_list() == ["given-away"]
    assert out["found_in"][0] == f"asked.jsonl record 1: {' '.join(asked.lower().split()[:12])}"
    assert bench.adg("explain", "given-away", "--json").json["selection"]["found_in"] == out["found_in"][0]
    assert [bench.store.required_provenance("fingerprints", s).facts["contaminated"] for s in "ab"] == [1, 0]

    assert "up to date" in bench.adg("run").err
    questions.write_text(json.dumps({"question": "another thing", "answer": "9"}) + "\n", encoding="utf-8")
    assert bench.adg("run").code == 0  # what is asked counts by its content
    assert ranking(bench).filter(pl.col("left_out") == CONTAMINATED).is_empty()


def test_what_a_file_or_another_subset_holds_is_left_out(bench: Workbench, tmp_path: Path) -> None:
    near = LONG.replace("Tell", "Say")
    bench.add("a", [*records(20), {"id": "near", "instruction": LONG, "output": "Deer."}])
    other = tmp_path / "other.jsonl"
    held = [*records(3), {"instruction": near, "output": "Owls."}]
    other.write_text("".join(json.dumps({**one, "id": f"o{n}"}) + "\n" for n, one in enumerate(held)), encoding="utf-8")
    bench.settings["selected_subset"] |= {"without": [str(other)]}
    bench.write_settings()
    assert bench.adg("run").code == 0
    out = ranking(bench).filter(pl.col("left_out") == HELD)
    assert out["found_in"].sort().to_list() == [f"other.jsonl record {n}" for n in (1, 2, 3)]
    assert bench.adg("run", "--set", "selected_subset.near_duplicates=0.8").code == 0
    out = ranking(bench).filter(pl.col("left_out") == NEARLY_HELD)
    assert ("near", "other.jsonl record 4") in set(out.select("example_id", "found_in").iter_rows())

    subset = bench.store.selection_dir("adg") / "subset.parquet"
    done = bench.adg("run", "--arm", "random", "--set", f'selected_subset.without=["{subset}"]')
    assert done.code == 0, done.err
    assert set(bench.subset("random")).isdisjoint(bench.subset("adg"))
    own = bench.adg("run", "--set", f'selected_subset.without=["{subset}"]')
    assert own.code == 1
    assert "is this arm's own subset" in own.err


def test_the_funnel_adds_up_from_records_to_subset(bench: Workbench) -> None:
    broken = [{"instruction": "", "output": "x"}, {"instruction": "no answer"}]
    bench.add("a", [*records(10), *broken])
    bench.add("b", [*records(10, first=5), {"instruction": "word " * 3000, "output": "too long"}])
    assert bench.adg("run", "--budget", "4").code == 0
    steps = bench.store.selection_manifest("adg")["funnel"]
    assert [(step["step"], step["examples"]) for step in steps][::3] == [("records read", 23), ("selected", 4)]
    assert sum(steps[0]["left_out"].values()) == 2
    for step, following in itertools.pairwise(steps):
        assert step["examples"] - sum(step["left_out"].values()) == following["examples"]
    assert bench.adg("status", "--json").json["subsets"][0]["funnel"] == steps
    assert "23 records read → 21 examples → " in bench.adg("status").out
    exported = bench.adg("export", "--format", "messages", "--card", "--out", str(bench.folder / "out"))
    assert exported.code == 0
    assert "| records read | 23 |" in (bench.folder / "out" / "README.md").read_text("utf-8")


def test_listed_examples_are_kept_for_every_arm_and_the_budget_stays(bench: Workbench, tmp_path: Path) -> None:
    bench.add("a", [{**record, "id": f"x{n:02}"} for n, record in enumerate(records(20))])
    ids = tmp_path / "keep.txt"
    ids.write_text("x07\nx03\nnobody\n", encoding="utf-8")
    bench.settings["selected_subset"] |= {"must_keep": str(ids), "budget": 5}
    bench.write_settings()
    arms = ("adg", "random", "longest", "mig", "zip", "adg_released", "adg_bottom")
    done = bench.adg("run", *(part for arm in arms for part in ("--arm", arm)))
    assert done.code == 0, done.err
    for arm in arms:
        subset = bench.subset(arm)
        assert subset[:2] == ["x07", "x03"]
        assert len(subset) == len(set(subset)) <= 5
        assert arm == "adg_released" or len(subset) == 5
    assert "1 of 3 entries of the given list are not in the pool" in done.err
    assert "it must be kept" in bench.adg("explain", "x07").out

    ids.write_text("".join(f"x{n:02}\n" for n in range(6)), encoding="utf-8")
    refused = bench.adg("run")
    assert refused.code == 1
    assert "6 examples must be kept and the budget is 5" in refused.err
    without = tmp_path / "not.txt"
    without.write_text("x01\nx02\n", encoding="utf-8")
    flags = ["--set", "selected_subset.must_keep=null", "--set", f'selected_subset.without=["{without}"]']
    assert bench.adg("run", *flags, "--budget", "18").code == 0
    assert set(bench.subset()) == {f"x{n:02}" for n in range(20)} - {"x01", "x02"}


def test_a_list_that_cannot_be_read_is_named_and_is_no_fault_of_a_shard(bench: Workbench, tmp_path: Path) -> None:
    bench.add("a", records(12))
    assert bench.adg("run").code == 0
    before = bench.subset()
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"neither": "a question"}\n')
    for setting in ("without", "must_keep"):
        value = f'["{broken}"]' if setting == "without" else str(broken)
        refused = bench.adg("run", "--set", f"selected_subset.{setting}={value}")
        assert refused.code == 1
        assert str(broken) in refused.err
        assert "Traceback" not in refused.err
    refused = bench.adg(
        "run", "--set", "selected_subset.decontaminate=true", "--set", f'fingerprints.benchmarks=["{broken}"]'
    )
    assert refused.code == 1
    assert f"fingerprints.benchmarks: {broken}" in refused.err
    assert [row["state"] for row in bench.adg("status", "--json").json["shards"]] != ["quarantined"]
    assert bench.subset() == before


def test_a_budget_in_tokens_counts_them_once_and_holds_until_examples_are_asked_for(bench: Workbench) -> None:
    bench.add("a", [{**record, "source": "first"} for record in records(14)])
    assert bench.adg("run").code == 0
    assert not bench.store.shards("token_counts")  # nothing is paid for what nobody asked for
    answered = bench.stamps("generations")
    made = bench.adg("run", "--set", "selected_subset.budget_tokens=150")
    assert made.code == 0, made.err
    manifest = bench.store.selection_manifest("adg")
    assert manifest is not None
    counted = pl.read_parquet(bench.store.table_path("token_counts", "a"))
    assert counted.height == 14
    chosen = counted.filter(pl.col("example_id").is_in(bench.subset()))
    tokens = int(chosen.select(pl.col("prompt_tokens") + pl.col("reference_tokens")).sum().item())
    assert manifest["counts"]["tokens"] == tokens
    assert 75 < tokens <= 150
    assert bench.stamps("generations") == answered
    row = bench.adg("status", "--json").json["subsets"][0]
    assert (row["state"], row["budget"]) == ("current", "150 tokens")
    told = bench.adg("explain", bench.subset()[0], "--json").json["selection"]
    assert (
        told["tokens"] == chosen.filter(example_id=bench.subset()[0]).select(pl.col("^.*tokens$")).sum_horizontal()[0]
    )

    bench.add("b", [{**record, "source": "second"} for record in records(14, first=14)])
    before = bench.stamps("token_counts")
    assert bench.adg("run").code == 0
    assert bench.stamps("token_counts")["a"] == before["a"]
    assert bench.store.shards("token_counts") == ["a", "b"]
    assert bench.adg("run", "--budget", "5").code == 0
    assert len(bench.subset()) == 5
    assert bench.adg("status", "--json").json["subsets"][0]["budget"] == 5

    counts = [pl.read_parquet(bench.store.table_path("token_counts", shard)) for shard in "ab"]
    longest = int(pl.concat(counts).select(pl.col("prompt_tokens") + pl.col("reference_tokens")).max().item())
    refused = bench.adg("run", "--set", "selected_subset.budget_tokens=2")
    assert refused.code == 1
    assert "budget_tokens is 2, and what the arm takes first is longer; the shortest example that can" in refused.err

    bench.settings["selected_subset"] = {"budget": 6, "source_quotas": {"second": 4}, "max_tokens": longest - 1}
    bench.write_settings()
    assert bench.adg("run", "--as-configured").code == 0
    frame = ranking(bench)
    assert dict(frame.filter("selected")["source"].value_counts().iter_rows()) == {"first": 2, "second": 4}
    assert frame.filter("selected")["tokens"].max() < longest
    too_long = frame.filter(pl.col("left_out") == REASONS["too_many_tokens"])
    assert set(too_long["tokens"]) == {longest}
    refused = bench.adg("run", "--set", 'selected_subset.source_quotas={"third": 1}')
    assert refused.code == 1
    assert "no example that can be selected is of third; there are first (" in refused.err + bench.why_failed()
    refused = bench.adg("run", "--set", 'selected_subset.source_quotas={"first": 7}')
    assert "source_quotas ask for 7 = 7 examples, and budget is 6" in refused.err

"""What a selection leaves out beside what its arm would take: end to end, on real files."""

import polars as pl

from adg_pipeline.assets.duplicates import EXACT, NEAR
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

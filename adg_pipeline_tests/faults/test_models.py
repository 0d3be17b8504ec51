"""Models that lack something or overflow, and answers that are empty: named, counted, and the shard goes on."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from adg_pipeline.models.backbones import EMBEDDED_FOLDER
from adg_pipeline_tests.resources.generators import faulty_server
from adg_pipeline_tests.resources.generators.faulty_server import Handler
from adg_pipeline_tests.workbench import Workbench, records


def copy_of_backbone(folder: Path) -> Path:
    return shutil.copytree(EMBEDDED_FOLDER, folder / "backbone")


def edit(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    values = json.loads(file.read_text())
    change(values)
    file.write_text(json.dumps(values))


def scores(bench: Workbench, shard: str) -> dict[str, dict[str, Any]]:
    frame = pl.read_parquet(bench.store.table_path("divergence_scores", shard))
    return {row["example_id"]: row for row in frame.to_dicts()}


def generations(bench: Workbench, shard: str) -> dict[str, dict[str, Any]]:
    frame = pl.read_parquet(bench.store.table_path("generations", shard))
    return {row["example_id"]: row for row in frame.to_dicts()}


def left_out(bench: Workbench) -> dict[str, int]:
    counts: dict[str, int] = (bench.store.selection_manifest("adg") or {})["counts"]["left_out"]
    return counts


def test_a_backbone_without_padding_token_serves_from_answers_to_training(bench: Workbench, tmp_path: Path) -> None:
    folder = copy_of_backbone(tmp_path)
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        edit(folder / name, lambda values: [values.pop(key, None) for key in ("pad_token", "pad_token_id")])
    bench.add("a", records(14))
    done = bench.adg("run", "--json", "--train", "--set", f"generations.backbone={folder}")
    assert done.code == 0, done.err
    assert done.json["selected"] == {"adg": 12}
    assert set(done.json["checkpoints"]) == {"adg"}


def test_a_chat_template_that_is_asked_for_but_missing_is_refused_naming_the_setting(
    bench: Workbench, tmp_path: Path
) -> None:
    folder = copy_of_backbone(tmp_path)
    (folder / "chat_template.jinja").unlink()
    bench.add("a", records(14))
    arguments = ["--set", f"generations.backbone={folder}", "--set", "generations.template=chat"]
    failed = bench.adg("run", *arguments)
    assert failed.code == 1
    assert failed.err.count("generations failed: generations.template is chat, but the tokenizer of") == 1
    assert "set `template: alpaca`" in failed.err
    assert "Traceback" not in failed.err
    assert bench.store.shards("generations") == []

    done = bench.adg("run", *arguments[:2], "--json")
    assert done.code == 0, done.err


def test_prompts_past_a_small_context_are_recorded_and_counted_and_the_rest_goes_on(
    bench: Workbench, finished: Workbench, tmp_path: Path
) -> None:
    bench.add("a", records(12))
    lengths = sorted(row["prompt_tokens"] for row in generations(finished, "a").values())
    context = lengths[8] + 12  # 12 new tokens: so that about a quarter of the prompts is too long
    fits = sum(length <= lengths[8] for length in lengths)
    folder = copy_of_backbone(tmp_path)
    edit(folder / "config.json", lambda values: values.update(max_position_embeddings=context))

    done = bench.adg("run", "--json", "--set", f"generations.backbone={folder}")
    assert done.code == 0, done.err
    rows = generations(bench, "a")
    too_long = {name for name, row in rows.items() if row["status"] == "prompt_too_long"}
    assert len(too_long) == 12 - fits > 0
    for name, row in rows.items():
        assert len(row["answers"]) == (0 if name in too_long else 5)
        assert (row["prompt_tokens"] > lengths[8]) == (name in too_long)  # counted whole: nothing was cut
    facts = bench.store.required_provenance("generations", "a").facts
    assert (facts["prompt_too_long"], facts["ok"], facts["failed"]) == (12 - fits, fits, 0)
    one = min(too_long)
    assert f"exceed the context of {context}" in scores(bench, "a")[one]["reason"]
    assert left_out(bench) == {"its answers are missing or could not be embedded": 12 - fits}
    assert not too_long & set(bench.subset())


def test_a_context_in_which_no_answer_fits_is_refused_naming_the_setting(bench: Workbench, tmp_path: Path) -> None:
    folder = copy_of_backbone(tmp_path)
    edit(folder / "config.json", lambda values: values.update(max_position_embeddings=12))
    bench.add("a", records(14))
    failed = bench.adg("run", "--set", f"generations.backbone={folder}")
    assert failed.code == 1
    assert "generations.max_new_tokens is 12, but" in failed.err
    assert "has a context of 12 tokens, prompt included: lower max_new_tokens" in failed.err
    assert "Traceback" not in failed.err


def test_a_context_in_which_no_prompt_fits_leaves_the_earlier_subset(
    ready: Workbench, finished: Workbench, tmp_path: Path
) -> None:
    folder = copy_of_backbone(tmp_path)
    edit(folder / "config.json", lambda values: values.update(max_position_embeddings=16))
    failed = ready.adg("run", "--set", f"generations.backbone={folder}")
    assert failed.code == 1
    assert (
        "no example can be selected, so the subset at hand stays as it is (24 × its answers are missing" in failed.err
    )
    assert "Traceback" not in failed.err
    assert ready.subset() == finished.subset()


def overflowing_embedder(folder: Path, character: str) -> Path:
    """The backbone, whose hidden states are infinite from this character on."""
    from safetensors.torch import load_file, save_file
    from transformers import PreTrainedTokenizerFast

    model = copy_of_backbone(folder)
    token = PreTrainedTokenizerFast.from_pretrained(str(model)).encode(character, add_special_tokens=False)
    assert len(token) == 1
    weights = load_file(model / "model.safetensors")
    weights["model.embed_tokens.weight"][token[0]] = float("inf")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    return model


def server_pool() -> list[dict[str, str]]:
    return [{"id": f"row-{n:02}", "instruction": f"Tell me of thing {n}.", "output": f"It is {n}."} for n in range(20)]


def served(bench: Workbench, server: faulty_server.FaultyServer, answer: Callable[[str, int], str]) -> None:
    """Let a server answer, by prompt and seed."""

    def reply(handler: Handler) -> None:
        text = answer(handler.body["prompt"], handler.body["seed"])
        handler.reply(200, {"choices": [{"text": text, "finish_reason": "stop"}]})

    server.fault = reply
    endpoint = {"url": server.url, "model": "tiny"}
    bench.settings["generations"] |= {"engine": "endpoint", "backbone": "embedded", "endpoint": endpoint}
    bench.write_settings()


def words(seed: int) -> str:
    return f"It is number {seed % 97} or so."


@contextmanager
def overflowing(bench: Workbench, tmp_path: Path, *bad: str) -> Iterator[faulty_server.FaultyServer]:
    """A pool of 20 whose examples of these words have answers that make the embedder overflow; 10% may."""
    model = overflowing_embedder(tmp_path, "~")
    bench.settings["embeddings"] = {"embedder": "hidden_state", "model": str(model), "max_failed_share": 0.1}
    bench.add("a", server_pool())
    with faulty_server.serve() as server:
        served(bench, server, lambda prompt, seed: ("~ " if any(t in prompt for t in bad) else "") + words(seed))
        yield server


def test_vectors_that_are_not_finite_leave_out_their_rows_and_the_shard_goes_on(
    bench: Workbench, tmp_path: Path
) -> None:
    """One answer of two examples makes the embedder overflow: those two have no score, with the reason."""
    with overflowing(bench, tmp_path, "thing 3.", "thing 7."):
        done = bench.adg("run", "--json")
    assert done.code == 0, done.err
    assert bench.store.required_provenance("answer_embeddings", "a").facts["not_finite"] == 2
    rows = scores(bench, "a")
    invalid = {name for name, row in rows.items() if row["dispersion"] is None}
    assert invalid == {"row-03", "row-07"}
    assert {rows[name]["reason"] for name in invalid} == {"answers could not be embedded: a vector is NaN or infinite"}
    assert left_out(bench) == {"its answers are missing or could not be embedded": 2}
    assert len(bench.subset()) == 12
    explained = bench.adg("explain", "row-03", "--json").json
    assert "could not be embedded" in explained["selection"]["verdict"]


def test_more_overflowing_vectors_than_the_stated_share_fail_the_shard_naming_share_and_setting(
    bench: Workbench, tmp_path: Path
) -> None:
    with overflowing(bench, tmp_path, "thing 3.", "thing 7.", "thing 9.") as server:
        failed = bench.adg("run")
        assert failed.code == 1
        assert "3 of 20 examples have vectors that are NaN or infinite" in failed.err
        assert "more than embeddings.max_failed_share = 0.1 allows; the first is row-03" in failed.err
        assert "Traceback" not in failed.err
        (row,) = bench.adg("status", "--json").json["shards"]
        assert row["state"] == "quarantined"
        assert "embeddings.max_failed_share" in row["why"]

        asked = len(server.bodies)
        done = bench.adg("run", "--retry", "--set", "embeddings.max_failed_share=0.2", "--json")
        assert done.code == 0, done.err
        assert done.json["selected"] == {"adg": 12}
        assert len(server.bodies) == asked  # no answer is paid for twice


def test_an_instruction_that_can_not_be_embedded_leaves_out_its_example_only(bench: Workbench, tmp_path: Path) -> None:
    model = overflowing_embedder(tmp_path, "~")
    bench.settings["embeddings"] = {
        "embedder": "hidden_state",
        "model": str(model),
        "pool": "answer",
        "max_failed_share": 0.1,
    }
    pool = server_pool()
    pool[5]["instruction"] += " ~"
    bench.add("a", pool)
    with faulty_server.serve() as server:
        served(bench, server, lambda prompt, seed: words(seed))
        done = bench.adg("run", "--json")
    assert done.code == 0, done.err
    assert bench.store.required_provenance("instruction_embeddings", "a").facts["not_finite"] == 1
    assert sum(left_out(bench).values()) == 1
    assert "row-05" not in bench.subset()
    assert len(bench.subset()) == 12


def test_an_example_without_bin_is_told_from_one_whose_answers_failed(bench: Workbench) -> None:
    """Here the answers have vectors, only the instruction has none."""
    from adg_pipeline.assets.subset import UNBINNED, rank
    from adg_pipeline.settings.sections import SelectionConfig

    candidates = pl.DataFrame(
        {
            "example_id": ["x", "y"], "shard": ["a", "a"], "content_hash": ["1", "2"], "source": ["s", "s"],
            "dispersion": [0.5, 0.5], "anisotropy": [0.5, 0.5], "modes": [2, 2], "empty_answers": [0, 0],
            "distinct_answers": [5, 5], "output_chars": [9, 9], "bin": [None, 0],
        },
        schema_overrides={"bin": pl.Int32},
    )  # fmt: skip
    ranking, _ = rank(bench.store, "adg", candidates, SelectionConfig(budget=2, stability_examples=0))
    assert dict(ranking.select("example_id", "left_out").iter_rows()) == {"x": UNBINNED, "y": None}


def test_an_example_whose_answers_are_all_empty_is_left_out_with_its_reason(bench: Workbench) -> None:
    bench.add("a", server_pool())
    with faulty_server.serve() as server:
        served(bench, server, lambda prompt, seed: " \n" if "thing 4." in prompt else words(seed))
        done = bench.adg("run", "--json")
    assert done.code == 0, done.err
    row = scores(bench, "a")["row-04"]
    assert (row["empty_answers"], row["dispersion"]) == (5, 0.0)
    assert generations(bench, "a")["row-04"]["status"] == "ok"
    assert bench.store.required_provenance("generations", "a").facts["empty_answers"] == 5
    assert left_out(bench) == {"more of its answers are empty than max_empty_answers": 1}
    assert "row-04" not in bench.subset()
    assert len(bench.subset()) == 12


def test_a_shard_of_nothing_but_empty_answers_leaves_the_others_alone(bench: Workbench) -> None:
    pool = server_pool()
    bench.add("a", pool[:14])
    bench.add("b", pool[14:])
    silent = {f"thing {number}." for number in range(14, 20)}
    with faulty_server.serve() as server:
        served(bench, server, lambda prompt, seed: "" if any(t in prompt for t in silent) else words(seed))
        done = bench.adg("run", "--json")
    assert done.code == 0, done.err
    assert done.json["shards_computed"] == ["a", "b"]
    assert left_out(bench) == {"more of its answers are empty than max_empty_answers": 6}
    assert set(bench.subset()) <= {row["id"] for row in pool[:14]}

"""Every key of a record is used, or the record is rejected with the key's name, or the key is named as not used."""

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adg_pipeline.formats.convert import PoolFileError
from adg_pipeline.formats.fields import is_empty
from adg_pipeline.formats.names import BOOKKEEPING, plain
from adg_pipeline.settings.sections import RawPoolConfig
from adg_pipeline_tests.formats.reading import Converted, alpaca, convert_bytes, convert_file, convert_records

PLAIN = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
GOOD = {"prompt": "Say hi.", "completion": "Hi."}


def as_array(*records: Any) -> Converted:
    return convert_bytes(json.dumps(records).encode())


def as_parquet(*records: Any) -> Converted:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.parquet"
        pq.write_table(pa.Table.from_pylist(list(records)), path)
        return convert_file(path)


def as_tsv(*records: Any) -> Converted:
    text = io.StringIO()
    writer = csv.DictWriter(text, records[0].keys(), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return convert_bytes(text.getvalue().encode(), name="pool.tsv")


CONTAINERS = [convert_records, as_array, as_parquet]
every_container = pytest.mark.parametrize("convert", CONTAINERS)
every_flat_container = pytest.mark.parametrize("convert", [*CONTAINERS, as_tsv])


def turns(example: dict[str, Any]) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"]) for turn in example["messages"]]


@every_flat_container
@pytest.mark.parametrize("name", ["context", "passage", "document", "Context", "article"])
def test_the_context_of_a_question_is_its_input(convert, name):
    (example,) = convert({"question": "Which river?", name: "It lies on the Elbe.", "answer": "The Elbe."}).examples
    assert (example["instruction"], example["input"]) == ("Which river?", "It lies on the Elbe.")
    assert (example["output"], example["messages"]) == ("The Elbe.", None)


def test_two_contexts_are_both_told():
    (example,) = convert_records(alpaca(input="Which?", context="The Elbe.")).examples
    assert example["input"] == "Which?\n\nThe Elbe."


def test_contexts_may_be_a_list():
    (example,) = convert_records({"question": "?", "contexts": ["a", "b"], "answer": "x"}).examples
    assert example["input"] == "a\n\nb"


def test_a_question_beside_an_instruction_is_what_it_is_about():
    (example,) = convert_records({"instruction": "Answer in one word.", "question": "Which?", "answer": "x"}).examples
    assert (example["instruction"], example["input"]) == ("Answer in one word.", "Which?")


def test_a_context_beside_a_conversation_is_rejected_by_name():
    converted = convert_records({"messages": PLAIN}, {"messages": PLAIN, "document": "A text."})
    assert converted.reasons == ["context beside a conversation: 'document': write it into the turn that asks about it"]


@every_flat_container
@pytest.mark.parametrize("name", ["system", "system_prompt", "system_message", "System Prompt", "system-prompt"])
@pytest.mark.parametrize("shape", [("prompt", "completion"), ("instruction", "response"), ("question", "answer")])
def test_system_text_in_a_column_is_a_system_turn(convert, name, shape):
    (example,) = convert({name: "Answer in German.", shape[0]: "Name a colour.", shape[1]: "Rot."}).examples
    assert turns(example) == [("system", "Answer in German."), ("user", "Name a colour."), ("assistant", "Rot.")]


@pytest.mark.parametrize("parts", [[{"type": "text", "text": "Be kind."}], {"text": "Be kind."}, ["Be kind."]])
def test_system_text_may_be_parts_that_are_text(parts):
    (example,) = convert_records({"messages": PLAIN, "system": parts}).examples
    assert turns(example)[0] == ("system", "Be kind.")


def test_system_text_stands_once_beside_a_conversation_that_has_it():
    system = {"role": "system", "content": "Be kind."}
    (example,) = convert_records({"messages": [system, *PLAIN], "system": "Be kind."}).examples
    assert turns(example)[0] == ("system", "Be kind.")


@every_flat_container
@pytest.mark.parametrize("names", [("query", "response"), ("prompt", "generation"), ("problem", "solution")])
def test_other_names_of_question_and_answer(convert, names):
    (example,) = convert(dict(zip(names, ("2 + 2?", "4"), strict=True))).examples
    assert (example["instruction"], example["output"]) == ("2 + 2?", "4")


def test_two_answers_that_differ_are_rejected_with_the_mend():
    converted = convert_records(GOOD, {**GOOD, "response": "Go away."})
    assert "both 'response' and 'completion'" in converted.reasons[0]
    assert "raw_pool.columns" in converted.reasons[0]


@pytest.mark.parametrize(
    "answers",
    [
        {"solution": "It is 4.", "answer": "4"},
        {"answer": "4", "solution": "It is 4."},
        {"solution": "It is 4.", "answer": 4},
        {"output": "4", "answer": "It is 4."},
        {"response": "It is 4.", "answer": "It is 4."},
    ],
)
def test_of_an_answer_and_the_solution_that_holds_it_the_solution_is_learnt(answers):
    (example,) = convert_records({"problem": "2 + 2?", **answers}).examples
    assert example["output"] == "It is 4."


def test_answers_of_which_none_holds_all_others_are_rejected():
    answers = {"answer": "4", "solution": "It is 4.", "generation": "I count 4 of them."}
    converted = convert_records(GOOD, {"problem": "2 + 2?", **answers})
    assert "both 'generation' and 'solution'" in converted.reasons[0]


def test_the_answer_that_a_key_is_mapped_to_is_taken_whatever_holds_it():
    record = {"problem": "2 + 2?", "answer": "4", "solution": "It is 4."}
    (example,) = convert_records(
        record, config=RawPoolConfig(columns={"instruction": "problem", "output": "answer"})
    ).examples
    assert example["output"] == "4"


def test_an_answer_that_is_part_of_the_solution_is_named_as_not_used():
    told = convert_records({"problem": "2 + 2?", "solution": "It is 4.", "answer": "4"}).summary.unused
    assert told == {"answer": 1}


@every_container
@pytest.mark.parametrize(
    "mark",
    [
        {"label": False},
        {"label": 0},
        {"label": "undesirable"},
        {"kto_tag": False},
        {"kto_tag": "false"},
        {"is_correct": False},
        {"desirable": False},
        {"undesirable": True},
        {"rejected": True},
        {"thumbs_down": True},
    ],
)
def test_an_answer_marked_as_bad_is_rejected_by_name(convert, mark):
    (name,) = mark
    good = {**GOOD, "prompt": "Another.", name: type(mark[name])(not mark[name]) if mark[name] in (0, 1) else "true"}
    converted = convert({**GOOD, **mark}, good)
    assert converted.summary.reasons == {"marked as undesirable": 1}
    assert f"'{name}'" in converted.reasons[0]
    assert [example["instruction"] for example in converted.examples] == ["Another."]


def test_a_class_label_is_no_mark_and_is_named():
    converted = convert_records({**GOOD, "label": "greeting"}, {**GOOD, "prompt": "b", "label": 3})
    assert (converted.summary.accepted, converted.summary.unused) == (2, {"label": 2})


CHOSEN_TURNS = [{"role": "user", "content": "Say hi."}, {"role": "assistant", "content": "Hi."}]
REJECTED_TURNS = [{"role": "user", "content": "Say hi."}, {"role": "assistant", "content": "No."}]


@every_container
@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "Say hi.", "chosen": "Hi.", "rejected": "No."},
        {"question": "Say hi.", "chosen": "Hi.", "rejected": "No."},
        {"instruction": "Say hi.", "input": "", "chosen": "Hi.", "rejected": "No."},
        {"prompt": "Say hi.", "chosen_response": "Hi.", "rejected_response": "No."},
        {"chosen": CHOSEN_TURNS, "rejected": REJECTED_TURNS},
        {"prompt": "Say hi.", "chosen": CHOSEN_TURNS, "rejected": REJECTED_TURNS},
        {"prompt": CHOSEN_TURNS[:1], "chosen": CHOSEN_TURNS[1:], "rejected": REJECTED_TURNS[1:]},
        {"messages": CHOSEN_TURNS, "chosen": CHOSEN_TURNS, "rejected": REJECTED_TURNS},
        {
            "conversations": [{"from": "human", "value": "Say hi."}],
            "chosen": {"from": "gpt", "value": "Hi."},
            "rejected": {"from": "gpt", "value": "No."},
        },
        {
            "input": {"messages": CHOSEN_TURNS[:1]},
            "preferred_output": CHOSEN_TURNS[1:],
            "non_preferred_output": REJECTED_TURNS[1:],
        },
        {"chosen": "\n\nHuman: Say hi.\n\nAssistant: Hi.", "rejected": "\n\nHuman: Say hi.\n\nAssistant: No."},
        {"instruction": "Say hi.", "output": ["Hi.", "No."]},
        {"prompt": "Say hi.", "responses": ["Hi.", "No."], "ranking": [0, 1]},
        {"prompt": "Say hi.", "responses": ["No.", "Hi."], "ranking": [1, 0]},
        {"prompt": "Say hi.", "responses": ["No.", "Hi."], "scores": [1, 5]},
        {"prompt": "Say hi.", "responses": ["Hi.", "No."], "rewards": [0.5, -2.0]},
        {"prompt": "Say hi.", "responses": ["Hi.", "No."], "scores": [1.0]},
    ],
)
def test_of_a_preference_pair_the_chosen_answer_is_the_reference(convert, record):
    (example,) = convert(record).examples
    assert (example["instruction"], example["output"], example["messages"]) == ("Say hi.", "Hi.", None)


def test_a_preference_pair_without_a_chosen_answer_is_rejected():
    pair = {"prompt": "Say hi.", "chosen": "Hi.", "rejected": "No."}
    assert convert_records(pair, {**pair, "chosen": None}).summary.reasons == {"missing field": 1}


def test_answers_true_and_false_of_a_pair_are_no_marks():
    (example,) = convert_records({"prompt": "Is it?", "chosen": "False", "rejected": "True"}).examples
    assert example["output"] == "False"


@every_container
@pytest.mark.parametrize(
    "mark",
    [
        {"weight": 0},
        {"weight": 0.0},
        {"train": False},
        {"loss": False},
        {"loss_weight": 0.0},
        {"mask": True},
        {"label": False},
    ],
)
def test_a_conversation_ends_at_its_last_turn_that_may_be_learnt(convert, mark):
    more = [{"role": "user", "content": "And?"}, {"role": "assistant", "content": "Bad.", **mark}]
    converted = convert({"messages": [*PLAIN, *more]}, {"messages": [PLAIN[0], {**PLAIN[1], **mark}]})
    (example,) = converted.examples
    assert (example["instruction"], example["output"], example["messages"]) == ("Hi", "Hello", None)
    assert converted.summary.reasons == {"nothing to be learnt": 1}


def test_an_earlier_turn_that_must_not_be_learnt_stays_in_the_prompt():
    more = [{"role": "user", "content": "And?"}, {"role": "assistant", "content": "Good."}]
    (example,) = convert_records({"messages": [PLAIN[0], {**PLAIN[1], "weight": 0}, *more]}).examples
    assert [turn["learn"] for turn in example["messages"]] == [True, False, True, True]


def test_a_weight_between_counts_as_one_and_is_named():
    converted = convert_records({"messages": [PLAIN[0], {**PLAIN[1], "weight": 0.5}]})
    assert (converted.summary.accepted, converted.summary.unused) == (1, {"messages[].weight": 1})


def test_a_mark_that_can_be_read_in_two_ways_is_rejected_by_name():
    converted = convert_records({"messages": PLAIN}, {"messages": [PLAIN[0], {**PLAIN[1], "mask": 1}]})
    assert "'messages[].mask'" in converted.reasons[0]


def test_a_record_that_is_not_to_be_learnt_is_rejected():
    assert convert_records(GOOD, {**GOOD, "weight": 0}).summary.reasons == {"nothing to be learnt": 1}


@every_container
@pytest.mark.parametrize(
    "media",
    [
        {"images": ["1.jpg"]},
        {"image": "1.jpg"},
        {"audios": ["1.wav"]},
        {"videos": ["1.mp4"]},
        {"image": {"bytes": b"\x89PNG", "path": None}},
        {"Image": b"\x89PNG"},
        {"audio": {"array": [0.1, 0.2], "sampling_rate": 16000}},
    ],
)
def test_what_needs_more_than_text_is_rejected_by_name(convert, media):
    if convert is not as_parquet and any(isinstance(value, bytes | dict) for value in media.values()):
        media = dict.fromkeys(media, "1.jpg")
    (name,) = media
    records = [{**GOOD, "prompt": "<image>\nWhich?", **media}, {**GOOD, name: None}]
    converted = convert(*records)
    assert converted.reasons == [f"not text: '{plain(name)}': needs something else than text"]
    assert converted.summary.accepted == 1


def test_an_empty_list_of_images_and_a_mention_of_one_are_no_image():
    converted = convert_records({**GOOD, "images": []}, {**GOOD, "prompt": "What does <image> mean in HTML?"})
    assert converted.summary.accepted == 2


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "image", "video", "file"])
def test_a_part_that_is_no_text_is_rejected_by_its_type(kind):
    asked = {"role": "user", "content": [{"type": "text", "text": "Which?"}, {"type": kind, kind: {"url": "1"}}]}
    converted = convert_records({"messages": PLAIN}, {"messages": [asked, PLAIN[1]]})
    assert kind in converted.reasons[0]
    assert "something else than text" in converted.reasons[0]


@every_container
@pytest.mark.parametrize("name", ["value", "text", "content"])
def test_parts_under_other_names(convert, name):
    parts = [{"type": "text", name: "Hi"}]
    (example,) = convert(
        {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": parts}]}
    ).examples
    assert (example["instruction"], example["output"]) == ("Hi", "Hi")


@every_container
@pytest.mark.parametrize("name", ["reasoning_content", "thinking", "reasoning"])
def test_reasoning_apart_from_the_answer_is_kept(convert, name):
    (example,) = convert({"messages": [PLAIN[0], {**PLAIN[1], name: "Be polite."}]}).examples
    assert example["output"] == "Hello"
    assert example["messages"][-1]["reasoning"] == "Be polite."


def test_reasoning_in_a_column_and_in_a_part_is_kept():
    parts = [{"type": "thinking", "thinking": "Be polite."}, {"type": "text", "text": "Hello"}]
    column, part = (
        convert_records(
            {"prompt": "Hi", "response": "Hello", "reasoning": "Be polite."},
            {"messages": [PLAIN[0], {"role": "assistant", "content": parts}], "id": 2},
        ).examples[0],
        convert_records({"messages": [PLAIN[0], {"role": "assistant", "content": parts}]}).examples[0],
    )
    assert column["messages"] == part["messages"]
    assert column["content_hash"] == part["content_hash"]


def test_reasoning_beside_a_conversation_is_that_of_its_answer():
    (example,) = convert_records({"messages": PLAIN, "reasoning": "Be polite."}).examples
    assert [turn["reasoning"] for turn in example["messages"]] == ["", "Be polite."]


def test_what_a_conversation_tells_as_well_is_not_called_unused():
    assert convert_records({"prompt": "Hi", "messages": PLAIN}).summary.unused == {}
    assert convert_records({"prompt": "Bye", "messages": PLAIN}).summary.unused == {"prompt": 1}


def test_two_questions_that_differ_are_rejected_with_the_mend():
    converted = convert_records(alpaca(), {**alpaca("Be brief."), "prompt": "Which?"})
    assert "both 'instruction' and 'prompt'" in converted.reasons[0]


def test_thinking_in_the_text_stays_there():
    (example,) = convert_records({"prompt": "Hi", "completion": "<think>Hm.</think>Hello"}).examples
    assert (example["output"], example["messages"]) == ("<think>Hm.</think>Hello", None)


@every_container
@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"conversation": [{"human": "Hi", "assistant": "Hello"}]}, ("Hi", "Hello")),
        ({"conversation": [{"input": "Hi", "output": "Hello"}]}, ("Hi", "Hello")),
        ({"conversation": PLAIN}, ("Hi", "Hello")),
        ({"data": ["Hi", "Hello"]}, ("Hi", "Hello")),
        ({"messages": [{"role": "prompter", "text": "Hi"}, {"role": "ai", "text": "Hello"}]}, ("Hi", "Hello")),
        ({"messages": json.dumps(PLAIN)}, ("Hi", "Hello")),
        ({"conversations": json.dumps(PLAIN)}, ("Hi", "Hello")),
        ({"prompt": PLAIN[:1], "completion": "Hello"}, ("Hi", "Hello")),
        ({"prompt": "Hi", "completion": PLAIN[1:]}, ("Hi", "Hello")),
        ({"messages": PLAIN[:1], "response": "Hello"}, ("Hi", "Hello")),
    ],
)
def test_other_forms_of_a_conversation(convert, record, said):
    (example,) = convert(record).examples
    assert (example["instruction"], example["output"], example["messages"]) == (*said, None)


def test_a_tree_gives_the_path_of_the_best_ranked_replies():
    def node(role: str, text: str, *replies: dict[str, Any], **fields: Any) -> dict[str, Any]:
        return {"role": role, "text": text, "replies": list(replies), **fields}

    worse = node("assistant", "Go away.", rank=1)
    deleted = node("assistant", "Spam.", rank=0, deleted=True)
    thanks = node("prompter", "Thanks.", node("assistant", "Welcome.", rank=0), rank=0)
    tree = {
        "message_tree_id": "t",
        "prompt": node("prompter", "Hi", worse, deleted, node("assistant", "Hello", thanks, rank=0)),
    }
    (example,) = convert_records(tree).examples
    assert turns(example) == [("user", "Hi"), ("assistant", "Hello"), ("user", "Thanks."), ("assistant", "Welcome.")]


def test_choices_beside_a_question_are_used_only_where_its_text_has_them():
    told = {"question": "Which? (a) Elbe (b) Rhine", "choices": ["Elbe", "Rhine"], "answer": "Elbe"}
    converted = convert_records(told, {**told, "question": "Which?"})
    assert converted.summary.accepted == 1
    assert "'choices'" in converted.reasons[0]


@every_flat_container
def test_unknown_keys_are_named_with_the_number_of_records_that_have_them(convert):
    first = {**GOOD, "annotator": "Ada", "notes": "", "category": "greeting", "url": "x"}
    converted = convert(first, {**first, "prompt": "b", "notes": "x"})
    assert converted.summary.unused == {"annotator": 2, "notes": 1}
    assert converted.summary.notes == ["keys not used: annotator (2), notes (1)"]


def test_an_unknown_key_of_a_turn_is_named_with_its_place():
    converted = convert_records({"messages": [{**PLAIN[0], "mood": "good"}, PLAIN[1]]})
    assert converted.summary.unused == {"messages[].mood": 1}


def test_a_vector_in_parquet_is_named_and_not_read():
    converted = as_parquet({**GOOD, "embedding": [0.5, 0.25]})
    assert converted.summary.unused == {"embedding": 1}


KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


@settings(max_examples=80, deadline=None)
@given(KEYS, st.sampled_from(["x", 1, True, ["x"], {"a": "b"}]))
def test_no_key_with_a_value_is_dropped_without_a_word(key, value):
    record = {"prompt": "Say hi.", "completion": "Hi.", key: value}
    try:
        converted = convert_records(record)
    except PoolFileError:
        return
    plain_one = convert_records(GOOD)
    changed = converted.examples[0]["content_hash"] != plain_one.examples[0]["content_hash"]
    known = plain(key) in BOOKKEEPING or is_empty(value) or key in GOOD
    assert changed or known or converted.summary.unused or plain(key) in ("label", "good", "weight", "train", "correct")


def test_keys_are_mapped_as_the_user_says():
    config = RawPoolConfig(columns={"instruction": "question_text", "output": "best", "id": "key"})
    record = {
        "question_text": "Which?",
        "best": "The Elbe.",
        "worst": "None.",
        "key": "k7",
        "output": "?",
        "answer": "x",
    }
    converted = convert_records(record, config=config)
    (example,) = converted.examples
    assert (example["instruction"], example["output"], example["example_id"]) == ("Which?", "The Elbe.", "k7")
    assert converted.summary.unused == {"answer": 1, "output (not mapped)": 1, "worst": 1}


def test_a_mapped_key_that_the_file_does_not_have_is_named_with_those_it_has():
    with pytest.raises(PoolFileError, match=r"pool\.json.*best \(for output\).*\[prompt, completion\]"):
        convert_records(GOOD, config=RawPoolConfig(columns={"output": "best"}))


def test_a_mapping_leaves_this_pipelines_own_shards_alone():
    own = {"example_id": "1", "source": "s", "instruction": "a", "input": "", "output": "b", "content_hash": "x"}
    (example,) = convert_records(own, config=RawPoolConfig(columns={"instruction": "question_text"})).examples
    assert example["instruction"] == "a"


def test_what_cannot_be_mapped_is_refused_naming_what_can():
    with pytest.raises(ValueError, match=r"question is no field.*instruction, input, output"):
        RawPoolConfig(columns={"question": "q"})


def test_a_mapping_is_part_of_the_recipe_only_where_there_is_one():
    assert "columns" not in RawPoolConfig().recipe()
    assert RawPoolConfig(columns={"output": "best"}).recipe()["columns"] == {"output": "best"}

"""How an answer ends: the words of servers, and where a stop text cuts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adg_pipeline.resources.generators.endings import StopTexts, ending


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("stop", "stop"), ("eos_token", "stop"), ("stop_sequence", "stop"), ("eos", "stop"), ("end_turn", "stop"),
        ("STOP", "stop"), ("length", "length"), ("MAX_TOKENS", "length"), ("model_length", "length"),
        ("FINISH_REASON_MAX_TOKENS", "length"), ("tool_calls", "tool_calls"), ("tool-calls", "tool_calls"),
        ("function_call", "tool_calls"),
    ],
)  # fmt: skip
def test_servers_say_it_in_many_words(word: str, meant: str) -> None:
    assert ending(word) == meant


@pytest.mark.parametrize("word", ["content_filter", "content-filter", "error", "abort", "SAFETY", "load", "", None, 3])
def test_any_other_word_says_that_there_is_no_answer(word: object) -> None:
    assert ending(word) is None


@pytest.mark.parametrize(
    ("answer", "cut"),
    [
        ("Paris.\n\n### Instruction:\nName a", "Paris."),
        ("Paris.\n### Instruction:\nName a", "Paris."),
        ("Paris.\n\n\n### Instruction:", "Paris.\n"),
        ("a END b\n### Instruction:", "a "),
        ("\n### Instruction:", ""),
        ("Paris. ### Instruction", None),
    ],
)
def test_answer_is_cut_before_the_first_stop_that_is_complete(answer: str, cut: str | None) -> None:
    assert StopTexts(["\n### Instruction:", "\n\n### Instruction:", "END"]).cut(answer) == cut


@given(st.text("ab\n"), st.lists(st.text("ab\n", min_size=1, max_size=3)))
def test_a_cut_is_the_same_as_text_comes_character_by_character(answer: str, texts: list[str]) -> None:
    stops = StopTexts(texts)
    grown = (stops.cut(answer[:size]) for size in range(len(answer) + 1))
    assert stops.cut(answer) == next((cut for cut in grown if cut is not None), None)
    assert stops.cut(answer) == StopTexts(texts[::-1]).cut(answer)

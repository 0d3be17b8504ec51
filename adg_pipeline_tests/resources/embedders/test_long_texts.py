"""Texts longer than an embedder reads at a time: read in windows, or cut and counted. Short ones never notice."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adg_pipeline.resources.embedders import HiddenStateEmbedder, SentenceTransformerEmbedder
from adg_pipeline.resources.embedders.reading import weighted_mean
from adg_pipeline.resources.embedders.windows import windows_of

SHORT = ["A red apple.", "Trains run late in winter, and nobody minds.", "42", ""]
LONG = "The tree grows by the river, and the stone lies still. " * 30


@pytest.fixture(scope="module")
def windows(embedder: SentenceTransformerEmbedder) -> SentenceTransformerEmbedder:
    return embedder


@pytest.fixture(scope="module")
def cut() -> Iterator[SentenceTransformerEmbedder]:
    with SentenceTransformerEmbedder(device="cpu", batch_size=4, long_texts="cut") as opened:
        yield opened


def test_answers_that_differ_only_after_the_first_window_differ(
    windows: SentenceTransformerEmbedder, cut: SentenceTransformerEmbedder
) -> None:
    answers = [[LONG + "So it is true.", LONG + "So it is false, says the judge."]]
    read = windows.embed_answers(["Why?"], answers)[0]
    assert np.abs(read[0] - read[1]).max() > 1e-3
    np.testing.assert_allclose(np.linalg.norm(read, axis=1), 1, atol=1e-6)
    assert windows.reading.long.tolist() == [[True, True]]
    assert not windows.reading.cut.any()
    lost = cut.embed_answers(["Why?"], answers)[0]
    np.testing.assert_array_equal(lost[0], lost[1])
    assert cut.reading.cut.tolist() == [[True, True]]


def test_texts_that_fit_have_the_same_vector_to_the_last_bit_beside_long_ones(
    windows: SentenceTransformerEmbedder, cut: SentenceTransformerEmbedder
) -> None:
    texts = [*SHORT, LONG, LONG[5:]]
    read, lost = windows.embed_instructions(texts), cut.embed_instructions(texts)
    np.testing.assert_array_equal(read[:4], lost[:4])
    assert (read[4:] != lost[4:]).any(axis=1).all()
    assert cut.reading.cut.tolist() == [False] * 4 + [True] * 2
    library = cut._model.encode(sorted(text for text in texts if text), batch_size=4, normalize_embeddings=True)
    np.testing.assert_array_equal(
        lost[[0, 1, 2, 4, 5]], library[[sorted(filter(None, texts)).index(t) for t in texts if t]]
    )


def test_a_long_text_is_the_mean_of_its_windows_by_their_tokens(windows: SentenceTransformerEmbedder) -> None:
    (tokens,) = windows._tokenize([LONG])
    room = windows._room
    assert room == 254
    border = int(tokens.offsets[room, 0])
    parts = [LONG[:border], LONG[border:]]
    counts = [len(part.ids) for part in windows._tokenize(parts)]
    assert max(counts) <= room
    expected = np.array(counts) @ windows.embed_instructions(parts)
    np.testing.assert_allclose(windows.embed_instructions([LONG])[0], expected / np.linalg.norm(expected), atol=1e-5)


@settings(deadline=None, max_examples=60)
@given(st.text(st.sampled_from("ab ก字🎉é.\n"), max_size=120), st.integers(1, 9))
def test_parts_of_a_text_are_all_of_it_and_none_is_too_long(
    windows: SentenceTransformerEmbedder, text: str, room: int
) -> None:
    parts = windows._parts(text, room)
    assert all(count <= room or len(part) == 1 for part, count in parts)
    kept = "".join(part for part, _ in parts)
    assert "".join(kept.split()) == "".join(text.split())


@pytest.mark.parametrize("pool", ["answer", "sequence"])
def test_hidden_states_of_all_windows_are_one_mean(pool: str) -> None:
    asked, answers = "Tell it.", [["yes", "a river and a stone, 12 of them, " * 20 + "true", "a river " * 60 + "false"]]
    options = {"device": "cpu", "pool": pool, "max_tokens": 64, "batch_size": 2}
    with (
        HiddenStateEmbedder("embedded", long_texts="windows", **options) as windows,  # type: ignore[arg-type]
        HiddenStateEmbedder("embedded", long_texts="cut", **options) as cut,  # type: ignore[arg-type]
    ):
        read, lost = windows.embed_answers([asked], answers)[0], cut.embed_answers([asked], answers)[0]
        np.testing.assert_array_equal(read[0], lost[0])
        assert np.abs(read[1:] - lost[1:]).max() > 1e-3
        np.testing.assert_allclose(np.linalg.norm(read, axis=1), 1, atol=1e-5)
        assert windows.reading.long.tolist() == cut.reading.cut.tolist() == [[False, True, True]]
        assert not windows.reading.cut[0, 1:].any() or pool == "answer"
        end = windows.embed_answers([asked], [["a river " * 60 + "true", "a river " * 60 + "false"]])[0]
        assert np.abs(end[0] - end[1]).max() > 1e-4


@given(total=st.integers(1, 300), longest=st.integers(8, 64), share=st.floats(0, 1))
def test_every_token_of_an_answer_is_pooled_once_and_no_window_is_too_long(
    total: int, longest: int, share: float
) -> None:
    first = min(total - 1, int(share * total))
    parts = list(windows_of(np.arange(total), first, longest))
    assert all(0 < len(part.ids) <= longest for part in parts)
    pooled = [token for part in parts for token in part.ids[part.pooled_from :].tolist()]
    assert pooled == list(range(first, total))
    assert all(part.pooled_from == longest // 4 for part in parts[1:])


def test_pooling_over_the_sequence_is_cut_as_released_unless_windows_are_asked_for() -> None:
    assert HiddenStateEmbedder("embedded", pool="sequence").fingerprint()["long_texts"] == "cut"
    assert HiddenStateEmbedder("embedded").fingerprint()["long_texts"] == "windows"


def test_an_instruction_that_does_not_fit_before_its_answer_counts_as_cut() -> None:
    with HiddenStateEmbedder("embedded", device="cpu", max_tokens=32) as embedder:
        embedder.embed_answers(["word " * 200, "Say"], [["yes"], ["yes"]])
    assert embedder.reading.cut.tolist() == [[True], [False]]


def test_a_window_that_overflows_makes_its_text_nan_and_no_other() -> None:
    vectors = np.array([[1, 0], [np.nan, 0], [0, 1], [0, 0]], dtype=np.float32)
    means = weighted_mean(vectors, np.array([3.0, 1.0, 2.0, 0.0]), [0, 0, 1, 2], 3)
    assert np.isnan(means).any(axis=1).tolist() == [True, False, False]
    np.testing.assert_array_equal(means[1:], [[0, 1], [0, 0]])


def test_progress_goes_on_within_a_call_and_ends_at_the_total(windows: SentenceTransformerEmbedder) -> None:
    seen: list[tuple[int, int]] = []
    windows.embed_instructions([*(f"text {number}" for number in range(9)), LONG], lambda *at: seen.append(at))
    done = [at for at, _ in seen]
    assert done == sorted(set(done))
    assert len(seen) > 3
    assert seen[-1][0] == seen[-1][1]
    with HiddenStateEmbedder("embedded", device="cpu", batch_size=2, max_tokens=64) as embedder:
        seen.clear()
        embedder.embed_instructions(["one", "two", "three", "a river " * 60], lambda *at: seen.append(at))
    assert len(seen) > 2
    assert seen[-1][0] == seen[-1][1]

"""What bins are named by: words that tell them from the pool."""

from adg_pipeline.algorithms.topics import telling_words, words_of

COOKING = ["Write a recipe for apple cake", "A recipe with chocolate, please", "Give me the recipe of an apple pie"]
LAW = ["Explain the contract law of France", "Which law covers a contract?", "Please write about law"]


def test_a_bin_is_named_by_what_its_texts_say_and_others_dont() -> None:
    named = telling_words({0: COOKING, 1: LAW}, [*COOKING, *LAW])
    assert named[0][:2] == ["recipe", "apple"]
    assert named[1][:2] == ["law", "contract"]
    # Both bins have it, and both have words that the other lacks.
    assert "please" not in named[0] + named[1]


def test_what_one_text_says_over_and_over_doesnt_name_a_bin() -> None:
    once = ["zebra " * 50 + "law", *LAW]
    assert "zebra" not in telling_words({0: once}, [*once, *COOKING])[0]


def test_the_order_of_texts_doesnt_matter() -> None:
    assert telling_words({0: COOKING}, [*COOKING, *LAW]) == telling_words({0: COOKING[::-1]}, [*LAW, *COOKING])


def test_scripts_without_spaces_have_words_too() -> None:
    assert words_of("写一首诗") == {"写一", "一首", "首诗"}
    chinese = ["写一首关于春天的诗", "写一首诗", "请写诗"]
    assert telling_words({0: chinese}, [*chinese, *LAW, *COOKING], count=1)[0] in (["写一"], ["一首"])


def test_a_bin_without_telling_words_has_no_name() -> None:
    assert telling_words({0: ["123", "???"]}, COOKING) == {0: []}

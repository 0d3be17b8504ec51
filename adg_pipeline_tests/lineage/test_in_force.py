"""Which settings hold for an arm's subset, and what is refused of arms."""

from pathlib import Path

import pytest

from adg_pipeline.errors import SettingsError
from adg_pipeline.lineage.in_force import require_read, settings_in_force
from adg_pipeline.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.delenv("ADG_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return Store(data_dir=str(tmp_path / "data"))


def configure(text: str) -> None:
    Path("adg.yaml").write_text(text, "utf-8")


def test_a_flag_wins_over_what_is_kept_that_over_the_arm_and_the_arm_over_its_section(store: Store) -> None:
    configure("selected_subset: {budget: 10, weight: 0.1}\narms: {mine: {budget: 20}}\n")
    budget = "selected_subset.budget"

    def holds(arm: str | None, **flags: str) -> int:
        given = {f"{budget}={value}": f"--budget {value}" for value in flags.values()}
        return settings_in_force(store, arm, given).settings.selected_subset.budget

    assert (holds(None), holds("adg"), holds("mine")) == (10, 10, 20)
    assert settings_in_force(store, "mine").settings.selected_subset.weight == 0.1
    store.kept.keep("mine", ["selected_subset"], {budget: {"value": 30, "adg.yaml": 20}})
    assert (holds("adg"), holds("mine"), holds("mine", flag="40")) == (10, 30, 40)
    assert settings_in_force(store, "mine", as_configured=True).settings.selected_subset.budget == 20
    # The file now says something else of the arm: what is kept has had its day.
    configure("selected_subset: {budget: 10}\narms: {mine: {budget: 25}}\n")
    assert holds("mine") == 25


def test_an_arm_of_the_file_may_change_a_built_in_one_further(store: Store) -> None:
    configure("arms: {adg_grounded: {reach: -2.0}}\n")
    config = settings_in_force(store, "adg_grounded").settings.selected_subset
    assert (config.reach, config.length_control) == (-2.0, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("arms:\n  mine:\n    rnak: top\n", "adg.yaml, line 3: arms.mine.rnak: unknown key; known here: "),
        ("arms:\n  mine:\n    budget: 0\n", "adg.yaml, line 3: arms.mine.budget: Input should be greater than or equal"),
        ("arms:\n  mine: {rank: best}\n", "adg.yaml, line 2: arms.mine.rank: Input should be 'top', 'middle' or"),
        ("arms:\n  mine: {selector: best}\n", "adg.yaml, line 2: arms.mine.selector: there is no selector 'best'; choose"),
        ("arms:\n  mine: {selector: zip, rank: middle}\n", "adg.yaml, line 2: arms.mine.rank: zip doesn't read it: leave it"),
        ("arms: {longest: {weight: 0.1}}\n", "adg.yaml, line 1: arms.longest.weight: longest doesn't read it: leave it out"),
        ("arms: {longest: {quota: released}}\n", "arms.longest.quota: longest without bins doesn't read it: leave it out"),
        ("arms: {mine: {seed: 3}}\n", "adg.yaml, line 1: arms.mine.seed: adg doesn't read it: leave it out"),
        ("arms:\n  mine: ifd\n", "adg.yaml, line 2: arms.mine: Input should be a valid dictionary"),
        ("arms:\n  ../mine: {}\n", "adg.yaml, line 2: arms: a name has letters, digits, _ and -"),
        ("arms:\n  -mine: {}\n", "adg.yaml, line 2: arms: a name has letters, digits, _ and -"),
        ("arms: [mine]\n", "adg.yaml, line 1: arms: Input should be a valid dictionary"),
        ("sensors:\n  arms: [adg, best]\n", "adg.yaml, line 2: sensors.arms: there is no arm 'best'; known are adg, adg_"),
        ("sensors: {selectors: [adg]}\n", "adg.yaml, line 1: sensors.selectors: unknown key; known here: interval_seconds"),
        ("selected_subset:\n  selector: best\n", "adg.yaml, line 2: selected_subset.selector: there is no selector 'best'"),
    ],
)  # fmt: skip
def test_what_cannot_be_an_arm_is_refused_with_its_line(store: Store, text: str, words: str) -> None:
    configure(text)
    with pytest.raises(SettingsError) as refused:
        settings_in_force(store)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("selected_subset.selector=best", "--set selected_subset.selector=best: selected_subset.selector: there is no"),
        ("arms.mine.budget=3", "--set arms.mine.budget=3: an arm stands in adg.yaml"),
    ],
)
def test_flags_name_no_arm_and_no_selector_that_there_is_not(store: Store, flag: str, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings_in_force(store, "adg", {flag: f"--set {flag}"})
    assert words in str(refused.value)


def test_a_flag_that_none_of_the_arms_reads_is_refused(store: Store) -> None:
    flag = "selected_subset.weight=0.5"

    def ask(*arms: str) -> None:
        given = {flag: f"--set {flag}", "selected_subset.budget=9": "--budget 9", "generations.samples=4": "--set …"}
        require_read({arm: settings_in_force(store, arm, given) for arm in arms}, given)

    ask("random", "adg")  # one of them does
    with pytest.raises(SettingsError) as refused:
        ask("random", "zip")
    assert str(refused.value) == (
        f"--set {flag}: selected_subset.weight: random doesn't read it, zip doesn't read it: leave it out"
    )


def test_an_arm_that_there_is_not_is_refused_with_those_that_there_are(store: Store) -> None:
    configure("arms: {mine: {}}\n")
    with pytest.raises(
        SettingsError, match=r"there is no arm 'other': known are adg, .*, mine; others are named under"
    ):
        settings_in_force(store, "other")

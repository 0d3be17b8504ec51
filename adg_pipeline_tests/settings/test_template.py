"""The commented settings file: all there, harmless as it is, and the defaults once its comments are taken off."""

from pathlib import Path

import pytest
import yaml

from adg_pipeline.cli.main import main
from adg_pipeline.settings.loading import Settings, load_settings
from adg_pipeline.settings.template import settings_template


def test_as_it_is_it_sets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "adg.yaml"
    path.write_text(settings_template(), encoding="utf-8")
    assert load_settings(path) == Settings()


def test_without_its_comments_it_holds_every_default(tmp_path: Path) -> None:
    lines = [line.removeprefix("#") for line in settings_template().splitlines()]
    path = tmp_path / "adg.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    told = yaml.safe_load(path.read_text("utf-8"))
    assert told.pop("arms") == {"small": {"budget": 500}}
    assert told == Settings().model_dump(mode="json", exclude={"arms"})
    assert load_settings(path) == Settings(arms={"small": {"budget": 500}})


def test_one_line_and_its_section_can_be_taken_up(tmp_path: Path) -> None:
    text = settings_template().replace("#generations:", "generations:").replace("#  samples: 5", "  samples: 7")
    path = tmp_path / "adg.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_settings(path).generations.samples == 7


def test_every_setting_says_what_it_means_and_what_is_allowed() -> None:
    text = settings_template()
    assert "[transformers, " in text or "[vllm, " in text
    assert "[≥ 0, ≤ 1]" in text
    lines = text.splitlines()
    for number, line in enumerate(lines):
        setting = line.startswith("#  ") and not line.lstrip("#").lstrip().startswith("#") and not line.endswith(":")
        if setting and "small" not in line:
            assert lines[number - 1].lstrip("# ") != "", line
        assert len(line) <= 160


def test_the_command_writes_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ADG_CONFIG", raising=False)
    main(["init"])
    assert capsys.readouterr().out == "adg.yaml\n"
    (tmp_path / "adg.yaml").write_text("mine", encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["init"])
    assert ended.value.code == 1
    assert (tmp_path / "adg.yaml").read_text("utf-8") == "mine"

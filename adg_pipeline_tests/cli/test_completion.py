"""The shell completes commands, options and their values."""

from click.shell_completion import ShellComplete

from adg_pipeline.cli.main import adg


def completed(words: list[str], begun: str) -> set[str]:
    complete = ShellComplete(adg, {}, "adg", "_ADG_COMPLETE")
    return {item.value for item in complete.get_completions(words, begun)}


def test_commands_options_and_formats_are_completed() -> None:
    assert completed([], "ex") == {"explain", "export"}
    assert {"doctor", "init", "run", "status"} <= completed([], "")
    assert "--budget" in completed(["run"], "--b")
    assert completed(["export", "--format"], "trl") == {"trl", "trl-messages"}

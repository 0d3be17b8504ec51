"""What everybody waits for: loading the code location as Dagster does, and the command's help."""

import subprocess
import sys

from benchmarks.result import Result, arguments, best_seconds, report

LOOKS: tuple[tuple[str, float, list[str]], ...] = (
    ("loading the code location", 1.5, ["-c", "import adg_pipeline.definitions"]),
    ("adg --help", 0.3, ["-m", "adg_pipeline.cli", "--help"]),
)
DAGSTER = ["-c", "import dagster"]


def run() -> list[Result]:
    def seconds(command: list[str]) -> float:
        return best_seconds(lambda: subprocess.run([sys.executable, *command], check=True, capture_output=True), 5)

    nothing, dagster = seconds(["-c", ""]), seconds(DAGSTER)
    note = f"a process and its end; Python alone takes {nothing:.2f} s, with dagster imported {dagster:.2f} s"
    return [
        Result(name, seconds(command), "s", at_most=at_most, note=f"{note}; best of 5")
        for name, at_most, command in LOOKS
    ]


if __name__ == "__main__":
    options = arguments(__doc__).parse_args()
    report(run(), as_json=options.json)

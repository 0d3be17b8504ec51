"""Programs that a model wrote, each run in a process of its own with what limits the kernel offers.

It is a fence around mistakes and around what a model picks up, not a prison for an adversary: docs/evaluation.md says what
it stops and what it doesn't. `confined` is the script that runs inside.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from math import comb
from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).with_name("confined.py")


@dataclass(frozen=True)
class Limits:
    """What one program gets: seconds of the processor (and `patience` times as many by the clock), MiB of memory, and MiB
    of each file that it writes. The benchmarks' own runner gives three seconds by the clock, which one of mbpp's reference
    answers (123) needs on a quiet machine: where others are at work it would fail now and then."""

    seconds: int = 5
    memory_mib: int = 1024
    file_mib: int = 16
    patience: int = 6


def passes(program: str, limits: Limits | None = None) -> bool:
    """Whether a program comes to its end without an error and within its limits."""
    limits = limits or Limits()
    word = secrets.token_hex(16)
    asked = json.dumps({"word": word, "program": program})
    return _start("confine", limits, asked) == word


@cache
def fences() -> dict[str, str]:
    """What of it this machine has: time and memory everywhere on a Unix, network, processes and files where the kernel
    lets an ordinary user: {"network": "namespace", "files": "landlock", …}.
    """
    found: dict[str, str] = json.loads(_start("probe", Limits(), "") or "{}")
    return found


def _start(what: str, limits: Limits, told: str) -> str:
    """What the script writes within its time; empty where it wrote nothing."""
    command = [sys.executable, "-I", str(_SCRIPT), what, json.dumps(asdict(limits))]
    with tempfile.TemporaryDirectory(prefix="adg-program-", ignore_cleanup_errors=True) as folder:
        # Nothing of our environment: it may hold keys.
        environment = {"PATH": os.defpath, "HOME": folder, "TMPDIR": folder, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder,
            env=environment, text=True, start_new_session=True,
        )  # fmt: skip
        try:
            said, _ = process.communicate(told, timeout=limits.seconds * limits.patience)
        except subprocess.TimeoutExpired:
            said = ""
        finally:
            _end(process)
    return said.strip()


def _end(process: subprocess.Popen[str]) -> None:
    """It and all that it started, as far as they are still of its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.communicate()


class CodeEval:
    """The metric ``code_eval`` as the harness' tasks call it, with programs run here.

    pass@k of n programs of which c pass is 1 - C(n - c, k) / C(n, k) (Chen et al. 2021, arXiv 2107.03374).
    """

    def compute(
        self, references: Sequence[str], predictions: Sequence[Sequence[str]], k: Sequence[int] = (1, 10, 100)
    ) -> tuple[dict[str, float], dict[int, list[tuple[int, dict[str, Any]]]]]:
        """references: the tests of each question. predictions: programs for each of them."""
        marks = [
            [passes(f"{program}\n{tests}") for program in programs]
            for tests, programs in zip(references, predictions, strict=True)
        ]
        shares = {
            f"pass@{few}": _mean(_pass_at(len(of), sum(of), few) for of in marks) for few in k if _enough(marks, few)
        }
        told = {
            place: [(number, {"passed": passed}) for number, passed in enumerate(of)] for place, of in enumerate(marks)
        }
        return shares, told


def _enough(marks: Sequence[Sequence[bool]], few: int) -> bool:
    return all(len(of) >= few for of in marks)


def _pass_at(count: int, passed: int, few: int) -> float:
    return 1.0 - comb(count - passed, few) / comb(count, few)


def _mean(values: Any) -> float:
    listed = list(values)
    return float(sum(listed) / len(listed)) if listed else 0.0

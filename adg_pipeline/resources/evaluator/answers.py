"""A model's answers on disk as soon as they are had, so that an evaluation that was killed goes on where it was."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from adg_pipeline.host.disk import disk_faults
from adg_pipeline.progress import Progress

Keys = list[str]


class AnswerJournal:
    """JSON lines of answers by a hash of what was asked, read when made. (The harness' own cache holds pickles.)"""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._answers: dict[str, Any] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._read()

    def __contains__(self, key: str) -> bool:
        return key in self._answers

    def __getitem__(self, key: str) -> Any:
        return self._answers[key]

    def __len__(self) -> int:
        return len(self._answers)

    def append(self, answers: dict[str, Any]) -> None:
        lines = "".join(json.dumps([key, answer]) + "\n" for key, answer in answers.items())
        with disk_faults(self.path), self.path.open("a", encoding="ascii") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        self._answers.update(answers)

    def _read(self) -> None:
        whole = 0
        with self.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):  # cut off by a crash
                    break
                whole += len(line)
                key, answer = json.loads(line)
                self._answers[key] = answer
        os.truncate(self.path, whole)


class KeptAnswers:
    """A model of the harness whose answers are kept; everything else is the model's own.

    Requests are answered in chunks of a size that depends on nothing, and a chunk that isn't kept whole is asked again
    whole: so an evaluation that was interrupted makes the same batches, and has the same figures, as one that wasn't.

    Attributes:
        prompts: What was asked, different prompts only: (tokens of room that their answers take, prompt).
    """

    def __init__(self, model: Any, journal: AnswerJournal, chunk: int, progress: Progress) -> None:
        self._model, self._journal, self._chunk, self._progress = model, journal, chunk, progress
        self.prompts: set[tuple[int, str]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        return [(value, greedy) for value, greedy in self._answered(requests, self._model.loglikelihood)]

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        return self._answered(requests, self._model.loglikelihood_rolling)

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        return self._answered(requests, self._model.generate_until)

    def _answered(self, requests: Sequence[Any], ask: Callable[..., list[Any]]) -> list[Any]:
        keys = _keys(requests, ask.__name__)
        self.prompts |= {(self._room(request), request.args[0]) for request in requests}
        different = list(dict(zip(keys, requests, strict=True)).items())
        for start in range(0, len(different), self._chunk):
            chunk = different[start : start + self._chunk]
            if any(key not in self._journal for key, _ in chunk):
                answers = ask([request for _, request in chunk], disable_tqdm=True)
                self._journal.append({key: answer for (key, _), answer in zip(chunk, answers, strict=True)})
            self._progress(start + len(chunk), len(different))
        return [self._journal[key] for key in keys]

    def prompts_cut(self) -> int:
        """How many prompts don't fit into the model with their answers, so that it read their ends alone."""
        longest = self._model.max_length
        return sum(len(self._model.tok_encode(prompt)) > longest - room for room, prompt in self.prompts)

    def _room(self, request: Any) -> int:
        how = request.args[1] if len(request.args) > 1 else None
        return int(how.get("max_gen_toks") or self._model.max_gen_toks) if isinstance(how, dict) else 0


def _keys(requests: Sequence[Any], kind: str) -> Keys:
    """What was asked, hashed. Of answers that are drawn, each is a question of its own."""
    seen: dict[str, int] = {}

    def named() -> Iterator[str]:
        for request in requests:
            asked = json.dumps([kind, *request.args], sort_keys=True, default=str)
            is_drawn = len(request.args) > 1 and isinstance(request.args[1], dict) and request.args[1].get("do_sample")
            seen[asked] = seen.get(asked, -1) + 1
            yield hashlib.sha256(f"{asked}{seen[asked] if is_drawn else ''}".encode()).hexdigest()[:32]

    return list(named())

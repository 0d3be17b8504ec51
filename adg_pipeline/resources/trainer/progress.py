"""What a training says while it runs: a line in Dagster's log and a record in the training log, every few steps."""

import json
import math
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from adg_pipeline.resources.trainer.checkpoints import mark_complete
from adg_pipeline.resources.trainer.job import TrainingError


class Progress(TrainerCallback):
    """Tells each logged loss, and marks checkpoints complete.

    Args:
        log: File of JSON lines: step, epoch, loss, learning_rate, gradient_norm, token_accuracy, tokens, seconds.
            ``seconds`` and ``tokens`` count from the start of the training, over its crashes.
        say: Takes a line for the user's log. Called in the main process only.
    """

    def __init__(self, log: Path, say: Callable[[str], None]) -> None:
        self._log = log
        self._say = say
        self._records: list[dict[str, Any]] = []
        self._resumed_from = 0
        self._started = 0.0
        self._last_time = 0.0
        self._last_tokens = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._resumed_from = state.global_step
        if self._log.exists():
            records = (json.loads(line) for line in _whole_lines(self._log))
            self._records = [record for record in records if record["step"] <= state.global_step]
        if state.is_world_process_zero:
            self._log.write_text("".join(json.dumps(record) + "\n" for record in self._records), encoding="utf-8")
        self._started = self._last_time = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        # The last steps are logged too when their number isn't a multiple of logging_steps.
        control.should_log |= state.global_step >= state.max_steps

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if not logs or "loss" not in logs or not state.is_world_process_zero:
            return
        if not math.isfinite(logs["loss"]):
            raise TrainingError(f"the loss is {logs['loss']} at step {state.global_step}: lower learning_rate")
        now = time.monotonic()
        before = self._records[-1] if self._records else {"tokens": 0, "seconds": 0.0}
        tokens, seconds = int(logs["num_tokens"]) - self._last_tokens, now - self._last_time
        self._last_tokens, self._last_time = int(logs["num_tokens"]), now
        record = {
            "step": state.global_step,
            "epoch": round(logs["epoch"], 4),
            "loss": logs["loss"],
            "learning_rate": logs["learning_rate"],
            "gradient_norm": logs.get("grad_norm"),
            "token_accuracy": round(logs["mean_token_accuracy"], 6),
            "tokens": before["tokens"] + tokens,
            "seconds": round(before["seconds"] + seconds, 3),
        }
        self._records.append(record)
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        steps_left = state.max_steps - state.global_step
        left = (now - self._started) / (state.global_step - self._resumed_from) * steps_left
        self._say(
            f"step {state.global_step}/{state.max_steps} (epoch {logs['epoch']:.2f}): loss {logs['loss']:.4f}, "
            f"learning rate {logs['learning_rate']:.3g}, {tokens / seconds:,.0f} tokens/s, "
            f"{timedelta(seconds=round(left))} left"
        )

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        args.distributed_state.wait_for_everyone()
        if state.is_world_process_zero:
            mark_complete(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}")


def _whole_lines(file: Path) -> list[str]:
    """The lines of a file but for one that a crash cut off."""
    return [line for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]

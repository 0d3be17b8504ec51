"""How a run reads in a terminal: its messages and faults, one line each, without Dagster's own event noise."""

import logging
import re
import sys
from typing import TextIO

import dagster as dg

from adg_pipeline.host.signals import signal_that_came
from adg_pipeline.orchestration.runs import is_interrupt
from adg_pipeline.progress import is_for_the_log, tell

_OURS = re.compile(r"adg_pipeline\.[\w.]+: ")  # the class that a message of ours begins with


# A failed run repeats what its failed step has said already, and so does every step that waited for it. Nor does it help
# anybody that a training's pipe works.
_NOISE = ("Dependencies for step", "[pipes] external process successfully")
_NO_MORE = "Downstream steps will not execute."


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        meta = getattr(record, "dagster_meta", {}) or {}
        event = getattr(record, "dagster_event", None) or meta.get("dagster_event")
        message = meta.get("orig_message") or record.getMessage()
        if event is not None and getattr(event, "is_step_failure", False):
            message = f"{event.step_key} failed: {_reason(event)}"
        return message if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {message}"


def _reason(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    return str(data.user_failure_data.description if data.user_failure_data else _cause(data.error))


def _cause(error: object) -> str:
    # Dagster wraps what the step raised. The user wants to read the error of ours, which tells the mend, or else what
    # was raised in the first place.
    while getattr(error, "cause", None) is not None and not _OURS.match(str(getattr(error, "message", ""))):
        error = error.cause  # type: ignore[attr-defined]
    return _OURS.sub("", str(getattr(error, "message", error)).strip())


class _NoRunNoise(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        meta = getattr(record, "dagster_meta", {}) or {}
        event = getattr(record, "dagster_event", None) or meta.get("dagster_event")
        message = str(meta.get("orig_message", ""))
        if message.startswith(_NOISE) or message.endswith("finished without success or failure event. " + _NO_MORE):
            return False
        if event is None:
            return not is_for_the_log()
        # That somebody ended the run is told by the command; a step that dies of it before it can say so, too.
        return bool(getattr(event, "is_step_failure", False)) and not is_interrupt(event) and signal_that_came() is None


class _ToTerminal(logging.StreamHandler[TextIO]):
    """To the terminal of the command that started the run, or else to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        if not tell(line=self.format(record)):
            super().emit(record)


@dg.logger
def progress_logger(init_context: dg.InitLoggerContext) -> logging.Logger:
    """One line per message: what the stages say, warnings, the reason of a failure."""
    logger = logging.Logger("adg", logging.INFO)
    handler = _ToTerminal(sys.stderr)
    handler.setFormatter(_Lines())
    handler.addFilter(_NoRunNoise())
    logger.addHandler(handler)
    return logger


LOGGERS = {"console": dg.colored_console_logger, "progress": progress_logger}

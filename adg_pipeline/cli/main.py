"""The command ``adg``: drives the same assets on the same Dagster instance as the UI.

Progress goes to stderr, results to stdout. Exit codes: 0 done, 1 failed, 2 bad arguments or settings,
130 and 143 stopped by Ctrl-C and by SIGTERM.
A module per command; nothing heavy is imported before a command needs it, so that ``adg --help`` answers at once.
"""

import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from adg_pipeline.cli import (
    arms,
    benchmarks,
    compare,
    demo,
    dev,
    doctor,
    evaluate,
    explain,
    export,
    init,
    plan,
    pool,
    probe,
    run,
    status,
    store,
    subset,
)
from adg_pipeline.cli.output import say
from adg_pipeline.host.signals import signals_kept


class Stopped(Exception):
    """Somebody ended the command. Click would write an empty line for KeyboardInterrupt, into files too."""


class Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of use, not of the alphabet."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Stopped from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="adg-pipeline", prog_name="adg")
def adg() -> None:
    """Instruction-data selection by answer divergence.

    The pool lies in $ADG_DATA_DIR/pool (default data/pool), one file per shard. Settings come from adg.yaml, or from
    the file that $ADG_CONFIG names.
    """


for command in (
    demo.demo,
    init.init,
    doctor.doctor,
    pool.pool,
    plan.plan,
    probe.probe,
    run.run,
    status.status,
    arms.arms,
    subset.subset,
    explain.explain,
    export.export,
    store.store,
    benchmarks.benchmarks,
    evaluate.evaluate,
    compare.compare,
    dev.dev,
):
    adg.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. A fault that a user can mend is one line, without a traceback."""
    from pydantic import ValidationError

    command: Callable[..., Any] = adg
    try:
        with signals_kept() as came:
            command(args=arguments, prog_name="adg", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt, Stopped):
        if sys.stderr.isatty():
            say("")  # after the terminal's own ^C
        say("stopped; what was finished is kept, the same command goes on from there")
        sys.exit(128 + (came[0] if came else signal.SIGINT))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (ValueError, RuntimeError, OSError) as error:
        from adg_pipeline.errors import PipelineError, SettingsError

        if isinstance(error, SettingsError):
            say("\n".join(f"error: {fault}" for fault in str(error).splitlines()))
            sys.exit(2)
        if isinstance(error, ValidationError) or not _for_users(error, PipelineError):
            raise
        say(f"error: {error}")
        sys.exit(1)
    except Exception as error:
        from adg_pipeline.orchestration.instance import instance_fault

        fault = instance_fault(error)
        if fault is None:
            raise
        say(f"error: {fault}")
        sys.exit(1)


def _for_users(error: Exception, base: type[Exception]) -> bool:
    """Whether the message says all that a user needs: our own errors, and the system's about files."""
    return isinstance(error, base | OSError) or type(error).__module__.startswith("adg_pipeline.")

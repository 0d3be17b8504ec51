"""Signals that end a command are kept and, where it matters, held."""

import os
import signal
import subprocess
import sys

import pytest

from adg_pipeline.host.signals import nothing_more, signal_that_came, signals_held, signals_kept, until_told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_known_also_where_another_handler_forgets_it(number: signal.Signals) -> None:
    with signals_kept() as came:
        assert signal_that_came() is None
        before = signal.signal(number, lambda *_: None)
        os.kill(os.getpid(), number)
        signal.signal(number, before)
        assert signal_that_came() == number
        assert signal_that_came() == number
    assert came == [number]
    assert signal_that_came() is None  # whoever runs jobs in this process later isn't stopped by it


def test_sigterm_interrupts_as_ctrl_c_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), signals_kept() as came:
        os.kill(os.getpid(), signal.SIGTERM)
    assert came == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_waits_while_they_are_held() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), signals_held():
        os.kill(os.getpid(), signal.SIGINT)
        reached.append(True)
    assert reached == [True]


def test_sigusr1_ends_nothing_but_lets_nothing_more_begin_also_in_a_step_of_its_own() -> None:
    child = "from adg_pipeline.host.signals import nothing_more; print(nothing_more())"
    begun = []
    with signals_kept() as came:
        for item in until_told([1, 2, 3]):
            begun.append(item)
            if item == 2:
                os.kill(os.getpid(), signal.SIGUSR1)
        assert begun == [1, 2]
        assert signal_that_came() is None
        assert nothing_more()
        said = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True)
        assert said.stdout.strip() == "True"
    assert came == [signal.SIGUSR1]
    assert not nothing_more()

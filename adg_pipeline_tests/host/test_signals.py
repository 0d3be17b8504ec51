"""Signals that end a command are kept and, where it matters, held."""

import os
import signal

import pytest

from adg_pipeline.host.signals import signal_that_came, signals_held, signals_kept


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

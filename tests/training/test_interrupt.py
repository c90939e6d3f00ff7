"""Ctrl-C as a request, also where one piece of work is part of another."""

from __future__ import annotations

import os
import signal

import pytest

from sortgate_training.interrupt import stop_on_signals


def test_what_stops_the_inner_work_stops_the_outer() -> None:
    with stop_on_signals() as outer:
        with stop_on_signals() as inner:
            os.kill(os.getpid(), signal.SIGINT)
            assert inner.requested
        assert (outer.requested, outer.reason) == (True, "Ctrl-C")
        with stop_on_signals() as later:
            assert later.requested


def stopped_twice() -> None:
    with stop_on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)


def test_a_second_signal_does_not_wait() -> None:
    with pytest.raises(KeyboardInterrupt):
        stopped_twice()
    with stop_on_signals() as fresh:
        assert not fresh.requested

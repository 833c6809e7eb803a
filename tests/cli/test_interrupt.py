"""Ctrl-C: Python drops an interrupt that comes while it clears an object away; the next step of the work must not."""

from __future__ import annotations

import os
import signal

import pytest
import typer

from kdcompress.cli._terminal import working


class Cleared:
    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)  # raises KeyboardInterrupt here, where Python ignores it


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_drops_breaks_off_at_the_next_step() -> None:
    with pytest.raises(KeyboardInterrupt), working() as terminal:
        terminal.progress.step(1, {})
        one = Cleared()
        del one
        terminal.progress.step(2, {})
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_comes_at_once_as_ever() -> None:
    with pytest.raises(KeyboardInterrupt), working():
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("not reached")


def test_a_handler_of_ones_own_is_left_alone() -> None:
    def own(*_: object) -> None: ...

    before = signal.signal(signal.SIGINT, own)
    try:
        with working():
            assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_a_library_makes_another_error_of_is_one(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), working():
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            raise AttributeError("'dict' object has no attribute '_type_spec'") from None


def test_an_error_without_an_interrupt_stays_one() -> None:
    with pytest.raises(AttributeError), working():
        raise AttributeError("x")


def test_an_exit_that_a_command_chose_after_an_interrupt_is_its_own() -> None:
    with pytest.raises(typer.Exit), working():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None

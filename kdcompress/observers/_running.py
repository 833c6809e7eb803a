"""A run under observation: every observer hears of its start and its end, and none can break it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from kdcompress.errors import one_line
from kdcompress.events import Event, Listener, RunFailed, RunFinished, RunStarted, SweepFinished
from kdcompress.observers._base import Observer
from kdcompress.progress import Calls, Progress

R = TypeVar("R", bound=Mapping[str, Any])


class _Guard(Listener):
    """Passes events on to an observer until it raises."""

    def __init__(self, observer: Observer, warn: Callable[[str], None]) -> None:
        self._observer, self._warn, self._open = observer, warn, True

    def observe(self, event: Event) -> None:
        """Pass the event on; leave an observer that raises out from now on, with a warning."""
        if not self._open:
            return
        try:
            self._observer.observe(event)
        except (Exception, SystemExit) as exc:
            self._give_up(exc)
            with contextlib.suppress(Exception, SystemExit):
                self._observer.close()

    def close(self) -> None:
        """Close the observer, unless it was given up."""
        if self._open:
            try:
                self._observer.close()
            except (Exception, SystemExit) as exc:
                self._give_up(exc)
            self._open = False

    def _give_up(self, exc: BaseException) -> None:
        self._open = False  # before the warning, which is an event too
        self._warn(f"observer {self._observer.name} failed and is left out from now on: {one_line(exc)}")


def check_observers(observers: Iterable[Observer]) -> None:
    """Check that observers can work, before anything is trained.

    Raises:
        MissingExtraError: A package that one of them needs is not installed.
    """
    for observer in observers:
        observer.check()


def observe_run(
    work: Callable[[Progress], R],
    run: Path,
    recipe: Mapping[str, Any],
    resumed: bool,
    observers: Sequence[Observer],
    progress: Progress,
    finished: type[RunFinished] | type[SweepFinished] = RunFinished,
) -> R:
    """Do the work of a run or sweep while observers watch.

    Args:
        work: Does it, and reports to the progress that it is called with.
        run: Its folder.
        recipe: The resolved recipe as plain values.
        resumed: Whether it continues what was interrupted.
        observers: Each hears that the run started, what happens in it, and once that it finished or failed; then it is
            closed. One that raises is left out from then on, with a warning.
        progress: Is reported to as well.
        finished: The event of its result.

    Returns:
        What `work` returned.
    """
    watch = Progress(Calls(progress), log=False)
    guards = [_Guard(observer, watch.warn) for observer in observers]
    watch.listeners += tuple(guards)
    try:
        try:
            watch.emit(RunStarted(run=run, recipe=recipe, resumed=resumed))
            result = work(watch)
        except BaseException as exc:
            watch.emit(RunFailed(run=run, error=one_line(exc), interrupted=isinstance(exc, KeyboardInterrupt)))
            raise
        watch.emit(finished(run=run, result=result))
        return result
    finally:
        for guard in guards:
            guard.close()

"""Tasks on a cluster that are begun again where their worker dies, and whose messages arrive here as they are sent."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kdcompress.cluster._labelling import FOLDERS
from kdcompress.cluster._session import Cluster
from kdcompress.cluster._watch import Silence
from kdcompress.errors import one_line

_RETRIES = 3  # how often a worker that died is replaced
_POLL_S = 0.5
_SIGN, _SIGN_S = "", 2.0  # message of a worker that has nothing to tell, and how often it is sent
Send = Callable[[str], None]


def run_tasks(cluster: Cluster, target: str, jobs: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, str]]:
    """Run a function once for each job, each in a process of its own.

    Args:
        cluster: The cluster.
        target: The function, as package.module:name; it is called with its job, its number from 1, and a function that
            sends a message.
        jobs: JSON values.

    Yields:
        (number of the job, message) as they arrive; the messages of the function, of a worker that has been replaced,
        and of a job that failed.
    """
    ray = cluster.ray
    mailbox = ray.remote(num_cpus=0)(_mailbox()).remote()
    # A process for each task, since TensorFlow never gives its memory back and is configured once
    task = ray.remote(max_retries=_RETRIES, max_calls=1, **cluster.resources)(_caller())
    environment = {name: os.environ[name] for name in FOLDERS if name in os.environ}
    place = (str(Path.cwd()), environment, cluster.threads)
    numbers = {task.remote(target, dict(job), number, place, mailbox): number for number, job in enumerate(jobs, 1)}
    begun, silence = set[int](), Silence[int](cluster.section.silence_s)
    try:
        waiting = list(numbers)
        while waiting:
            ended, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=_POLL_S)
            for number, text in ray.get(mailbox.take.remote()):
                silence.heard(number)
                if text == _SIGN:
                    continue
                if text is not None:
                    yield number, text
                elif number in begun:
                    yield number, f"worker {number} died, and another one takes its place"
                else:
                    begun.add(number)
            for one in ended:
                try:
                    ray.get(one)
                except Exception as exc:
                    yield numbers[one], f"worker {numbers[one]} ended early ({one_line(exc, 200)})"
            for number, seconds in silence.too_long({numbers[one] for one in waiting} & begun).items():
                waiting = [one for one in waiting if numbers[one] != number]
                yield (
                    number,
                    f"worker {number} has given no sign of life for {seconds:.0f} s: the others go on without it",
                )
    finally:
        for one in numbers:
            with contextlib.suppress(Exception):  # it has ended
                ray.cancel(one, force=True)
        ray.kill(mailbox)


def _mailbox() -> type:
    """Make the actor that keeps messages until they are taken; nested, and so pickled by value."""

    class Mailbox:
        def __init__(self) -> None:
            self.messages: list[tuple[int, str | None]] = []

        def put(self, number: int, text: str | None) -> None:
            self.messages.append((number, text))

        def take(self) -> list[tuple[int, str | None]]:
            messages, self.messages = self.messages, []
            return messages

    return Mailbox


def _caller() -> Callable[..., None]:
    """Make the function that workers run; nested, and so pickled by value."""
    sign, every_s = _SIGN, _SIGN_S

    def call(
        target: str, job: dict[str, Any], number: int, place: tuple[str, dict[str, str], int], mailbox: Any
    ) -> None:
        import contextlib
        import importlib
        import os
        import threading

        import ray

        from kdcompress.threads import limit_threads

        folder, environment, threads = place
        os.environ.update(environment)
        with contextlib.suppress(OSError):  # another machine, where relative paths lead nowhere
            os.chdir(folder)
        limit_threads(threads)
        ray.get(mailbox.put.remote(number, None))
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(every_s):
                mailbox.put.remote(number, sign)

        threading.Thread(target=beat, daemon=True).start()
        module, _, name = target.partition(":")
        sent: list[Any] = []
        try:
            getattr(importlib.import_module(module), name)(
                job, number, lambda text: sent.append(mailbox.put.remote(number, text))
            )
        finally:
            ended.set()
        ray.get(sent)

    return call

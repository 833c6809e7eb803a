"""A crew: worker processes that are started, given calls, and replaced when they die."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from kdcompress.cluster._session import Cluster
from kdcompress.cluster._watch import Watch
from kdcompress.errors import ClusterError, one_line

MAX_ATTEMPTS = 4
_AHEAD = 2  # calls that a worker has at a time, so that it need not wait for the next
_POLL_S = 1.0
_START_S = 600.0  # without any worker that is ready; a cluster may grow meanwhile

T = TypeVar("T", bound=Hashable)


@dataclass(eq=False)
class _Member:
    actor: Any
    ready: bool = False
    tasks: list[Any] = field(default_factory=list)  # references of its calls, in their order


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What became of a call.

    Attributes:
        task: What was to be done; None for the start of a worker.
        value: What the worker returned; None if it died, and the task is to be done again.
    """

    task: T | None
    value: Any


class Crew(Generic[T]):
    """Worker processes, each with one task at a time and one more waiting.

    A task whose worker dies is for the caller to give out again; one that ends its workers again and again is an error.

    Args:
        cluster: Where they run.
        make: Makes the actor of a new worker, given the options of `ray.remote`; it has a method `start`.
        size: Number of workers.
        describe: Describes a task in messages.
        ask: Asks an actor for a sign of life; see `Watch`.
    """

    def __init__(
        self,
        cluster: Cluster,
        make: Callable[[dict[str, Any]], Any],
        size: int,
        describe: Callable[[T], str],
        ask: Callable[[Any], Any],
    ) -> None:
        self._cluster, self._make, self._size, self._describe = cluster, make, size, describe
        self._members: list[_Member] = []
        self._owners: dict[Any, tuple[_Member, T | None]] = {}
        self._attempts: dict[T, int] = {}
        self._watch: Watch[_Member] = Watch(cluster.ray, cluster.section.silence_s, ask)
        self._failed_starts, self._alone_since = 0, time.monotonic()
        self.deaths = 0

    @property
    def n_ready(self) -> int:
        """The number of workers that have started."""
        return sum(member.ready for member in self._members)

    def free(self) -> Iterator[Any]:
        """Yield, for each further task that can be given out now, the actor to call."""
        for depth in range(_AHEAD):
            for member in self._members:
                if member.ready and len(member.tasks) == depth:
                    yield member.actor

    def give(self, actor: Any, task: T, reference: Any) -> None:
        """Note that an actor has been called.

        Args:
            actor: An actor of `free`.
            task: What it does.
            reference: What the call returned.
        """
        member = next(member for member in self._members if member.actor is actor)
        member.tasks.append(reference)
        self._owners[reference] = member, task

    def outcomes(self) -> list[Outcome[T]]:
        """Wait at most a second for calls to end, replacing workers that are gone.

        Raises:
            ClusterError: A task ended its worker again and again, or no worker starts.
        """
        ray = self._cluster.ray
        while len(self._members) < self._size:
            self._hire()
        done, _ = ray.wait(list(self._owners), num_returns=1, timeout=_POLL_S)
        found: list[Outcome[T]] = []
        for reference in done:
            if reference in self._owners:  # not of a worker that died a moment ago
                found += self._settle(reference)
        for member, seconds in self._watch.silent({one: one.actor for one in self._members if one.tasks}).items():
            reference = member.tasks[0]
            _, task = self._owners.pop(reference)
            found += self._bury(member, task, TimeoutError(f"no sign of life for {seconds:.0f} s"), reference)
        self._check_alone()
        return found

    def dismiss(self) -> None:
        """End all workers."""
        for member in self._members:
            self._cluster.ray.kill(member.actor, no_restart=True)
        self._members, self._owners = [], {}

    def _hire(self) -> None:
        options = {**self._cluster.resources, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
        member = _Member(self._make(options))
        self._members.append(member)
        self._owners[member.actor.start.remote()] = member, None

    def _settle(self, reference: Any) -> list[Outcome[T]]:
        member, task = self._owners.pop(reference)
        try:
            value = self._cluster.ray.get(reference)
        except self._cluster.ray.exceptions.RayError as exc:
            return self._bury(member, task, exc, reference)
        if task is None:
            member.ready, self._failed_starts = True, 0
        else:
            member.tasks.remove(reference)
            self._attempts.pop(task, None)
        return [Outcome(task, value)]

    def _bury(self, member: _Member, task: T | None, exc: Exception, reference: Any) -> list[Outcome[T]]:
        """Drop a worker; its tasks are to be done again.

        It died in the first of them, unless its answer to that one was lost with it: so each counts, and a task that is
        done counts no more.
        """
        self._members.remove(member)
        self._cluster.ray.kill(member.actor, no_restart=True)  # an error of Python leaves it alive
        self.deaths += 1
        if task is None:
            self._failed_starts += 1
            if self._failed_starts >= MAX_ATTEMPTS * max(1, self._size):
                raise ClusterError(f"workers end while they start ({_reason(exc)})") from exc
            return []
        waiting = [one for one in member.tasks if one in self._owners and one != reference]
        # What it had done before it died stays to be settled, and is not what ended it
        references = [one for one in member.tasks if one == reference or (one in waiting and not self._is_done(one))]
        tasks = [task if one == reference else self._owners.pop(one)[1] for one in references]
        counted = [one for one in tasks if one is not None]
        self._attempts |= {one: self._attempts.get(one, 0) + 1 for one in counted}
        if deadly := [one for one in counted if self._attempts[one] >= MAX_ATTEMPTS]:
            raise ClusterError(
                f"{self._describe(deadly[0])} ended its worker {MAX_ATTEMPTS} times ({_reason(exc)}); what is finished "
                "is kept: give each worker more memory (fewer workers), or label there without --cluster to see "
                "the cause"
            ) from exc
        return [Outcome(one, None) for one in tasks]

    def _is_done(self, reference: Any) -> bool:
        if not self._cluster.ray.wait([reference], timeout=0)[0]:
            return False
        try:
            self._cluster.ray.get(reference)
        except self._cluster.ray.exceptions.RayError:
            return False
        return True

    def _check_alone(self) -> None:
        if self.n_ready:
            self._alone_since = time.monotonic()
        elif time.monotonic() - self._alone_since > _START_S:
            needs = ", ".join(f"{name} {value:g}" for name, value in self._cluster.resources.items() if value)
            raise ClusterError(
                f"no worker has started for {_START_S:g} s; each needs {needs}, and `ray status` shows what is free; "
                "what is finished is kept"
            )


def _reason(exc: Exception) -> str:
    """Ray's error in short: its class, and the cause that it knows."""
    cause = getattr(exc, "cause", None)
    return one_line(cause if isinstance(cause, BaseException) else exc, 160)

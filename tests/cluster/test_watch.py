"""Which workers count as hung: actors of a real Ray, one of which is stopped."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from kdcompress.cluster._watch import Silence, Watch


class Working:
    """Answers with a number that grows now and then."""

    def process(self) -> int:
        return os.getpid()

    def signs(self, every_s: float) -> int:
        return int(time.monotonic() / every_s)


def test_a_stopped_worker_is_told_from_slow_ones(real_cluster: Any) -> None:
    ray = pytest.importorskip("ray")
    ray.init(address=real_cluster.address, log_to_driver=False)
    try:
        kind = ray.remote(num_cpus=0)(Working)
        workers = {name: kind.remote() for name in ("quick", "slow", "stuck", "stopped")}
        pids = {name: ray.get(worker.process.remote()) for name, worker in workers.items()}
        pace = {workers["quick"]: 0.1, workers["slow"]: 1.0, workers["stuck"]: 1e9, workers["stopped"]: 0.1}
        watch: Watch[str] = Watch(ray, 4.0, lambda actor: actor.signs.remote(pace[actor]))
        os.kill(pids["stopped"], signal.SIGSTOP)
        found: set[str] = set()
        begun = time.monotonic()
        while not found >= {"stuck", "stopped"} and time.monotonic() - begun < 120:
            found |= set(watch.silent(workers))
            time.sleep(0.2)
        assert found == {"stuck", "stopped"}  # the one gives the same answer, the other none
        assert time.monotonic() - begun > 4
        os.kill(pids["stopped"], signal.SIGKILL)
    finally:
        ray.shutdown()


def test_the_limit_grows_with_silences_that_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    silence: Silence[str] = Silence(20.0)
    assert silence.too_long(["slow", "dead"]) == {}
    now = 10.0
    assert silence.too_long(["slow", "dead"]) == {}
    silence.heard("slow")  # after 10 s, so that 100 s are the limit
    for seconds in range(20, 101, 10):
        now = float(seconds)
        assert silence.too_long(["slow", "dead"]) == {}
        silence.heard("slow")
    now = 105.0
    assert silence.too_long(["slow", "dead"]) == {"dead": 105.0}


def test_time_in_which_nobody_looked_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    silence: Silence[str] = Silence(20.0)
    now = 3600.0
    assert silence.too_long(["worker"]) == {}
    now = 3606.0
    assert silence.too_long(["worker"]) == {"worker": 21.0}
    assert silence.too_long([]) == {}
    now = 3607.0
    assert silence.too_long(["worker"]) == {}  # it had nothing to do in between

"""A process that works on a sweep's study with trials that only sleep: `python queue_worker.py JOB`, in JSON."""

from __future__ import annotations

import datetime
import json
import sys
import time
from typing import Any

import optuna.storages._rdb.storage as optuna_storage

from kdcompress.sweeping import _queue, _storage
from kdcompress.sweeping._space import Setting, Space
from kdcompress.sweeping._storage import Storage
from kdcompress.sweeping._study import Study

SPACE = Space(("hinton",), (1.0, 4.0, 16.0), (0.1, 0.9), (0, 1, 2))


def main() -> None:
    """Trial by trial, with a line for each on standard output."""
    job = json.loads(sys.argv[1])
    _queue.HEARTBEAT_S = _storage.HEARTBEAT_S = 1
    _storage.GRACE_S = job["grace_s"]
    _queue._POLL_S = 0.2
    off = datetime.timedelta(hours=job["clock_off_h"])

    class Clock(datetime.datetime):
        """The clock of a machine that is set wrong."""

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.datetime.now(tz) + off

    optuna_storage.datetime = Clock  # type: ignore[misc]

    def train(setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, Any]]:
        print(f"{setting}, seed {seeds[0]}", flush=True)
        time.sleep(job["sleep_s"])
        row = {"val": 0.5 + setting.to_dict()["temperature"] / 100, "val_loss": 0.1, "best_epoch": 1, "seconds": 0.1}
        return [{**setting.to_dict(), "seed": seed, **row, "reason": None} for seed in seeds]

    def test(setting: Setting, seed: int, role: str) -> float:
        print(f"test {role} {seed}", flush=True)
        return 0.5 + seed / 100

    study = Study(Storage(job["url"]), "r" * 12, SPACE, job["number"])
    print("ready", flush=True)
    study.work(train, lambda others: None)
    found = study.test(Setting("hinton", 16.0, 0.1), test, lambda *point: False)
    print(json.dumps({"rows": len(study.rows()), "found": found}), flush=True)


if __name__ == "__main__":
    main()

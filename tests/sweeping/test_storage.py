"""One database, many processes of many machines: every trial once, whatever dies."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import queue_worker
from conftest import Recorder
from filelock import FileLock, Timeout
from postgresql import PASSWORD, Server

import kdcompress
from kdcompress.errors import RunError, UsageError
from kdcompress.sweeping import _storage, _study
from kdcompress.sweeping._space import Setting
from kdcompress.sweeping._storage import Storage
from kdcompress.sweeping._study import Study
from kdcompress.sweeping._urls import shown_url

POINTS = queue_worker.SPACE.trainings
TESTS = ["baseline 0", "baseline 1", "baseline 2", "student 0", "student 1", "student 2", "teacher 0"]


def start(folder: Path, url: str, number: int, **choices: Any) -> subprocess.Popen[str]:
    """A worker in a folder of its own."""
    place = folder / f"machine-{number}"
    place.mkdir(exist_ok=True)
    zone = choices.pop("zone", "UTC")
    job = {"url": url, "number": number, "sleep_s": 0.05, "grace_s": 4, "clock_off_h": 0, **choices}
    return subprocess.Popen(
        [sys.executable, queue_worker.__file__, json.dumps(job)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PGTZ": zone},
        cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[list[str], dict[str, Any]]:
    """What a worker did, and its result."""
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    lines = out.splitlines()
    return [line for line in lines[:-1] if line != "ready"], json.loads(lines[-1])


@pytest.fixture
def url(postgresql: Server, request: pytest.FixtureRequest) -> str:
    return postgresql.create(request.node.name)


def test_machines_without_a_shared_folder_do_every_trial_once(url: str, tmp_path: Path) -> None:
    machines = [
        start(tmp_path, url, 1),
        start(tmp_path, url, 2, clock_off_h=30, zone="Asia/Tokyo"),
        start(tmp_path, url, 3, clock_off_h=-30, zone="America/New_York"),
    ]
    ends = [finish(machine) for machine in machines]
    done = [line for lines, _ in ends for line in lines]
    assert len(done) == len(set(done)) == POINTS + len(TESTS)
    assert sorted(line.removeprefix("test ") for line in done if line.startswith("test ")) == TESTS
    assert [result["rows"] for _, result in ends] == 3 * [POINTS]
    assert ends[0][1] == ends[1][1] == ends[2][1]


def test_what_killed_workers_began_is_done_by_others(url: str, tmp_path: Path) -> None:
    """Kills at random moments, also of one that holds the lock."""
    chance = random.Random(1)
    killed: list[str] = []
    for number in range(1, 6):
        machine = start(tmp_path, url, number)
        assert machine.stdout is not None
        for line in machine.stdout:
            if line == "ready\n":
                break
        time.sleep(chance.random())
        machine.send_signal(signal.SIGKILL)
        killed += machine.communicate()[0].splitlines()
    done = [line for lines, _ in map(finish, [start(tmp_path, url, 8), start(tmp_path, url, 9)]) for line in lines]
    assert len(done) == len(set(done))
    again = set(done) & set(killed)
    assert len(again) <= 5
    assert len(set(done) | set(killed)) == POINTS + len(TESTS)
    with_rows = len(Study(Storage(url), "r" * 12, queue_worker.SPACE).rows())
    assert with_rows == POINTS


def test_a_worker_that_only_sleeps_long_keeps_its_trial(url: str, tmp_path: Path) -> None:
    machines = [start(tmp_path, url, number, sleep_s=0.5, grace_s=2) for number in (1, 2)]
    done = [line for machine in machines for line in finish(machine)[0]]
    assert len(done) == len(set(done)) == POINTS + len(TESTS)


def test_a_server_may_restart(postgresql: Server, url: str, tmp_path: Path) -> None:
    machine = start(tmp_path, url, 1, sleep_s=0.2, grace_s=30)
    assert machine.stdout is not None
    assert machine.stdout.readline() == "ready\n"
    assert machine.stdout.readline()
    postgresql.stop()
    time.sleep(1)
    postgresql.start()
    done, result = finish(machine)
    assert len(done) == len(set(done)) == POINTS + len(TESTS) - 1  # one has been read above
    assert result["rows"] == POINTS


def test_the_trial_that_killed_its_process_waits_for_the_others(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = Study(Storage(url), "r" * 12, queue_worker.SPACE)
    queue = study._trials
    grid = [{"method": "hinton", "temperature": t, "alpha": 0.5, "seed": 0} for t in (1.0, 2.0, 4.0)]
    first = queue._take(lambda trials: queue.take_point(grid, trials))
    assert first.user_attrs["asked"]["temperature"] == 1.0
    queue.study.tell(first, state=_failed())
    assert queue._take(lambda trials: queue.take_point(grid, trials)).user_attrs["asked"]["temperature"] == 2.0
    assert queue._take(lambda trials: queue.take_point(grid, trials)).user_attrs["asked"]["temperature"] == 4.0
    assert queue._take(lambda trials: queue.take_point(grid, trials)).user_attrs["asked"]["temperature"] == 1.0
    assert queue._take(lambda trials: queue.take_point(grid, trials)) == 3


def test_methods_that_came_with_a_later_version_do_not_matter(tmp_path: Path) -> None:
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import create_trial

    study = Study(Storage(f"sqlite:///{tmp_path / 'study.db'}"), "r" * 12, queue_worker.SPACE)
    kinds = {"method": CategoricalDistribution(["hinton", "none"])}
    study._trials.study.add_trial(create_trial(value=0.5, params={"method": "hinton"}, distributions=kinds))
    row = {"val": 0.5, "val_loss": 0.1, "best_epoch": 1, "seconds": 0.1, "reason": None}
    study.work(lambda setting, seeds: [{**setting.to_dict(), "seed": seeds[0], **row}], lambda others: None)
    assert len(study.rows()) == POINTS


def _failed() -> Any:
    import optuna

    return optuna.trial.TrialState.FAIL


def test_other_machines_have_the_same_teacher(url: str) -> None:
    assert Study(Storage(url), "r" * 12, queue_worker.SPACE).agree("targets a", "1")
    other = Study(Storage(url), "r" * 12, queue_worker.SPACE)
    assert other.agree("targets a", "1")
    assert not other.agree("targets a", "2")
    assert other.agree("targets b", "2")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@db.example.org:5433/kd", "postgresql://db.example.org:5433/kd"),
        ("postgresql+psycopg://me:secret@db/kd?password=secret", "postgresql://db/kd"),
        ("sqlite:///a/b.db", "sqlite:///a/b.db"),
    ],
)
def test_credentials_are_not_shown(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://me:secret@db:port/kd", "got 'postgresql'"),
        ("study.log", "got 'study.log'"),
        ("journal:///study.log", "must be a database URL .* got 'journal'"),
        ("redis://me:secret@db", "must be a database URL .* got 'redis'"),
        ("mysql://me:secret@db/kd", "storage mysql://db/kd needs a package that is not installed"),
        ("sqlite://", "got a database in memory"),
        ("sqlite:///:memory:", "got a database in memory"),
    ],
)
def test_urls_that_no_sweep_can_use(url: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        Storage(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_password_or_database(postgresql: Server) -> None:
    for url in (postgresql.url("nowhere"), postgresql.url().replace("postgres", "me", 2).replace("me", "postgres", 1)):
        with pytest.raises(RunError, match=r"storage postgresql://127\.0\.0\.1:\d+/\w+ does not respond") as caught:
            Storage(url)
        assert PASSWORD not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_file_in_a_network_folder_is_for_one_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine with a network file system here: only the table of mounts is replaced."""
    mounts = [SimpleNamespace(mountpoint=str(tmp_path), fstype="nfs4")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    url = f"sqlite:///{tmp_path / 'study.db'}"
    for _ in range(2):
        Study(Storage(url), "r" * 12, queue_worker.SPACE)
    monkeypatch.setattr(_storage.socket, "gethostname", lambda: "other")
    with pytest.raises(RunError, match=r"\(nfs4\), and .* uses it: .* --storage postgresql://"):
        Study(Storage(url), "r" * 12, queue_worker.SPACE)
    mounts[0].fstype = "ext4"
    Study(Storage(url), "r" * 12, queue_worker.SPACE)  # a copy of the folder on another machine


def test_machines_know_where_the_chosen_students_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(Storage(f"sqlite:///{tmp_path / 'study.db'}"), "r" * 12, queue_worker.SPACE)
    chosen, tested = Setting("hinton", 16.0, 0.1), []

    def test(setting: Setting, seed: int, role: str) -> float:
        tested.append((role, seed))
        monkeypatch.setattr(_study, "machine_name", lambda: f"machine-{len(tested)}")
        return 0.5

    study.test(chosen, test, lambda *point: False)
    expected = {seed: f"machine-{at}" for at, (role, seed) in enumerate(tested, 1) if role == "student"}
    assert len(expected) == 3
    assert study.whereabouts(chosen) == expected
    assert study.whereabouts(Setting("hinton", 2.0, 0.1)) == {}


@pytest.fixture
def other_database(tmp_path: Path) -> str:
    """URL of a database that SQLAlchemy knows by another name, and that is SQLite's."""
    from sqlalchemy.dialects import registry

    registry.register("dolphin", "sqlalchemy.dialects.sqlite.pysqlite", "SQLiteDialect_pysqlite")
    return f"dolphin:///{tmp_path / 'other.db'}"


def test_a_sweep_in_another_database_goes_on_as_in_earlier_versions(other_database: str, tmp_path: Path) -> None:
    storage = Storage(other_database, tmp_path)
    assert storage.notice is not None
    assert "storage of dolphin are deprecated" in storage.notice
    row = {"val": 0.5, "val_loss": 0.1, "best_epoch": 1, "seconds": 0.1, "reason": None}
    begun = Study(storage, "r" * 12, queue_worker.SPACE)
    with storage.lock(), pytest.raises(Timeout):
        FileLock(tmp_path / ".storage.lock", timeout=0).acquire()
    begun.work(lambda setting, seeds: [{**setting.to_dict(), "seed": seeds[0], **row}], lambda others: None)
    again = Study(Storage(other_database, tmp_path), "r" * 12, queue_worker.SPACE)
    assert again.rows() == begun.rows()
    assert len(again.rows()) == POINTS


def test_a_sweep_in_another_database_tells_so(other_database: str, tmp_path: Path) -> None:
    notes = Recorder()
    with pytest.warns(DeprecationWarning, match="storage of dolphin are deprecated"):
        result = kdcompress.sweep(
            "mnist-demo", temperatures=[2], seeds=1, epochs=1, limit=200, out=tmp_path / "s", storage=other_database,
            settings={"teacher.model": "tiny_models:teacher", "teacher.check": False,
                      "student.model": "tiny_models:student", "data.source": "embedded"}, progress=notes,
        )  # fmt: skip
    assert len(result["trials"]) == 1
    assert sum("give --storage postgresql://" in text for text in notes.warnings) == 1

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import bare_device
import psutil
import pytest
import ssh_server
from conftest import Recorder
from ssh_server import Device
from typer.testing import CliRunner

import kdcompress
from kdcompress.bundling import _bundle, _remote
from kdcompress.bundling._address import parse_address
from kdcompress.bundling._remote_request import RemoteRequest, make_remote_request
from kdcompress.cli._app import app
from kdcompress.errors import DeviceError, RunError, UsageError
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.schemas import Benchmark

SKIP = ssh_server.skip_reason()
needs_ssh = pytest.mark.skipif(SKIP is not None, reason=SKIP or "")
DEBIAN = (
    "The virtual environment was not created successfully because ensurepip is not\navailable.  On Debian/Ubuntu "
    "systems, you need to install the python3-venv\npackage using the following command.\n\n    apt install "
    "python3.11-venv\n"
)


class Breaking(Recorder):
    """Does something as soon as the device has begun to time."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self._act: Callable[[], object] | None = act

    def begin(self, phase: str, total: int, done: int = 0) -> None:
        super().begin(phase, total, done)
        if phase == "timing" and self._act:
            act, self._act = self._act, None
            act()


@pytest.fixture
def pi(tmp_path: Path, device: Path) -> Iterator[Device]:
    """A device that has NumPy and onnxruntime."""
    ssh_server.write_python(tmp_path / "pi" / "bin", device)
    with ssh_server.serving(tmp_path / "pi", {}) as one:
        yield one


@pytest.fixture
def lean(bundled: Path) -> Path:
    """The same with exports in float32 alone: a device times two files instead of four, and starts each afresh."""
    path = bundled / "run" / "exports" / "exports.json"
    listed = json.loads(path.read_text())
    listed["artefacts"] = [entry for entry in listed["artefacts"] if entry["precision"] == "fp32"]
    path.write_text(json.dumps(listed))
    RunFolder(bundled / "run").commit("exports/exports.json")
    return bundled


def measure(run: Path, on: str = "ssh://pi", progress: Recorder | None = None, **options: Any) -> Benchmark:
    settings = {"duration": 0.02, "threads": [1], "runtimes": ["onnxruntime"], **options}
    return kdcompress.bench(run, on=on, progress=progress or Recorder(), **settings)


def end_client() -> None:
    for child in psutil.Process().children():
        if child.name() == "ssh":
            child.kill()


def interrupt() -> None:
    raise KeyboardInterrupt


def wait(found: Callable[[], object]) -> None:
    for _ in range(600):
        if found():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen")


@needs_ssh
def test_a_device_is_measured_and_left_as_it_was(bundled: Path, pi: Device) -> None:
    recorder = Recorder()
    result = measure(bundled / "run", pi.address, recorder, machine="pi")
    assert result.passed
    assert [(model.name, model.precision) for model in result.models] == [
        ("teacher", "fp32"), ("student", "fp32"), ("student", "fp16"), ("student", "int8"),
    ]  # fmt: skip
    assert {entry.runtime for entry in result.parity} == {"onnxruntime"}
    assert result.settings["duration_s"] == 0.02
    kept = json.loads((bundled / "run" / "machines" / "pi.json").read_text())
    assert kept["models"] == result.to_dict()["models"]
    assert list(result.machines) == ["pi"]
    assert recorder.phases == ["copying", "timing"]
    assert any("checking student int8" in note for note in recorder.notes)
    assert sorted(path.name for path in pi.home.iterdir()) == [".bashrc", "starts"]


@needs_ssh
def test_a_bundle_that_is_there_is_copied_again_if_it_is_damaged(lean: Path, pi: Device) -> None:
    document = kdcompress.bundle(lean / "run", out=lean / "all.pyz", precisions="all", runtimes=["onnxruntime"])
    content = (lean / "all.pyz").read_bytes()
    bundle = pi.cache / document["sha256"][:16] / "bundle.pyz"
    bundle.parent.mkdir(parents=True)
    bundle.write_bytes(content[:-1] + b"X")
    (bundle.parent / "keep").touch()  # as an earlier call with --keep leaves it
    recorder = Recorder()
    measure(lean / "run", progress=recorder)
    assert "copying" in recorder.phases
    assert bundle.read_bytes() == content
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["bundle.pyz", "keep"]


@needs_ssh
def test_a_connection_that_breaks_while_copying_leaves_nothing_there(lean: Path, pi: Device) -> None:
    with pytest.raises(DeviceError, match=r"the connection to cut broke \(.*\); give the same command again$"):
        measure(lean / "run", "ssh://cut")
    wait(lambda: not pi.cache.exists())
    assert pi.starts == []
    assert not (pi.home / ".cache").exists()


@needs_ssh
@pytest.mark.parametrize("side", ["client", "server"])
def test_a_benchmark_goes_on_without_its_connection(lean: Path, pi: Device, side: str) -> None:
    run = lean / "run"
    progress = Breaking(end_client if side == "client" else pi.end_sessions)
    with pytest.raises(DeviceError, match=r"to pi broke \(.*\); give the same command again; the benchmark goes on"):
        measure(run, progress=progress, duration=0.2)
    assert not (run / "machines").exists()
    if side == "client":  # the other one is met while it runs
        wait(lambda: list(pi.cache.glob("*/run-*/end.json")))
        result_file = pi.only("*/run-*/result.json")
        whole = result_file.read_bytes()
        result_file.write_bytes(whole[:-9])
        with pytest.raises(RunError, match=r"the result of pi is damaged \(.*; measure it again; the bundle stays in"):
            measure(run, duration=0.2)
        assert len(pi.starts) == 1
        assert not list(pi.cache.glob("*/run-*"))
        return
    recorder = Recorder()
    result = measure(run, progress=recorder, duration=0.2)
    assert result.passed
    assert any("going on with it" in note for note in recorder.notes)
    assert "copying" not in recorder.phases
    assert len(pi.starts) == 1
    assert not (pi.home / ".cache").exists()


@needs_ssh
def test_a_benchmark_that_was_ended_there_is_started_anew(lean: Path, pi: Device) -> None:
    def restart() -> None:
        for process in psutil.process_iter(["cmdline"]):
            if str(pi.cache) in " ".join(process.info["cmdline"] or []):
                (parent,) = [process.parent()]
                assert parent is not None
                parent.kill()
                process.kill()

    with pytest.raises(DeviceError, match=r"was ended from outside, after 'timing \d+/30'; .* then give the same"):
        measure(lean / "run", progress=Breaking(restart), duration=1)  # which it has not done before it is ended
    assert measure(lean / "run", duration=1).passed
    assert len(pi.starts) == 2
    assert not (pi.home / ".cache").exists()


@needs_ssh
def test_a_benchmark_that_takes_too_long_is_ended_there(
    lean: Path, pi: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RemoteRequest, "timeout_s", lambda self, files: 3)
    with pytest.raises(DeviceError, match=r"did not end in time and was stopped, after .*; ask for less with"):
        measure(lean / "run", duration=60)
    assert not list(pi.cache.glob("*/run-*"))
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(pi.cache) in str(one.info["cmdline"])]


@needs_ssh
def test_a_file_that_computes_something_else_there_is_kept_and_told(
    lean: Path, pi: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs_of = _bundle.outputs_of
    monkeypatch.setattr(_bundle, "outputs_of", lambda *where: outputs_of(*where) * 1.01)
    options = ["--on", "ssh://pi", "--duration", "0.02", "--threads", "1", "--runtime", "onnxruntime", "--json"]
    done = CliRunner().invoke(app, ["bench", str(lean / "run"), *options])
    assert done.exit_code == 3, done.output
    document = json.loads(done.stdout)
    assert not document["passed"]
    assert [entry["passed"] for entry in document["parity"]][:2] == [False, False]
    assert "parity of exports/student-fp32.onnx fails on that machine" in done.stderr
    kept = json.loads((lean / "run" / "machines" / "pi.json").read_text())
    assert kept["parity"] == document["parity"]
    assert not (pi.home / ".cache").exists()


@needs_ssh
def test_a_device_measures_one_thing_at_a_time(lean: Path, pi: Device) -> None:
    pi.cache.mkdir(parents=True)
    with (pi.cache / "busy").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DeviceError, match="pi is busy with another benchmark; wait until it has ended"):
            measure(lean / "run")
    assert pi.starts == []


def wheel(folder: Path, name: str, site: Path) -> None:
    """A wheel that makes all packages of an environment importable."""
    with zipfile.ZipFile(folder / f"{name}-9.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.pth", f"{site}\n")
        archive.writestr(f"{name}-9.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.0\n")
        archive.writestr(
            f"{name}-9.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{name}-9.0.dist-info/RECORD", "")


@needs_ssh
def test_setup_makes_an_environment_of_what_can_be_installed(lean: Path, device: Path, tmp_path: Path) -> None:
    bare, wheels = bare_device.make(tmp_path / "bare"), tmp_path / "wheels"
    wheels.mkdir()
    for name in ("numpy", "onnxruntime"):
        wheel(wheels, name, next(device.parents[1].glob("lib/python*/site-packages")))
    ssh_server.write_python(tmp_path / "pi" / "bin", bare)
    with ssh_server.serving(tmp_path / "pi", {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}) as pi:
        with pytest.raises(
            DeviceError, match="pi has no numpy; --setup makes an environment there that has numpy, onnx"
        ):
            measure(lean / "run")
        assert not (pi.home / ".cache").exists()
        result = measure(lean / "run", setup=True, keep=True, runtimes=())
        assert any("ai-edge-litert is not installed" in reason for reason in result.skipped)
        environment = pi.only("environment")
        interrupted = Breaking(interrupt)
        with pytest.raises(KeyboardInterrupt):
            measure(lean / "run", progress=interrupted, runtimes=())
        assert interrupted.phases == ["timing"]  # nothing is copied or installed
        assert not any("install" in note for note in interrupted.notes)
        assert interrupted.notes[-1] == "pi: the benchmark goes on there meanwhile"
        assert pi.starts == [str(environment / "bin" / "python")] * 2
        wait(lambda: list(pi.cache.glob("*/run-*/end.json")))


NO_WHEELS = """
import pathlib, sys
python = pathlib.Path(sys.argv[-1], "bin", "python")
python.parent.mkdir(parents=True)
python.write_text("#!/bin/sh\\necho 'ERROR: No matching distribution found for numpy'; exit 1")
python.chmod(0o755)
"""


@needs_ssh
@pytest.mark.parametrize(
    ("venv", "words"),
    [
        (
            f"print({DEBIAN!r})\nraise SystemExit(1)\n",
            "cannot make a virtual environment: .*`sudo apt install python3-venv` brings it; the bundle",
        ),
        (
            NO_WHEELS,
            "pip on pi cannot install what the bundle needs: No matching distribution found for numpy; the bundle",
        ),
    ],
)
def test_setup_that_fails_says_why_and_leaves_no_half_of_it(lean: Path, tmp_path: Path, venv: str, words: str) -> None:
    ssh_server.write_python(tmp_path / "pi" / "bin", bare_device.make(tmp_path / "bare"))
    with ssh_server.serving(tmp_path / "pi", {}) as pi:
        (tmp_path / "pi" / "modules" / "venv.py").write_text(venv)
        with pytest.raises(DeviceError, match=words):
            measure(lean / "run", setup=True)
        assert sorted(path.suffix for path in pi.cache.glob("*/*")) == [".pyz"]
        assert not (pi.cache / "environment").exists()


OLD = 'exec {python} -c "import sys; sys.version_info = (3, 7, 3); $2"'


@needs_ssh
@pytest.mark.parametrize(
    ("before", "words"),
    [
        ("exit 127", "pi has no python3 .*; Python 3.9 or later is needed there"),
        (OLD, "pi has Python 3.7.3, and a bundle needs 3.9 or later; update its system, or put a later python3"),
        ("echo broken >&2; exit 1", r"python3 does not start on pi \(exit code 1\): broken"),
        ("ulimit -f 16", "pi: .*/kdcompress/[0-9a-f]+: File too large"),
    ],
)
def test_a_device_that_cannot_take_a_bundle_says_so(
    lean: Path, device: Path, tmp_path: Path, before: str, words: str
) -> None:
    ssh_server.write_python(tmp_path / "pi" / "bin", device, before.format(python=device))
    with ssh_server.serving(tmp_path / "pi", {}) as pi, pytest.raises(DeviceError, match=words) as caught:
        measure(lean / "run")
    assert "\n" not in str(caught.value)
    assert not (pi.home / ".cache").exists()


@needs_ssh
def test_a_bundle_that_does_not_fit_is_not_sent(lean: Path, pi: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_remote, "_SPARE_BYTES", 1 << 60)
    with pytest.raises(DeviceError, match=r"pi has no space for the bundle: .* are free for .* are needed; free some"):
        measure(lean / "run")
    assert not (pi.home / ".cache").exists()


def change_host_key(pi: Device) -> None:
    known = pi.folder / "known"
    known.write_text("device " + (pi.folder / "stranger.pub").read_text())


def know_no_host(pi: Device) -> None:
    config = pi.folder / "config"
    config.write_text(config.read_text().replace("accept-new", "yes"))


def lose_key(pi: Device) -> None:
    shutil.copy(pi.folder / "stranger", pi.folder / "key")
    shutil.copy(pi.folder / "stranger.pub", pi.folder / "key.pub")


@needs_ssh
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            change_host_key,
            r"Host key verification failed; if the device was set up anew, `ssh-keygen -R 'pi'` forgets",
        ),
        (know_no_host, r"Host key verification failed; connect once with `ssh pi` and accept its key"),
        (lose_key, r"Permission denied \(publickey\); see that `ssh pi` lets you in; `ssh-copy-id pi` puts"),
        (lambda pi: pi.process.terminate() or pi.process.wait(), "Connection refused; turn on ssh there"),
    ],
)
def test_what_ssh_says_is_told_with_what_helps(
    lean: Path, pi: Device, spoil: Callable[[Device], object], words: str
) -> None:
    spoil(pi)
    with pytest.raises(DeviceError, match=rf"pi cannot be reached by ssh: .*{words}") as caught:
        measure(lean / "run")
    assert "\n" not in str(caught.value)


def test_without_ssh_there_is_one_line(lean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDCOMPRESS_SSH", str(lean / "ssh"))
    with pytest.raises(DeviceError, match=r"ssh cannot be started .* install OpenSSH's client .*in KDCOMPRESS_SSH"):
        measure(lean / "run")


@pytest.mark.parametrize(
    ("text", "words", "machine"),
    [
        ("ssh://pi", ["--", "pi"], "pi"),
        ("ssh://ann@pi-4.local:2222", ["-l", "ann", "-p", "2222", "--", "pi-4.local"], "pi-4"),
        ("ssh://ann@example.org@10.0.0.7/", ["-l", "ann@example.org", "--", "10.0.0.7"], "10-0-0-7"),
        ("ssh://[fe80::1%eth0]:22", ["-p", "22", "--", "fe80::1%eth0"], "fe80-1-eth0"),
    ],
)
def test_addresses(text: str, words: list[str], machine: str) -> None:
    address = parse_address(text)
    assert address.arguments == words
    assert address.machine == machine


@pytest.mark.parametrize(
    "text",
    [
        "pi", "ssh://", "ssh://-oProxyCommand=id", "ssh://-l@pi", "ssh://pi@-oProxyCommand=id", "ssh://pi;id", "ssh://$(id)",
        "ssh://pi:0", "ssh://pi:65536", "ssh://pi:-p", "ssh://pi/folder", "ssh://pi@pi pi", "ssh://pi\n", "ssh://ann:word@pi",
        "ssh://[-oProxyCommand]", "ssh://`id`@pi", "scp://pi", "ssh://pi%20", "ssh://[fe80::1%-o]x",
    ],
)  # fmt: skip
def test_no_address_becomes_an_option_or_a_word_of_a_shell(text: str) -> None:
    with pytest.raises(UsageError, match="--on takes ssh://"):
        parse_address(text)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"input_shape": (8, 8, 1)}, "--input-shape does not go with --on"),
        ({"end_to_end": "photos"}, "--end-to-end does not go with --on"),
        ({"import_file": "pi.json"}, "--import does not go with --on"),
        ({"machine": "../pi"}, "a machine's name has up to 63 letters"),
        ({"runtimes": ["own.module:Own"]}, "--runtime own.module:Own is code of this machine"),
        ({"batch_sizes": [0]}, "--batch-size must be >= 1, got 0"),
        ({"duration": 0}, "--duration must be above 0"),
        ({"on": None, "setup": True}, "--setup is for the device of --on"),
        ({"on": None, "machine": "pi"}, "--machine names the machine of --on or --import"),
    ],
)
def test_options_that_make_no_sense(lean: Path, options: Mapping[str, Any], words: str) -> None:
    settings = {"on": "ssh://pi", **options}
    with pytest.raises(UsageError, match=words):
        kdcompress.bench(lean / "run", **settings)


def test_options_go_to_the_device_as_they_are() -> None:
    request = make_remote_request(
        "ssh://pi", threads=[1, "all"], batch_sizes=[1, 8], duration=2, max_slowdown=0.5, runtimes=["litert"]
    )
    assert " ".join(request.arguments) == (
        "--threads 1,all --batch-size 1,8 --duration 2.0 --max-slowdown 0.5 --runtime litert"
    )
    assert request.key("a") != request.key("b")
    slower = make_remote_request("ssh://pi", threads=[1, "all"], batch_sizes=[1, 8], duration=60)
    assert slower.timeout_s(4) > request.timeout_s(4) > 4 * 4 * 60 * 2


def test_the_far_end_runs_on_python_3_6_until_it_has_told_its_version() -> None:
    folder = Path(_bundle.__file__).parents[1] / "device" / "remote"
    vermin = [sys.executable, "-c", "from vermin import main; main()", "-t=3.6-", "--no-tips", str(folder)]
    done = subprocess.run(vermin, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

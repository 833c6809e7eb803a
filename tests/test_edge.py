"""On a device kdcompress works without TensorFlow and the like, and names what a command lacks there.

The environment of a device has what pip would install from `docs/requirements-edge.txt` and a runtime. It is made of
links to the packages that are installed here; `make exhaustive` has pip make it, too, as a user does.
"""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import bare_device
import numpy as np
import pytest
from built_wheel import build_wheel
from PIL import Image

import kdcompress
from kdcompress import registry
from kdcompress.registries import LISTED

ROOT = Path(__file__).parent.parent
RUN = ROOT / "tests" / "data" / "run-0.1"
REQUIREMENTS = ROOT / "docs" / "requirements-edge.txt"
ABSENT = ("tensorflow", "keras", "tf_keras", "tf2onnx", "sklearn", "scipy", "onnx", "matplotlib", "pandas", "optuna")
MAX_MB = 215
UNREACHABLE = r"No matching distribution|Could not find a version|ConnectionError|ConnectTimeout|NewConnection|Retry\("
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def requirements() -> list[str]:
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def linked(folder: Path, runtime: str) -> Path:
    """An environment with links to kdcompress and the packages of a device."""
    python = bare_device.make(folder, *requirements(), runtime)
    (bare_device.site_of(folder) / "kdcompress").symlink_to(ROOT / "kdcompress")
    return python


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a device that pip sets up by the commands of the guide, for which it must reach the packages."""
    folder = tmp_path_factory.mktemp("installed")
    python = bare_device.make(folder / "venv")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    (folder / "wheel").mkdir()
    subprocess.run([*pip, "--no-deps", str(build_wheel(folder / "wheel"))], check=True, timeout=120)
    done = subprocess.run([*pip, "-r", str(REQUIREMENTS), "onnxruntime"], capture_output=True, text=True, timeout=600)
    if done.returncode and re.search(UNREACHABLE, done.stderr):
        pytest.skip(f"pip reaches no packages: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return python


@pytest.fixture(scope="module", params=["linked", pytest.param("installed", marks=pytest.mark.exhaustive)])
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a device with onnxruntime."""
    if request.param == "linked":
        return linked(tmp_path_factory.mktemp("device") / "venv", "onnxruntime")
    found: Path = request.getfixturevalue("installed")
    return found


@pytest.fixture(scope="module")
def litert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a device with LiteRT."""
    return linked(tmp_path_factory.mktemp("device") / "venv", "ai-edge-litert")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Runs Python in a folder with a copy of a finished run and images."""
    shutil.copytree(RUN, tmp_path / "run")
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "images" / "digit.png")

    def call(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "COLUMNS": "200"}
        command = [str(python), "-I", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=environment)

    yield call


def succeed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_requirements_of_a_device_are_those_of_the_whole() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    whole = config["options"]["install_requires"].split("\n")
    assert set(requirements()) <= set(whole)
    assert requirements() == sorted(requirements())


def test_the_device_has_no_other_packages(python: Path, run: Run) -> None:
    code = f"import importlib.util as u, json; print(json.dumps([n for n in {ABSENT!r} if u.find_spec(n)]))"
    assert json.loads(succeed(run(python, "-c", code))) == []


@pytest.mark.exhaustive
def test_the_device_needs_little_space(installed: Path) -> None:
    site = bare_device.site_of(installed.parent.parent)
    assert sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) < MAX_MB * 1e6


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--help"], "distill"),
        (["list", "runtimes"], "needs ai-edge-litert: pip install ai-edge-litert"),
        (["list", "models"], "needs tensorflow: pip install kdcompress"),
        (["list", "teachers"], 'needs torch: pip install "kdcompress[torch]"'),
        (["list"], "models:  (all need tensorflow: pip install kdcompress)"),
        (["verify", "run", "--files"], "26 of 26 files are as run run wrote them"),
        (["predict", "run/exports/student-int8.onnx", "images"], "images/digit.png\t"),
        (["predict", "run", "images", "--json"], '"image": "images/digit.png"'),
        (["bench", "run/exports/student-fp32.onnx", "run/exports/student-int8.onnx", "--duration", "0.1",
          "--threads", "1", "--end-to-end", "images"], "from file to answer"),
        (["cache"], "0 entries"),
        (["init"], "recipe.toml written"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)  # fmt: skip
def test_what_works_on_a_device(python: Path, run: Run, arguments: list[str], shown: str) -> None:
    assert shown in succeed(run(python, "-m", "kdcompress", *arguments))


@pytest.mark.parametrize("kind", LISTED)
def test_every_kind_is_listed_on_a_device(python: Path, run: Run, kind: str) -> None:
    lines = succeed(run(python, "-m", "kdcompress", "list", kind)).splitlines()
    assert {line.split()[0] for line in lines} == {*registry.choices(kind), *registry.family_choices(kind)}


@pytest.mark.parametrize(
    ("arguments", "brought_by"),
    [
        (["verify", "run"], "kdcompress"),
        (["verify", "run/exports/student-fp32.onnx"], "kdcompress"),
        (["export", "run"], "kdcompress"),
        (["export", "run", "--explain"], "kdcompress"),
        (["report", "run"], "kdcompress"),
        (["compress", "run", "--prune", "0.5"], r"'kdcompress\[examples\]', or name a folder .*"),
        (["distill", "{recipe}", "--out", "other"], "kdcompress"),
        (["sweep", "{recipe}", "--out", "other"], "kdcompress"),
        (["suggest", "{recipe}"], "kdcompress"),
        (["predict", "run/student.keras", "images"], "kdcompress"),
        (["predict", "run/exports/student-fp32.saved_model", "images"], "kdcompress"),
        (["predict", "run/exports/student-fp32.tflite", "images"], "ai-edge-litert"),
        (["bench", "run/exports/student-fp32.tflite"], "ai-edge-litert"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)  # fmt: skip
def test_what_a_command_lacks_is_named(
    python: Path, run: Run, tmp_path: Path, arguments: list[str], brought_by: str
) -> None:
    write_recipe(tmp_path)
    filled = [argument.format(recipe="recipe.toml") for argument in arguments]
    done = run(python, "-m", "kdcompress", *filled, "--json")
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert error["kind"] == "missing_extra"
    assert re.fullmatch(rf"[^\n]*\bneed[^\n]*: pip install {brought_by}", error["message"]), error
    assert done.stderr.splitlines()[-1] == f"kdcompress: {error['message']}"
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "other").exists()


def write_recipe(folder: Path) -> None:
    """A recipe on images of two classes, each in a folder."""
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for label in ("a", "b"):
            place = folder / "data" / part / label
            place.mkdir(parents=True)
            for index in range(12):
                Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(place / f"{index}.png")
    text = '[data]\nname = "folder"\ndir = "data"\n[teacher]\nmodel = "tiny_cnn"\n[student]\nmodel = "mnist_mlp"\n'
    (folder / "recipe.toml").write_text(text, encoding="utf-8")


def test_functions_say_what_they_lack(python: Path, run: Run, tmp_path: Path) -> None:
    write_recipe(tmp_path)
    code = (
        "import kdcompress\n"
        "print(kdcompress.predict('run', 'images')[0]['class'])\n"
        "print(kdcompress.bench('run/exports/student-fp32.onnx', duration=0.1)['passed'])\n"
        "for name in sorted({*kdcompress._VERBS} - {'predict', 'bench', 'compress'}):\n"
        "    source = 'recipe.toml' if name in ('distill', 'suggest', 'sweep') else 'run'\n"
        "    try:\n"
        "        getattr(kdcompress, name)(source)\n"
        "    except kdcompress.KDCompressError as exc:\n"
        "        print(name, type(exc).__name__, exc)\n"
    )
    label, passed, *errors = succeed(run(python, "-c", code)).splitlines()
    assert label.isdecimal()
    assert passed == "True"
    assert len(errors) == len(kdcompress._VERBS) - 3
    for error in errors:
        assert re.fullmatch(r"\w+ MissingExtraError [^\n]*: pip install (kdcompress|ai-edge-litert)", error), error


def test_a_run_is_predicted_by_what_the_runtime_opens(litert: Path, run: Run, tmp_path: Path) -> None:
    done = run(litert, "-m", "kdcompress", "predict", "run", "images")
    assert succeed(done).startswith("images/digit.png\t")
    assert done.stderr == "Keras is not installed here: run/exports/student-fp32.tflite stands for student.keras\n"
    for file in (tmp_path / "run" / "exports").glob("*.tflite"):
        file.unlink()
    done = run(litert, "-m", "kdcompress", "predict", "run", "images")
    assert done.returncode == 1
    assert "student-fp32.onnx stands for student.keras here, and needs onnxruntime, which" in done.stderr
    shutil.rmtree(tmp_path / "run" / "exports")
    done = run(litert, "-m", "kdcompress", "predict", "run", "images")
    assert done.returncode == 1
    assert "run run has no exports, and its student.keras needs keras: pip install kdcompress; or" in done.stderr


def test_a_command_line_that_does_not_start_says_why(run: Run, tmp_path: Path) -> None:
    python = bare_device.make(tmp_path / "venv")
    (bare_device.site_of(tmp_path / "venv") / "kdcompress").symlink_to(ROOT / "kdcompress")
    done = run(python, "-m", "kdcompress", "--help")
    assert done.returncode == 1
    assert done.stderr == "kdcompress: the command line needs typer, which is not installed: pip install typer\n"


def test_a_runtime_that_does_not_load_is_told_with_the_reason(run: Run, tmp_path: Path) -> None:
    python = bare_device.make(tmp_path / "venv", *requirements())
    site = bare_device.site_of(tmp_path / "venv")
    (site / "kdcompress").symlink_to(ROOT / "kdcompress")
    (site / "onnxruntime").mkdir()
    reason = "/lib/libm.so.6: version `GLIBC_2.99' not found"
    (site / "onnxruntime" / "__init__.py").write_text(f'raise ImportError("{reason}", name="onnxruntime.capi")\n')
    done = run(python, "-m", "kdcompress", "predict", "run/exports/student-fp32.onnx", "images")
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"kdcompress: onnxruntime is installed, but does not load here (ImportError: {reason})"
    )
    assert done.stderr.count("\n") == 1
    assert "When a runtime does not start" in done.stderr
    assert "When a runtime does not start" in (ROOT / "docs/pages/guides/raspberry-pi.md").read_text(encoding="utf-8")

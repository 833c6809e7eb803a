"""Dependencies point down only, and the command line answers without the heavy libraries."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from kdcompress import registry
from kdcompress.registries import REGISTRIES

ROOT = Path(__file__).parent.parent / "kdcompress"
FILES = "formats/*/model.py"
# From the top to the bottom; a room may import what stands below it, or its own.
LAYERS = (
    ("__main__", "testing"),
    ("cli",),
    ("api",),
    ("demonstration",),
    ("prediction", "reporting", "suggesting", "intake"),
    ("sweeping",),
    ("compression",),
    ("bundling",),
    ("device",),
    ("formats",),  # found by the registry, but for what opens and runs a kind of file
    ("benchmarking",),
    ("exporting",),
    ("verification",),
    ("cluster",),  # the only room that knows Ray
    ("pipeline",),
    ("training",),
    ("methods", "teachers"),
    ("quantization",),
    ("models",),
    (FILES,),
    ("data",),
    ("remote",),
    ("cache",),
    ("runs", "observers"),
    ("config",),
    ("sealed", "notebook"),
    ("registry", "batches", "metadata", "files", "digests", "progress", "metrics", "npz", "versions", "differences"),
    ("formatting",),
    ("events",),
    (
        "paths", "urls", "plugins", "registries", "sizes", "trust", "processes", "leftovers", "missing", "npy",
        "streams", "threads",
    ),
    ("errors", "_version"),
)  # fmt: skip
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
HEAVY = (
    "tensorflow",
    "keras",
    "tf_keras",
    "tensorflow_model_optimization",
    "onnx",
    "onnxruntime",
    "ai_edge_litert",
    "matplotlib",
    "jinja2",
    "optuna",
    "tensorboard",
    "mlflow",
    "torch",
    "transformers",
    "sklearn",
    "scipy",
    "h5py",
    "imagehash",
    "ray",
)
# Also left to the commands that use them: on a small device each takes a tenth of a second and more
SLOW = ("numpy", "pydantic", "PIL", "rich", "importlib.metadata")


def imports(path: Path) -> set[str]:
    """What a file imports when it runs: what only a type checker sees is no dependency."""
    names: set[str] = set()
    tree = ast.parse(path.read_text())
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def module(path: Path) -> str:
    return ".".join(("kdcompress", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def low_formats() -> set[str]:
    """The modules that open and run files: each model.py, and what it imports of its folder."""
    waiting, found = list(ROOT.glob("formats/*/model.py")), set[str]()
    while waiting:
        path = waiting.pop()
        found.add(module(path))
        beside = {module(one): one for one in path.parent.glob("*.py")}
        waiting += [one for name, one in beside.items() if name not in found and name in _modules(path)]
    return found


def _modules(path: Path) -> set[str]:
    """The names that a file imports, and what they may be attributes of."""
    return {part for name in imports(path) for part in (name, name.rpartition(".")[0])}


LOW = low_formats()


def room_of(name: str) -> str:
    if name in LOW or name.rpartition(".")[0] in LOW:
        return FILES
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LEVEL else "_version"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_dependencies_point_down(path: Path) -> None:
    if path == ROOT / "__init__.py":
        return
    room = room_of(module(path))
    for name in imports(path):
        if name.startswith("kdcompress."):
            target = room_of(name)
            assert target == room or LEVEL[target] > LEVEL[room], f"{path} must not import {name}"


def test_kinds_of_files_do_not_know_each_other() -> None:
    for path in ROOT.glob("formats/*/**/*.py"):
        own = path.relative_to(ROOT).parts[1]
        others = {name.split(".")[2] for name in imports(path) if name.startswith("kdcompress.formats.")} - {own}
        assert not others, f"{path} imports from {others}"


def in_new_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


LOADED = f"print([name for name in {HEAVY!r} if name in sys.modules])"


def test_help_loads_nothing_heavy() -> None:
    out = in_new_process(
        "import sys; sys.argv = ['kdcompress', '--help']\n"
        "from kdcompress.cli import main\n"
        "try:\n    main()\nexcept SystemExit as e:\n    assert e.code == 0\n"
        f"print([name for name in {HEAVY + SLOW!r} if name in sys.modules])"
    )
    assert "distill" in out
    assert out.endswith("[]\n")


def test_every_choice_and_every_setting_is_checked_without_the_heavy_libraries() -> None:
    out = in_new_process(
        "import sys\nfrom kdcompress import registry\nfrom kdcompress.config.recipe import resolve\n"
        "rooms = ('models', 'methods', 'datasets', 'teachers', 'observers')\n"
        "[registry.load(room, name) for room in rooms for name in registry.choices(room)]\n"
        f"[resolve(name) for name in registry.choices('recipes')]\n{LOADED}"
    )
    assert out == "[]\n"


def test_a_choice_is_a_file() -> None:
    assert registry.choices("methods") == [
        "dist", "dkd", "embedding", "hinton", "none", "pseudo", "simkd", "srrl", "subclass",
    ]  # fmt: skip
    assert registry.choices("models") == ["ds_cnn", "mnist_cnn", "mnist_mlp", "mobilenetv2", "resnet50v2", "tiny_cnn"]
    assert registry.choices("datasets") == ["arrays", "csv", "ebhi-seg", "folder", "mhist", "mnist"]
    assert registry.choices("teachers") == ["keras", "logits", "onnx", "saved_model", "tflite", "torch"]
    assert registry.choices("observers") == ["mlflow", "tensorboard"]
    assert registry.choices("recipes") == [
        "ebhi", "ebhi-known", "ebhi-subclass", "mhist", "mhist-subclass", "mnist", "mnist-best", "mnist-demo",
        "mnist-few", "mnist-small", "mnist-subclass",
    ]  # fmt: skip
    for room in REGISTRIES:
        for name in registry.choices(room):
            assert registry.describe(room, name), f"{room}/{name} does not say what it is"

"""Code that lies where data lie: in the run, in the current folder, named by a recipe or by nobody."""

from __future__ import annotations

from trust.place import Place
from trust.registry import kind

_OPENING = ("run-predict", "run-verify", "run-verify-files", "run-export", "run-bench", "run-report")


def _module(place: Place, name: str, *folders: str) -> None:
    """A module that leaves a mark where it is imported."""
    text = f"open({place.mark(name)!r}, 'w').close()\n\n\ndef build():\n    raise SystemExit(0)\n"
    for folder in folders:
        (place.work / folder / f"{name}.py").write_text(text, encoding="utf-8")


def _recipe_names(place: Place, reference: str) -> None:
    """Let the run's recipe name code for its models, whose files plain Keras does not open."""
    from trust.keras_config import rewrite, thing

    path = place.run / "recipe.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(f'model = "{reference}"' if one.startswith("model =") else one for one in lines), "utf-8")
    for role in ("student", "teacher"):
        model = place.run / f"{role}.keras"
        whole = model.with_name("whole.keras")
        model.rename(whole)
        rewrite(whole, model, lambda config: config.update(thing("Custom", config["config"], None)))
        whole.unlink()
    place.vouch()


@kind("recipe-module", "a run's recipe that names a module lying in the run and in the current folder", at="run",
      commands=_OPENING, refused=("run-predict", "run-export"), fuse="module")  # fmt: skip
def _(place: Place) -> None:
    _module(place, "evilmod", ".", "run")
    _recipe_names(place, "evilmod:build")


@kind(
    "recipe-abort",
    "a run's recipe that names os:abort",
    at="run",
    commands=_OPENING,
    refused=("run-predict", "run-export"),
)
def _(place: Place) -> None:
    _recipe_names(place, "os:abort")


@kind("recipe-teacher-abort", "a run's recipe that names os:abort for its teacher alone", at="run",
      commands=("run-verify", "run-bench", "run-export", "run-predict", "run-report"))  # fmt: skip
def _(place: Place) -> None:
    _recipe_names(place, "os:abort")
    for role in ("student", "teacher"):
        honest = place.work / "honest-run" / f"{role}.keras"
        (place.run / f"{role}.keras").write_bytes(honest.read_bytes())
    place.vouch()


@kind("recipe-builtin", "a run's recipe that names a function of Python's own", at="run", commands=_OPENING)
def _(place: Place) -> None:
    _recipe_names(place, "antigravity:geohash")


@kind("recipe-climbs", "a recipe whose name climbs out: the default run folder would move", at="up.toml",
      commands=("recipe", "recipe-sweep"), refused=("recipe", "recipe-sweep"))  # fmt: skip
def _(place: Place) -> None:
    (place.work / "up.toml").write_text(
        'name = "../../../outside/x"\n[data]\nname = "mnist"\nsource = "embedded"\n'
        '[teacher]\nmodel = "honest/teacher.keras"\n[student]\nmodel = "honest/student.keras"\n',
        encoding="utf-8",
    )


@kind("recipe-ansi", "escape sequences in the name of a recipe", at="ansi.toml", commands=("recipe-sweep", "recipe"))
def _(place: Place) -> None:
    (place.work / "ansi.toml").write_text('name = "a\\u001b[2Jb"\n[data]\nname = "mnist\\u001b[2J"\n', encoding="utf-8")


@kind("recipe-deep", "a recipe nested without end", at="deep.toml", commands=("recipe", "recipe-sweep"),
      refused=("recipe", "recipe-sweep"))  # fmt: skip
def _(place: Place) -> None:
    (place.work / "deep.toml").write_text("name = " + "[" * 100_000, encoding="utf-8")


@kind("recipe-fifo", "a FIFO in place of a recipe", at="fifo.toml", commands=("recipe", "recipe-sweep"),
      refused=("recipe", "recipe-sweep"))  # fmt: skip
def _(place: Place) -> None:
    import os

    os.mkfifo(place.work / "fifo.toml")


@kind(
    "recipe-numbers", "epochs of 1e21 in a recipe", at="numbers.toml", commands=("recipe-dry",), refused=("recipe-dry",)
)
def _(place: Place) -> None:
    (place.work / "numbers.toml").write_text(
        'name = "x"\n[data]\nname = "mnist"\nsource = "embedded"\n[teacher]\nmodel = "honest/teacher.keras"\n'
        '[student]\nmodel = "honest/student.keras"\n[training]\nepochs = 1000000000000000000000\n',
        encoding="utf-8",
    )


def _planted(where: str, folders: tuple[str, ...], commands: tuple[str, ...]) -> None:
    names = ("kdcompress", "keras", "onnx", "numpy", "onnxruntime", "tensorflow", "json", "typing", "sitecustomize")

    @kind(f"planted-{where}", f"modules of well-known names in the {where}, for processes that are started", at="run",
          commands=commands, fresh=True, fuse="module")  # fmt: skip
    def make(place: Place) -> None:
        for name in names:
            _module(place, name, *folders)


_planted(
    "current-folder", (".",), ("files-bench", "run-bench", "run-predict", "run-report", "sweep-jobs", "synthetic-jobs")
)
_planted("run", ("run", "run/exports"), ("inside-files-bench", "run-bench", "inside-bench", "inside-predict"))

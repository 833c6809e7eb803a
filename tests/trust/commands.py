"""The commands that open files, each on `{bad}`, the hostile one; all run in the folder `work` of a place."""

from __future__ import annotations

_QUICK = ("--limit", "150", "--epochs", "1", "--no-baseline", "--set", "teacher.check=false")
_MODELS = ("--teacher", "honest/teacher.keras", "--student", "honest/student.keras")
_SWEEP = ("--limit", "150", "--epochs", "1", "--seeds", "1", "--set", "teacher.check=false", "--out", "swept")
_BRIEF = ("--threads", "1", "--duration", "0.03")

COMMANDS: dict[str, tuple[str, ...]] = {
    # A model file
    "predict": ("predict", "{bad}", "digit.png"),
    "verify": ("verify", "{bad}"),
    "export": ("export", "{bad}", "--format", "onnx", "--out", "exported"),
    "bench": ("bench", "{bad}", *_BRIEF),
    "teacher": ("distill", "mnist-demo", "--teacher", "{bad}", "--student", "honest/student.keras", *_QUICK,
                "--out", "made"),
    "student": ("distill", "mnist-demo", "--teacher", "honest/teacher.keras", "--student", "{bad}", *_QUICK,
                "--out", "made"),
    "pretrained": ("distill", "zoo/rgb.toml", "--set", "student.pretrained={bad}", "--out", "made", "--dry-run"),
    "sweep-teacher": ("sweep", "mnist-demo", "--teacher", "{bad}", "--student", "honest/student.keras", *_SWEEP),
    # A run
    "run-predict": ("predict", "{bad}", "digit.png"),
    "run-verify": ("verify", "{bad}"),
    "run-verify-files": ("verify", "{bad}", "--files"),
    "run-export": ("export", "{bad}", "--format", "onnx", "--parity-samples", "50"),
    "run-bench": ("bench", "{bad}", *_BRIEF),
    "run-report": ("report", "{bad}"),
    "run-report-out": ("report", "{bad}", "--out", "made"),
    "run-again": ("distill", "{bad}/recipe.toml", "--out", "{bad}"),
    "run-fresh": ("distill", "mnist-demo", *_MODELS, *_QUICK, "--out", "{bad}", "--fresh"),
    # Deletes what the run made, and then finds no data: all of --fresh but the training
    "run-clear": ("distill", "mnist-demo", "--data-dir", "honest", "--out", "{bad}", "--fresh"),
    "run-compare": ("report", "{bad}", "honest-run", "--out", "made"),
    # Where processes are started, or the current folder is the run
    "sweep-jobs": ("sweep", "mnist-demo", *_MODELS, "--limit", "150", "--epochs", "1", "--seeds", "1", "-T", "1,4",
                   "--set", "teacher.check=false", "--out", "swept", "--jobs", "2"),
    "synthetic-jobs": ("data", "make-synthetic", "mhist", "--out", "made", "--count", "210", "--size", "32"),
    "files-bench": ("bench", "honest-run/exports/student-fp32.onnx", *_BRIEF),
    "inside-files-bench": ("bench", "exports/student-fp32.onnx", *_BRIEF),
    "inside-bench": ("bench", ".", *_BRIEF),
    "inside-predict": ("predict", ".", "../digit.png"),
    # Data
    "check": ("data", "check", "{bad}/data.toml"),
    "data": ("distill", "{bad}/data.toml", *_MODELS, *_QUICK, "--out", "made"),
    "data-sweep": ("sweep", "{bad}/data.toml", *_MODELS, *_SWEEP),
    "images": ("predict", "honest/student.keras", "{bad}"),
    "images-csv": ("predict", "honest/student.keras", "{bad}", "--csv", "made/predictions.csv"),
    "calibration": ("export", "honest/student.keras", "--precision", "int8", "--calibration", "{bad}",
                    "--out", "exported"),
    "unlabelled": ("distill", "mnist-demo", *_MODELS, *_QUICK, "--unlabelled", "{bad}", "--out", "made"),
    "end-to-end": ("bench", "run/exports/student-fp32.onnx", *_BRIEF, "--end-to-end", "{bad}"),
    # A recipe that the user names, a sweep, the cache
    "recipe": ("distill", "{bad}", *_QUICK),
    "recipe-dry": ("distill", "{bad}", "--dry-run"),
    "recipe-sweep": ("sweep", "{bad}", *_SWEEP),
    "sweep-report": ("report", "{bad}"),
    "sweep-again": ("sweep", "mnist-demo", *_MODELS, *_SWEEP),
    "cache": ("cache",),
    "cache-clear": ("cache", "--clear"),
    "cached": ("distill", "mnist-demo", *_MODELS, *_QUICK, "--out", "made"),
}  # fmt: skip

KERAS = ("predict", "verify", "export", "teacher", "student", "sweep-teacher")
H5 = ("predict", "verify", "teacher", "student", "sweep-teacher")
FILES = ("predict", "verify", "bench", "teacher", "sweep-teacher")
FOLDERS = ("predict", "verify", "teacher", "sweep-teacher")
RUN = (
    "run-predict", "run-verify", "run-verify-files", "run-export", "run-bench", "run-report", "run-report-out",
    "run-again", "run-compare", "run-clear", "run-fresh",
)  # fmt: skip
DATA = ("check", "data", "data-sweep")
IMAGES = ("images", "images-csv", "calibration", "unlabelled", "end-to-end")


INSIDE = "inside-"
CLEAR = "run-clear"


def arguments(command: str, bad: str) -> list[str]:
    """The arguments of a command on a file."""
    return [part.replace("{bad}", bad) for part in COMMANDS[command]]

"""`sweep`: the best of several settings on validation, and its gain over the baseline, over several seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kdcompress.api._recipe import naming_data, recipe_of, split_observers
from kdcompress.api._verb import verb
from kdcompress.config.recipe import Recipe
from kdcompress.observers import Observer
from kdcompress.progress import Progress
from kdcompress.runs.schemas import SweepResult
from kdcompress.trust import trusting_code


@verb
def sweep(
    recipe: str | Path | Mapping[str, Any] | Recipe | None = None,
    *,
    data: Any = None,
    classes: Sequence[str] | None = None,
    temperatures: Iterable[float] | None = None,
    alphas: Iterable[float] | None = None,
    methods: Iterable[str] | None = None,
    seeds: int = 3,
    trials: int | None = None,
    jobs: int = 1,
    storage: str | None = None,
    data_dir: str | Path | None = None,
    teacher: str | Path | Sequence[Any] | Any = None,
    student: str | Path | Any = None,
    unlabelled: str | Path | None = None,
    method: str | None = None,
    temperature: float | None = None,
    alpha: float | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    limit: int | None = None,
    baseline: bool | None = None,
    observers: str | Observer | Iterable[str | Observer] = (),
    cluster: str | None = None,
    workers: int | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> SweepResult:
    """Train a student for each setting and seed, select a setting on validation, and measure its gain on test.

    Settings that are not varied are those of the recipe; without any, the gain of the recipe over `seeds` is measured.
    A killed sweep is resumed, and several processes may share one `out`.

    Args:
        recipe: Name of a built-in recipe, recipe file, or values; by default mnist, or one made for `data`. The other
            arguments override it.
        data: Data in memory in place of the recipe's: (x, y), ((x_train, y_train), (x_test, y_test)) or a dict of NumPy
            arrays, as in an npz file; a pandas DataFrame of image paths and labels; a tf.data.Dataset or Hugging Face
            datasets.Dataset of images and labels; or {"train": ..., "test": ...} of these. They are written to the
            cache once.
        classes: Class names of `data`, in the order of the labels' numbers.
        temperatures: Temperatures to try, each > 0.
        alphas: Weights of the distillation loss to try, each 0 to 1.
        methods: Distillation methods to try; with "all" among them, all that are registered and fit classes, student
            and teacher, each with its own temperature and alpha where none are given.
        seeds: Number of seeds per setting, >= 1, counted from that of the recipe.
        trials: Number of settings that TPE proposes within the ranges of `temperatures` and
            `alphas`; by default all combinations are tried.
        jobs: Number of processes, >= 1, which share the cores.
        storage: Optuna database URL, for a sweep on several machines; by default a file in `out`.
        data_dir: Folder of the data set; no other folder is searched then.
        teacher: Zoo name, model file or folder (Keras, ONNX, TFLite, SavedModel, npz file of logits),
            `module:function`, or a Keras model in memory, which is copied to the cache; a list of them is averaged.
        student: Zoo name, .keras file, `module:function`, or a Keras model in memory.
        unlabelled: Folder of further images without labels, which get the teacher's outputs as targets.
        method: Name of the distillation method.
        temperature: Temperature of both distributions, > 0.
        alpha: Weight of the distillation loss, in [0, 1]; the labels weigh 1 - alpha.
        epochs: Number of epochs of all trainings, >= 1, including that of a zoo teacher.
        seed: Seed of the student's initial weights and of the order of batches.
        limit: Maximum number of training images, a stratified sample; test is not reduced.
        baseline: Whether the student is also trained without the teacher.
        observers: Observers in addition to those of the recipe: names such as "tensorboard", references
            package.module:Class, or objects of `kdcompress.observers.Observer`.
        cluster: "auto" starts Ray on this machine, HOST:PORT joins a running cluster, whose workers share the work; it
            is your consent to Ray's messages, which are pickles, between its machines. By default as the recipe says.
        workers: Number of the cluster's workers, >= 1.
        settings: Values by dotted key of the recipe, such as {"training.batch_size": 64}; they override all others.
        out: Folder of the sweep; sweeps/NAME-DIGEST by default.
        trust_code: Whether code that comes with model files may be executed.
        progress: Listener of progress, notes and warnings.

    Returns:
        All trials, the selected setting and its gain, as `kdcompress sweep --json` prints them; saved as sweep.json.

    Raises:
        RecipeError: A value is unknown or out of range.
        RunError: The folder or the storage is of another sweep, or damaged.
        KDCompressError: The data or a model cannot be used, or no setting could be trained.
    """
    from kdcompress.sweeping._options import make_space
    from kdcompress.sweeping._sweep import SweepRequest, run_sweep

    names, objects = split_observers(observers)
    listener = progress or Progress()
    base = recipe_of(
        recipe, data=data, classes=classes, data_dir=data_dir,
        teacher=teacher, student=student, unlabelled=unlabelled, method=method,
        temperature=temperature, alpha=alpha, epochs=epochs, seed=seed, limit=limit, baseline=baseline,
        observers=names, cluster=cluster, workers=workers, settings=settings, progress=listener,
    )  # fmt: skip
    space = make_space(base, methods, temperatures, alphas, seeds, trials)
    all_observers = (*base.observers.values(), *objects)
    request = SweepRequest(base, space, Path(out) if out else default_sweep(base), jobs, storage, all_observers)
    with trusting_code(trust_code), naming_data(base, data):
        return run_sweep(request, listener)


def default_sweep(recipe: Recipe) -> Path:
    """Return the default folder of a sweep.

    Args:
        recipe: The base recipe.

    Returns:
        sweeps/NAME-DIGEST, the same for the same recipe whatever settings are varied.
    """
    return Path("sweeps") / f"{recipe.name}-{recipe.digest[:8]}"

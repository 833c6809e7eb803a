"""`sweep`: which setting is best, and what the teacher brings, over several seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kdcompress.api._recipe import recipe_of, split_observers
from kdcompress.config.recipe import Recipe
from kdcompress.observers import Observer
from kdcompress.progress import Progress
from kdcompress.runs.schemas import SweepResult
from kdcompress.trust import trusting_code


def sweep(
    recipe: str | Path | Mapping[str, Any] | Recipe = "mnist",
    *,
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
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> SweepResult:
    """Train a student for each setting and seed, choose on validation, and tell its gain on test.

    What is not tried is the recipe's own; with one setting, the gain of that over `seeds` is told. A killed sweep goes
    on where it stopped, and several processes may work on one `out`.

    Args:
        recipe: The name of a built-in recipe, a recipe file, or its values. What is given beside it wins over it.
        temperatures: Temperatures to try, each > 0.
        alphas: Weights of the distillation loss to try, each 0 to 1.
        methods: Distillation methods to try.
        seeds: Student seeds for every setting, >= 1, from the recipe's own seed on.
        trials: Let TPE propose so many settings between the values of `temperatures` and `alphas`.
        jobs: Processes, >= 1, which divide the cores among them.
        storage: An Optuna database URL, by which several machines may share a sweep; by default a file in `out`.
        data_dir: The data set's own folder; nothing else is searched then.
        teacher: A zoo name, a model file or folder (Keras, ONNX, TFLite, SavedModel, an npz file of logits),
            `module:function`, or a Keras model in memory, of which the cache keeps a copy; a list of them is averaged.
        student: A zoo name, a .keras file, `module:function`, or a Keras model in memory.
        unlabelled: A folder of further images, without labels: the teacher's answers are theirs.
        method: The distillation method.
        temperature: Softens both distributions, > 0.
        alpha: Weight of the distillation loss, 0 to 1; the labels weigh the rest.
        epochs: Epochs of every training, >= 1, also of a teacher that is trained here.
        seed: Decides the student's initial weights and the order of batches.
        limit: Train on a stratified sample of so many images; test stays whole.
        baseline: Whether to train the same student without the teacher, too.
        observers: Who watches the sweep beside those of the recipe: names such as "tensorboard", references
            package.module:Class, or objects of `kdcompress.observers.Observer`.
        settings: Any keys of the recipe, dotted, such as {"training.batch_size": 64}; they win over everything else.
        out: The sweep's folder; sweeps/NAME-DIGEST by default.
        trust_code: Let code run that came with model files.
        progress: Hears what is being done.

    Returns:
        Every trial, the chosen setting and its gain, as `kdcompress sweep --json` prints it; kept as sweep.json.

    Raises:
        RecipeError: A value is unknown or out of its range.
        RunError: The folder or the storage is of another sweep, or damaged.
        KDCompressError: The data or a model cannot be used, or no setting could be trained.
    """
    from kdcompress.sweeping._space import make_space
    from kdcompress.sweeping._sweep import SweepRequest, run_sweep

    names, objects = split_observers(observers)
    base = recipe_of(
        recipe, data_dir=data_dir, teacher=teacher, student=student, unlabelled=unlabelled, method=method,
        temperature=temperature, alpha=alpha, epochs=epochs, seed=seed, limit=limit, baseline=baseline,
        observers=names, settings=settings,
    )  # fmt: skip
    space = make_space(base, methods, temperatures, alphas, seeds, trials)
    watching = (*base.observers.values(), *objects)
    request = SweepRequest(base, space, Path(out) if out else default_sweep(base), jobs, storage, watching)
    with trusting_code(trust_code):
        return run_sweep(request, progress or Progress())


def default_sweep(recipe: Recipe) -> Path:
    """sweeps/NAME-DIGEST: the same recipe finds its sweep again, whatever is tried around it."""
    return Path("sweeps") / f"{recipe.name}-{recipe.digest[:8]}"

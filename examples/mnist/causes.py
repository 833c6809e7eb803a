"""Why our student of recipe `mnist` is not quite the paper's: possible causes, one at a time, over seeds.

    python causes.py            the whole MNIST, 5 seeds (an hour and more on 2 cores): CAUSES.md here
    python causes.py --quick    5,000 embedded digits, 2 seeds (minutes)

Test is looked at after every epoch here, which nothing else in this project does: the question is what such a look is
worth. Nothing is chosen by it. Every figure is in causes.json beside CAUSES.md, and what is there is not made again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import causes_page
from literature_runs import Study, study_of_command
from tables import listener


@dataclass(frozen=True)
class Variant:
    """The recipe with one thing changed.

    Attributes:
        name: What is changed, in words.
        settings: Values by dotted key.
        whole: Whether the validation images are trained on, too; the last epoch is taken then.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False


# What a training does in an epoch does not depend on how many follow, so the first 12 of 24 are those of the recipe
VARIANTS = (
    Variant("recipe", {"training.epochs": 24}),
    Variant("all images", whole=True),
    Variant("He's initialization", {"student.model": "causes:he_student"}),
)


def he_student() -> Any:
    """The paper's student with the initialization of He et al. 2015 in place of Glorot's, which is Keras's default."""
    from keras.initializers import HeUniform

    from kdcompress.models.mnist_mlp import MnistMLP

    model = MnistMLP.build((28, 28, 1), 10)
    for layer in (layer for layer in model.layers if layer.weights and layer.name != "logits"):
        layer.kernel.assign(HeUniform()(layer.kernel.shape))
    return model


def follow(study: Study, variant: Variant, seed: int, progress: Any) -> dict[str, Any]:
    """Train a student, and look at validation and test after every epoch.

    Returns:
        Accuracies by epoch: `val` and `test`; and `n_train` and `n_test`.
    """
    from kdcompress.config.recipe import resolve
    from kdcompress.metrics.classification import accuracy
    from kdcompress.models import Forward
    from kdcompress.pipeline.data import RecipeData
    from kdcompress.pipeline.experiment import Experiment, Reporter
    from kdcompress.pipeline.labelling import compute_training_targets, prepare_teachers
    from kdcompress.pipeline.student import StudentFactory
    from kdcompress.training.fitting import use_determinism

    use_determinism()
    recipe = resolve(study.recipe, {"seed": seed, **variant.settings, **(study.settings or {})}, epochs=study.epochs)
    data, reporter = RecipeData(recipe, progress), Reporter(progress, progress.warn)
    experiment = Experiment(recipe, data)
    ensemble = prepare_teachers(experiment, None, reporter)  # the teacher never saw the validation images
    if variant.whole:
        split = data.split
        data.split = replace(split, train=split.train.join(split.val), fingerprint=f"{split.fingerprint} and val")
    targets = compute_training_targets(ensemble, experiment, reporter)
    students = StudentFactory(experiment)
    model, folder = students.build(experiment.method), study.work / "checkpoints"
    shutil.rmtree(folder, ignore_errors=True)
    forward, test = Forward(model), data.split.test
    found: dict[str, Any] = {"val": [], "test": [], "n_train": len(data.split.train), "n_test": len(test)}

    def look(rows: list[dict[str, Any]]) -> None:
        found["val"].append(rows[-1]["val_accuracy"])
        found["test"].append(accuracy(forward(test.images), test.labels))

    phase = students.make_phase("student", experiment.method, model, targets, folder / "student.npz")
    feed = students.make_feed(experiment.method, targets)
    experiment.trainer(phase, model, feed, data.split.val, progress, look)
    shutil.rmtree(folder)
    return found


def measure(study: Study, progress: Any) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Train every variant with every seed, whichever is missing.

    Yields:
        Results of `follow` by variant, seed by seed, after each run from that on with which every variant has one.
    """
    for one in VARIANTS:
        for seed in study.seeds:
            study.once(_name(one, seed), lambda v=one, s=seed: follow(study, v, s, progress))
            known = study.known
            found = {
                variant.name: [known[name] for other in study.seeds if (name := _name(variant, other)) in known]
                for variant in VARIANTS
            }
            if all(found.values()):
                yield found


def _name(variant: Variant, seed: int) -> str:
    return f"{variant.name} s{seed}"


def main() -> None:
    study = study_of_command("causes", __doc__, 5, 2, None)
    for found in measure(study, listener()):
        study.write(causes_page.page(found, study.command))


if __name__ == "__main__":
    main()

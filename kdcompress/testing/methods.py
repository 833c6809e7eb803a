"""The contract of a distillation method; a subject is a Method with its settings, not yet bound to classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.choices import make_choice
from kdcompress.errors import RecipeError
from kdcompress.leftovers import temporary_folder
from kdcompress.methods import Classes, Method
from kdcompress.testing._imports import check_light_import

CLASSES = Classes(3, (2, 1, 3))
_SHAPE, _BATCH, _EPOCHS, _WIDTH = (8, 8, 1), 6, 5, 7


def check_settings(method: Method) -> None:
    """Settings survive the way through a recipe, cannot be changed, and an unknown one is refused."""
    settings = method.to_dict()
    assert make_choice("method", settings).to_dict() == settings, "settings change on their way through a recipe"
    try:
        make_choice("method", {**settings, "no_such_setting": 1})
    except RecipeError as exc:
        assert "no_such_setting" in str(exc)
    else:
        raise AssertionError("a setting that the method does not have is taken")


def check_import(method: Method) -> None:
    """The method's module imports no heavy library."""
    check_light_import(type(method))


def check_weights(method: Method) -> None:
    """All weights lie in [0, 1] in every epoch, and something is learned."""
    for epoch in range(_EPOCHS):
        targets, labels = method.weight_at(epoch), method.label_weight_at(epoch)
        assert 0 <= targets <= 1, f"weight_at({epoch}) is {targets}"
        assert 0 <= labels <= 1, f"label_weight_at({epoch}) is {labels}"
    for name, extra in method.extra_losses.items():
        assert extra.weight >= 0, f"extra loss {name} weighs {extra.weight}"
    if not method.needs_targets:
        assert method.weight_at(0) == 0, "a method that wants no targets gives them a weight"


def check_heads(method: Method) -> None:
    """Outputs of `head` numbers stand for one logit a class, of tensors and arrays; teacher and baseline share it."""
    bound = method.bind(CLASSES)
    head = bound.head(CLASSES)
    outputs = _random((_BATCH, head))
    logits = np.asarray(bound.class_logits(outputs))
    assert logits.shape == (_BATCH, CLASSES.count), f"class_logits gives {logits.shape}"
    assert np.isfinite(logits).all()
    if bound.plain:
        assert np.array_equal(logits, outputs), "a plain method's outputs are its class logits"
    for role in (bound.for_teacher(), bound.for_baseline()):
        assert not role.needs_targets, "teacher and baseline are trained without a teacher"
        assert role.head(CLASSES) == head, "teacher, student and baseline have one head"


def check_loss(method: Method) -> None:
    """One finite loss a sample, also of extreme logits, lowest where the student does as the teacher."""
    bound = method.bind(CLASSES)
    if not bound.needs_targets:
        return
    targets = _outputs(bound)
    same, other = _loss(bound, targets, targets), _loss(bound, targets, _outputs(bound, seed=1))
    assert same.shape == (_BATCH,), f"targets_loss gives {same.shape}, not one value a sample"
    assert same.mean() <= other.mean() + 1e-6, "the loss is not lowest where the student does as the teacher"
    for scale in (0.0, 1e-4, 1e4):
        scaled = [{name: scale * array for name, array in _outputs(bound, seed).items()} for seed in (0, 2)]
        loss = _loss(bound, *scaled)
        assert np.isfinite(loss).all(), f"the loss of logits around {scale:g} is not finite"


def check_training(method: Method) -> None:
    """A student trains with the method for two epochs, and is saved and opened again with the same class logits."""
    import keras

    from kdcompress.config.sections import ViewsSection
    from kdcompress.config.training import TrainingSection
    from kdcompress.data import Samples
    from kdcompress.models import Forward, load_saved_model
    from kdcompress.progress import Progress
    from kdcompress.teachers import Classifier
    from kdcompress.training.feed import Feed
    from kdcompress.training.fitting import train_phase, trained_model
    from kdcompress.training.phase import Phase
    from kdcompress.training.projection import Space

    bound = method.bind(CLASSES)
    head, n = bound.head(CLASSES), 4 * _BATCH
    images = np.random.default_rng(0).integers(0, 256, (n, *_SHAPE), np.uint8)
    samples = Samples(images, np.arange(n) % CLASSES.count, np.arange(n).astype(str))
    targets = {name: array[:, None] for name, array in _outputs(bound, n=n).items()} or None
    classifier = Classifier(_random((_WIDTH, head)), _random((head,)))
    space = Space(_WIDTH, classifier) if "embedding" in bound.wants else None
    extra = bound.extra_labels(samples.labels, np.arange(n) % sum(CLASSES.subclasses or ()))
    feed = Feed(samples, ViewsSection(), targets, _BATCH, 0, extra_labels=extra, labels_with_targets=bound.needs_labels)
    layers = keras.layers
    student = keras.Sequential(
        [keras.Input(_SHAPE), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(5), layers.Dense(head)]
    )
    before = [np.array(value) for value in student.get_weights()]
    with temporary_folder() as folder:
        training = TrainingSection(epochs=2, batch_size=_BATCH)
        phase = Phase("student", "contract", bound, training, folder / "checkpoint.npz", space=space)
        state = train_phase(phase, student, feed, samples, Progress(), lambda rows: None)
        assert len(state.rows) == training.epochs
        assert any(not np.array_equal(*pair) for pair in zip(before, student.get_weights(), strict=True))
        final = trained_model(phase, student, state, _SHAPE)
        final.save(folder / "student.keras")
        again = load_saved_model(folder / "student.keras")
    assert np.allclose(Forward(final)(images), Forward(again)(images), atol=1e-5)


def check_projector(method: Method) -> None:
    """A projector ends in the teacher's width; one that the saved student keeps is not left out."""
    layers = method.bind(CLASSES).projector(_WIDTH)
    outputs: Any = _random((_BATCH, _WIDTH + 2))
    for layer in layers:
        outputs = layer(outputs)
    assert not layers or outputs.shape == (_BATCH, _WIDTH), f"the projector gives {outputs.shape}"
    assert bool(layers) == ("embedding" in method.wants), "a method that wants embeddings has a projector, and no other"
    assert layers or not method.replaces_head, "a head is replaced by a projector, and there is none"


def _outputs(method: Method, seed: int = 0, n: int = _BATCH) -> dict[str, NDArray[np.float32]]:
    """Outputs by the names that the method wants."""
    widths = {"embedding": _WIDTH, "logits": method.head(CLASSES)}
    return {name: _random((n, widths[name]), seed) for name in method.wants}


def _loss(
    method: Method, targets: dict[str, NDArray[np.float32]], outputs: dict[str, NDArray[np.float32]]
) -> NDArray[np.float32]:
    labels: Any = np.arange(_BATCH) % CLASSES.count if method.needs_labels else None
    own: Any = outputs if "embedding" in method.wants else outputs["logits"]
    return np.asarray(method.targets_loss(targets, own, labels), np.float32)


def _random(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 2, shape).astype(np.float32)


METHOD_CHECKS: tuple[Callable[[Method], None], ...] = (
    check_settings,
    check_import,
    check_weights,
    check_heads,
    check_projector,
    check_loss,
    check_training,
)

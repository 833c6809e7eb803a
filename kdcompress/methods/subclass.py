"""Subclass distillation: the teacher divides classes into subclasses, the student learns those (Mueller et al.)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PrivateAttr
from typing_extensions import Self

from kdcompress.config.settings import format_value
from kdcompress.errors import RecipeError
from kdcompress.methods._base import Classes, ExtraLoss, Labels, Method
from kdcompress.methods.hinton import distillation_loss

KNOWN = "known"
Count = Annotated[int, Field(ge=1, le=1000)]
Counts = Annotated[tuple[Count, ...], Field(max_length=1_000_000)]
_MOST_OUTPUTS = 1_000_000


def class_logits(outputs: Any, sizes: tuple[int, ...], centred: bool = False) -> Any:
    """Class logits (batch, classes) from subclass logits (batch, sum(sizes)), those of a class beside each other.

    The probability of a class is the sum over its subclasses of the softmax over all subclasses, so its logit is the
    logsumexp of its subclasses' logits (Mueller, Kornblith, Hinton 2020, section 2). `centred` first takes the mean of
    a class's subclass logits from them, and log(size) from the result: what is left says how sure the subclasses are, 0
    if not at all, and nothing of the class itself.
    Made of plain operations alone, which every export format has.
    """
    from keras import ops

    if set(sizes) == {1}:
        return outputs
    if len(set(sizes)) == 1:
        return _logsumexp(ops.reshape(outputs, (-1, len(sizes), sizes[0])), centred)
    columns, begin = [], 0
    for size in sizes:
        column = _logsumexp(outputs[:, begin : begin + size], centred)
        columns.append(ops.expand_dims(column, -1))
        begin += size
    return ops.concatenate(columns, axis=-1)


def _logsumexp(z: Any, centred: bool) -> Any:
    """Over the last axis. Keras's own asks whether numbers are finite, for which TFLite has no operator."""
    from keras import ops

    if centred:
        z = z - ops.mean(z, axis=-1, keepdims=True)
    highest = ops.max(z, axis=-1, keepdims=True)
    total = ops.squeeze(highest, -1) + ops.log(ops.sum(ops.exp(z - highest), axis=-1))
    return total - math.log(z.shape[-1]) if centred else total


def auxiliary_loss(outputs: Any, temperature: float) -> Any:
    """L_aux of a batch of subclass logits (n, d), one value a row, shape (n,): it spreads a batch over the subclasses.

    mean_i(log sum_j exp(v_i . v_j / T_aux)) - 1 / T_aux - log n, v_i being a row normalised to mean 0 and variance 1
    (Mueller, Kornblith, Hinton 2020, eq. 3, as printed: a collapsed batch gives (d - 1) / T_aux).
    """
    from keras import ops

    z = ops.cast(outputs, "float32")
    centred = z - ops.mean(z, axis=-1, keepdims=True)
    v = centred / ops.maximum(ops.sqrt(ops.mean(centred**2, axis=-1, keepdims=True)), 1e-6)
    likeness = ops.matmul(v, ops.transpose(v)) / temperature
    n = ops.cast(ops.shape(z)[0], "float32")
    return ops.logsumexp(likeness, axis=-1) - 1.0 / temperature - ops.log(n)


def intra_class_loss(targets: Any, outputs: Any, sizes: tuple[int, ...], temperature: float) -> Any:
    """T^2 times the sum over classes of KL(teacher || student) between the subclasses of that class alone, (batch,)."""
    begin, total = 0, 0.0
    for size in sizes:
        part = slice(begin, begin + size)
        begin += size
        if size > 1:
            total = total + distillation_loss(targets[:, part], outputs[:, part], temperature)
    return total


class Subclasses(Method):
    """What teacher and student share: heads of subclass logits, read as class logits."""

    subclasses: Count | Counts | Literal["known"] = 2
    _sizes: tuple[int, ...] = PrivateAttr(())

    @property
    def known(self) -> bool:
        """Whether the subclasses are those of the data, not of the teacher's making."""
        return self.subclasses == KNOWN

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of subclasses of each class; only of a method that is bound to classes."""
        assert self._sizes, "bind() comes first"
        return self._sizes

    def bind(self, classes: Classes) -> Method:
        """See Method.bind."""
        if self.known:
            if classes.subclasses is None:
                raise RecipeError(
                    "method.subclasses = 'known' needs data with subclasses: a [superclasses] section that merges "
                    "classes, a subclass column or array, or data.subclasses (mhist)"
                )
            sizes = classes.subclasses
        elif isinstance(self.subclasses, tuple):
            sizes = self.subclasses
        else:
            sizes = (int(self.subclasses),) * classes.count
        if len(sizes) != classes.count:
            raise RecipeError(
                f"method.subclasses must have a number for each of the {classes.count} classes, "
                f"got {len(sizes)}: {format_value(list(sizes))}"
            )
        if sum(sizes) > _MOST_OUTPUTS:
            raise RecipeError(
                f"method.subclasses must come to at most {_MOST_OUTPUTS} outputs over all classes, got {sum(sizes)}"
            )
        return self._bound_to(sizes)

    def _bound_to(self, sizes: tuple[int, ...]) -> Self:
        bound = self.model_copy()
        bound._sizes = sizes
        return bound

    @property
    def comparable(self) -> bool:
        """See Method.comparable."""
        return self.known or self.plain

    @property
    def identity(self) -> object:
        """See Method.identity."""
        return list(self.sizes)

    @property
    def plain(self) -> bool:
        """See Method.plain."""
        return set(self.sizes) == {1}

    def head(self, classes: Classes) -> int:
        """See Method.head."""
        return sum(self.sizes)

    def class_logits(self, outputs: Any) -> Any:
        """See Method.class_logits."""
        return class_logits(outputs, self.sizes)


class SubclassTeaching(Subclasses):
    """How the teacher is trained: cross-entropy on class probabilities + beta * L_aux, or with known subclasses."""

    beta: float = 0.3
    auxiliary_temperature: float = 20.0

    wants: ClassVar[tuple[str, ...]] = ()

    def label_weight_at(self, epoch: int) -> float:
        """0 where the cross-entropy of known subclasses says it all."""
        return 0.0 if self.known else 1.0

    @property
    def extra_losses(self) -> Mapping[str, ExtraLoss]:
        """L_aux, or the cross-entropy with known subclasses."""
        if self.known:
            return {"subclass": ExtraLoss(_cross_entropy, 1.0)}
        if not self.beta:
            return {}
        return {
            "auxiliary": ExtraLoss(lambda _, outputs: auxiliary_loss(outputs, self.auxiliary_temperature), self.beta)
        }

    def extra_labels(self, labels: Labels, subclasses: Labels | None) -> dict[str, Labels]:
        """See Method.extra_labels."""
        given = labels if subclasses is None else subclasses
        return dict.fromkeys(self.extra_losses, given)


class Subclass(Subclasses):
    """alpha * T^2 * KL over subclasses + (1 - alpha) * cross-entropy of class probabilities with the labels.

    `subclasses` is a number for every class, one for each, or "known". `beta` and `auxiliary_temperature` are of the
    teacher's training. `intra_class` compares subclasses within each class alone: with alpha 1 the student then never
    learns a class, and is read by how sure it is of the subclasses of each.
    """

    temperature: float = Field(4.0, gt=0, le=1_000_000, description="softens both distributions; > 0")
    alpha: float = Field(0.5, ge=0, le=1, description="weight of the distillation loss; the labels weigh 1 - alpha")
    beta: float = Field(0.3, ge=0, le=1_000_000, description="weight of the teacher's auxiliary loss")
    auxiliary_temperature: float = Field(20.0, gt=0, le=1_000_000, description="T_aux of the auxiliary loss; > 0")
    intra_class: bool = False

    def bind(self, classes: Classes) -> Method:
        """See Method.bind."""
        bound = super().bind(classes)
        if self.intra_class and self.alpha == 1 and isinstance(bound, Subclasses) and 1 in bound.sizes:
            raise RecipeError(
                "method.intra_class with alpha = 1 reads a class by its subclasses: each class needs two or more, "
                f"got {format_value(list(bound.sizes))}"
            )
        return bound

    def targets_loss(self, targets: Mapping[str, Any], outputs: Any, labels: Any = None) -> Any:
        """T^2 * KL(teacher || student) over subclasses, of each sample, shape (batch,)."""
        if self.intra_class:
            return intra_class_loss(targets["logits"], outputs, self.sizes, self.temperature)
        return distillation_loss(targets["logits"], outputs, self.temperature)

    def class_logits(self, outputs: Any) -> Any:
        """See Method.class_logits."""
        return class_logits(outputs, self.sizes, centred=self.intra_class and self.alpha == 1)

    def for_teacher(self) -> Method:
        """See Method.for_teacher."""
        shared = self.model_dump(include={"subclasses", "beta", "auxiliary_temperature"})
        return SubclassTeaching(**shared)._bound_to(self._sizes)

    def for_baseline(self) -> Method:
        """See Method.for_baseline."""
        return SubclassTeaching(subclasses=self.sizes, beta=0)._bound_to(self._sizes)


def _cross_entropy(labels: Any, outputs: Any) -> Any:
    from keras import losses

    return losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True)


METHOD = Subclass

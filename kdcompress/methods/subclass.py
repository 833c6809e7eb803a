"""Subclass distillation: the teacher divides classes into subclasses, the student learns those (Mueller et al.)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PrivateAttr
from typing_extensions import Self

from kdcompress.config.settings import format_value
from kdcompress.errors import RecipeError
from kdcompress.methods._base import Classes, ExtraLoss, Labels, Method
from kdcompress.methods._subclass_logits import auxiliary_loss, class_logits, intra_class_loss
from kdcompress.methods.hinton import distillation_loss

KNOWN = "known"
Count = Annotated[int, Field(ge=1, le=1000)]
Counts = Annotated[tuple[Count, ...], Field(max_length=1_000_000)]
_MAX_OUTPUTS = 1_000_000


class Subclasses(Method):
    """Base of methods whose teacher and student end in subclass logits.

    Attributes:
        subclasses: Number of subclasses of every class, one number per class, or "known" for those of the data.
    """

    subclasses: Count | Counts | Literal["known"] = 2
    _sizes: tuple[int, ...] = PrivateAttr(())

    @property
    def known(self) -> bool:
        """Whether the subclasses are those of the data, not invented by the teacher."""
        return self.subclasses == KNOWN

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of subclasses of each class, once the method is bound to classes."""
        assert self._sizes, "call bind() first"
        return self._sizes

    def bind(self, classes: Classes) -> Method:
        """This method with the number of subclasses of each class."""
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
        if sum(sizes) > _MAX_OUTPUTS:
            raise RecipeError(
                f"method.subclasses must come to at most {_MAX_OUTPUTS} outputs over all classes, got {sum(sizes)}"
            )
        return self._with_sizes(sizes)

    def _with_sizes(self, sizes: tuple[int, ...]) -> Self:
        bound = self.model_copy()
        bound._sizes = sizes
        return bound

    @property
    def comparable(self) -> bool:
        """Whether subclasses are known: those that teachers invent differ between teachers."""
        return self.known or self.plain

    @property
    def identity(self) -> object:
        """The number of subclasses of each class."""
        return list(self.sizes)

    @property
    def plain(self) -> bool:
        """Whether each class has one subclass."""
        return set(self.sizes) == {1}

    def head(self, classes: Classes) -> int:
        """The number of subclasses of all classes together."""
        return sum(self.sizes)

    def class_logits(self, outputs: Any) -> Any:
        """The logsumexp of each class's subclass logits, shape (batch, classes)."""
        return class_logits(outputs, self.sizes)


class SubclassTraining(Subclasses):
    """Training of teacher and baseline: cross-entropy of classes + beta * L_aux, or cross-entropy of known subclasses.

    Attributes:
        beta: Weight of the auxiliary loss.
        auxiliary_temperature: T_aux of the auxiliary loss.
    """

    beta: float = 0.3
    auxiliary_temperature: float = 20.0

    wants: ClassVar[tuple[str, ...]] = ()

    def label_weight_at(self, epoch: int) -> float:
        """0 for known subclasses, whose cross-entropy includes that of the classes; otherwise 1."""
        return 0.0 if self.known else 1.0

    @property
    def extra_losses(self) -> Mapping[str, ExtraLoss]:
        """L_aux, or the cross-entropy of known subclasses."""
        if self.known:
            return {"subclass": ExtraLoss(_cross_entropy, 1.0)}
        if not self.beta:
            return {}
        return {
            "auxiliary": ExtraLoss(lambda _, outputs: auxiliary_loss(outputs, self.auxiliary_temperature), self.beta)
        }

    def extra_labels(self, labels: Labels, subclasses: Labels | None) -> dict[str, Labels]:
        """The labels of subclasses, where the data have them."""
        return dict.fromkeys(self.extra_losses, labels if subclasses is None else subclasses)


class Subclass(Subclasses):
    """alpha * T^2 * KL over subclasses + (1 - alpha) * cross-entropy of class probabilities with the labels.

    Attributes:
        temperature: T > 0 of both distributions.
        alpha: Weight of the distillation loss, in [0, 1].
        beta: Weight of the auxiliary loss in the teacher's training.
        auxiliary_temperature: T_aux > 0 of the auxiliary loss.
        intra_class: Whether the KL is computed within each class alone. With alpha 1, the student then gets no
            information on classes, and its class logits measure how peaked each class's subclasses are.
    """

    temperature: float = Field(4.0, gt=0, le=1_000_000, description="softens both distributions; > 0")
    alpha: float = Field(0.5, ge=0, le=1, description="weight of the distillation loss; the labels weigh 1 - alpha")
    beta: float = Field(0.3, ge=0, le=1_000_000, description="weight of the teacher's auxiliary loss")
    auxiliary_temperature: float = Field(20.0, gt=0, le=1_000_000, description="T_aux of the auxiliary loss; > 0")
    intra_class: bool = False

    def bind(self, classes: Classes) -> Method:
        """This method with the number of subclasses of each class, checked for `intra_class`."""
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
        """The logsumexp of each class's subclass logits, centred with `intra_class` and alpha 1; (batch, classes)."""
        return class_logits(outputs, self.sizes, centred=self.intra_class and self.alpha == 1)

    def for_teacher(self) -> Method:
        """Cross-entropy and the auxiliary loss, with the same head."""
        shared = self.model_dump(include={"subclasses", "beta", "auxiliary_temperature"})
        return SubclassTraining(**shared)._with_sizes(self._sizes)

    def for_baseline(self) -> Method:
        """Cross-entropy alone, with the same head."""
        return SubclassTraining(subclasses=self.sizes, beta=0)._with_sizes(self._sizes)


def _cross_entropy(labels: Any, outputs: Any) -> Any:
    from keras import losses

    return losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True)


METHOD = Subclass

"""How a model is trained, in stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from kdcompress.config.limits import MAX_BATCH, MAX_EPOCHS, MAX_PARTS, MAX_RATE
from kdcompress.config.settings import Section

_OF_STAGES = ("epochs", "learning_rate")


class StageSection(Section):
    """Some epochs of a training: which layers learn in them, and how fast.

    `trainable` is all, head (the last layer with weights and what comes behind it), or the name of a layer: that and
    all behind it. What does not learn is frozen, its BatchNorm in inference mode. Epochs and learning rate are those of
    the training unless given.
    """

    trainable: str = Field("all", min_length=1, max_length=1000)
    epochs: int | None = Field(None, ge=1, le=MAX_EPOCHS)
    learning_rate: float | None = Field(None, gt=0, le=MAX_RATE)


class TrainingSection(Section):
    """How a model is trained: Adam on shuffled batches, the last partial batch of an epoch dropped.

    `stages` come one after the other, each with an optimizer of its own; without them there is one, of all layers.
    `class_weights` = "balanced" weighs each sample's losses by n / (classes * n of its class), `batches` = "balanced"
    draws as many of each class into a batch. The weights kept are those of the epoch with the best `choose_by` on
    validation; AUC is for two classes.
    """

    epochs: int = Field(12, ge=1, le=MAX_EPOCHS)
    batch_size: int = Field(256, ge=1, le=MAX_BATCH)
    learning_rate: float = Field(1e-3, gt=0, le=MAX_RATE)
    class_weights: Literal["none", "balanced"] = "none"
    batches: Literal["shuffled", "balanced"] = "shuffled"
    choose_by: Literal["accuracy", "auc", "loss"] = "accuracy"
    stages: tuple[StageSection, ...] = Field((), max_length=MAX_PARTS)

    @model_validator(mode="before")
    @classmethod
    def _written_out(cls, values: Any) -> Any:
        """Stages that do not say how long and how fast are as the training says."""
        if not isinstance(values, dict) or not isinstance(values.get("stages"), list | tuple):
            return values
        shared = {name: values.get(name, cls.model_fields[name].default) for name in _OF_STAGES}
        stages = [{**shared, **one} if isinstance(one, dict) else one for one in values["stages"]]
        return {**values, "stages": stages}

    @model_validator(mode="after")
    def _without_shared_values(self) -> TrainingSection:
        """Equal trainings are equal: what every stage has of its own counts for nothing here."""
        if self.stages:
            self.__dict__.update({name: type(self).model_fields[name].default for name in _OF_STAGES})
        return self

    @model_serializer(mode="wrap")
    def _without_what_stages_say(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Epochs and learning rate are those of the stages, where there are some."""
        return {key: value for key, value in plain(self).items() if not self.stages or key not in _OF_STAGES}

    @field_validator("batches")
    @classmethod
    def _once(cls, value: str, info: ValidationInfo) -> str:
        if value == info.data.get("class_weights") == "balanced":
            raise ValueError("corrects a second time what class_weights = 'balanced' corrects: take one of them")
        return value

    @property
    def weighs_classes(self) -> bool:
        """Whether samples of a rare class weigh more."""
        return self.class_weights == "balanced"

    @property
    def balances_batches(self) -> bool:
        """Whether a batch holds as many of each class."""
        return self.batches == "balanced"

    @property
    def plan(self) -> tuple[Stage, ...]:
        """The stages with their places among all epochs."""
        found, begin = [], 0
        for one in self.stages or (StageSection(epochs=self.epochs, learning_rate=self.learning_rate),):
            end = begin + (one.epochs or self.epochs)
            found.append(Stage(one.trainable, begin, end, one.learning_rate or self.learning_rate))
            begin = end
        return tuple(found)

    @property
    def total_epochs(self) -> int:
        """The epochs of all stages together."""
        return self.plan[-1].end


@dataclass(frozen=True)
class Stage:
    """Epochs `begin` to, not including, `end` of a training, counted from 0."""

    trainable: str
    begin: int
    end: int
    learning_rate: float

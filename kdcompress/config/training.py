"""The `training` section of a recipe."""

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

_PER_STAGE = ("epochs", "learning_rate")


class StageSection(Section):
    """One stage of a training: some epochs in which a part of the layers is trained.

    Attributes:
        trainable: all, head (from the last layer with weights to the output), or the name of the first trained layer.
            The layers before it are frozen, their BatchNorm in inference mode.
        epochs: Number of epochs; that of the training by default.
        learning_rate: Learning rate of Adam; that of the training by default.
    """

    trainable: str = Field("all", min_length=1, max_length=1000)
    epochs: int | None = Field(None, ge=1, le=MAX_EPOCHS)
    learning_rate: float | None = Field(None, gt=0, le=MAX_RATE)


class TrainingSection(Section):
    """Settings of a training: Adam on shuffled batches, the last partial batch of an epoch dropped.

    Attributes:
        epochs: Number of epochs.
        batch_size: Number of samples per step.
        learning_rate: Learning rate of Adam.
        class_weights: "balanced" multiplies the losses of a sample by n / (classes * n of its class).
        batches: "balanced" draws equally many samples of each class into a batch.
        choose_by: Metric on validation that selects the epoch whose weights are kept; auc is for two classes.
        stages: Stages in their order, each with a new optimizer; by default one stage that trains all layers.
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
    def _complete_stages(cls, values: Any) -> Any:
        """Write the epochs and learning rate of the training into the stages that have none."""
        if not isinstance(values, dict) or not isinstance(values.get("stages"), list | tuple):
            return values
        shared = {name: values.get(name, cls.model_fields[name].default) for name in _PER_STAGE}
        stages = [{**shared, **stage} if isinstance(stage, dict) else stage for stage in values["stages"]]
        return {**values, "stages": stages}

    @model_validator(mode="after")
    def _reset_shared_values(self) -> TrainingSection:
        """Reset values that every stage overrides, so that equivalent trainings compare equal."""
        if self.stages:
            self.__dict__.update({name: type(self).model_fields[name].default for name in _PER_STAGE})
        return self

    @model_serializer(mode="wrap")
    def _omit_shared_values(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit epochs and learning rate where the stages have them."""
        return {key: value for key, value in serialize(self).items() if not self.stages or key not in _PER_STAGE}

    @field_validator("batches")
    @classmethod
    def _check_balanced_once(cls, value: str, info: ValidationInfo) -> str:
        if value == info.data.get("class_weights") == "balanced":
            raise ValueError("corrects a second time what class_weights = 'balanced' corrects: take one of them")
        return value

    @property
    def weighs_classes(self) -> bool:
        """Whether losses are weighted by class."""
        return self.class_weights == "balanced"

    @property
    def balances_batches(self) -> bool:
        """Whether batches hold equally many samples of each class."""
        return self.batches == "balanced"

    @property
    def plan(self) -> tuple[Stage, ...]:
        """The stages with their ranges of epochs."""
        plan, begin = [], 0
        for stage in self.stages or (StageSection(epochs=self.epochs, learning_rate=self.learning_rate),):
            end = begin + (stage.epochs or self.epochs)
            plan.append(Stage(stage.trainable, begin, end, stage.learning_rate or self.learning_rate))
            begin = end
        return tuple(plan)

    @property
    def total_epochs(self) -> int:
        """The number of epochs of all stages together."""
        return self.plan[-1].end


@dataclass(frozen=True)
class Stage:
    """A stage in the schedule of a training.

    Attributes:
        trainable: all, head, or the name of the first trained layer.
        begin: First epoch, counted from 0.
        end: Epoch after the last one.
        learning_rate: Learning rate of Adam.
    """

    trainable: str
    begin: int
    end: int
    learning_rate: float

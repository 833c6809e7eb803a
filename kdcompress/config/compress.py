"""The `compress` section of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from kdcompress.config.limits import MAX_EPOCHS, MAX_RATE
from kdcompress.config.references import check_file_name
from kdcompress.config.settings import Section

BUDGETS = ("max_flops_ratio", "max_params_ratio", "max_latency_ratio")
_MAX_CLUSTERS = 4096
_MAX_ROUNDS = 64
_MAX_RATIO = 1000

Share = Annotated[float, Field(gt=0, lt=1)]
Ratio = Annotated[float, Field(gt=0, le=_MAX_RATIO)]


class CompressSection(Section):
    """Compression of a trained student, step by step in this order: channels, prune, cluster, qat.

    Attributes:
        start: The student of the run that is compressed: student, baseline (without the teacher), or the name of one
            that was compressed before.
        channels: Fraction of the channels that are removed, in (0, 1).
        importance: How channels are ranked: taylor, by the change of the loss on training images, or l1, by their
            weights.
        rounds: Number of rounds in which channels are removed, each followed by tuning.
        max_flops_ratio: Budget in place of `channels`: student / teacher FLOPs.
        max_params_ratio: Likewise, of parameters.
        max_latency_ratio: Likewise, of the latency of one image on onnxruntime.
        prune: Fraction of the weights of each kernel that become 0, in (0, 1).
        cluster: Number of different values in each kernel, >= 2.
        qat: Quantization-aware training: native (in Keras 3), or tfmot (tensorflow-model-optimization).
        ship: Which integers a quantized student keeps: better (the trained ones only if they beat quantization after
            training on validation, or keep zeros and clusters) or trained.
        epochs: Epochs of tuning in each step; by default those of the student's training after channels, a third of
            them in other steps.
        learning_rate: Learning rate of the tuning; by default that of the student's training after channels and in
            prune, a tenth of it in cluster and qat.
    """

    start: Annotated[str, AfterValidator(check_file_name)] = "student"
    channels: Share | None = None
    importance: Literal["taylor", "l1"] = "taylor"
    rounds: int = Field(1, ge=1, le=_MAX_ROUNDS)
    max_flops_ratio: Ratio | None = None
    max_params_ratio: Ratio | None = None
    max_latency_ratio: Ratio | None = None
    prune: Share | None = None
    cluster: int | None = Field(None, ge=2, le=_MAX_CLUSTERS)
    qat: Literal["none", "native", "tfmot"] = "none"
    ship: Literal["better", "trained"] = "better"
    epochs: int | None = Field(None, ge=1, le=MAX_EPOCHS)
    learning_rate: float | None = Field(None, gt=0, le=MAX_RATE)

    @model_validator(mode="after")
    def _check_steps(self) -> CompressSection:
        if self.channels is not None and self.budgets:
            raise ValueError(f"takes channels or {', '.join(self.budgets)}, which determines the share: leave one out")
        if not self.steps:
            raise ValueError("needs a step: set channels, a budget such as max_flops_ratio, prune, cluster or qat")
        return self

    @property
    def budgets(self) -> dict[str, float]:
        """The budgets that are set, by key."""
        values = {key: getattr(self, key) for key in BUDGETS}
        return {key: value for key, value in values.items() if value is not None}

    @property
    def steps(self) -> tuple[str, ...]:
        """Names of the steps, in their order."""
        wanted = {
            "channels": self.channels is not None or bool(self.budgets),
            "prune": self.prune is not None,
            "cluster": self.cluster is not None,
            "qat": self.qat != "none",
        }
        return tuple(name for name, is_set in wanted.items() if is_set)

    @property
    def default_name(self) -> str:
        """Name of the compressed student, such as channels-0.5-qat.

        Steps that were taken one compression after the other are told apart from those of one: channels-0.5-then-qat.
        """
        budgets = [f"{key.split('_')[1]}-{value:g}" for key, value in self.budgets.items()]
        parts = [
            *({"student": [], "baseline": ["baseline"]}.get(self.start, [self.start, "then"])),
            *([f"channels-{self.channels:g}"] if self.channels is not None else budgets),
            *([f"prune-{self.prune:g}"] if self.prune is not None else []),
            *([f"cluster-{self.cluster}"] if self.cluster is not None else []),
            *([] if self.qat == "none" else ["qat" if self.qat == "native" else f"qat-{self.qat}"]),
        ]
        return "-".join(parts)

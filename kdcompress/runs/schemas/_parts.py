"""What several documents have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kdcompress.runs.schemas._result import Result, made

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
MetricName = Literal["accuracy", "auc"]  # by which models are judged


class Level(Result):
    """Metrics on the images on which the annotators agree to one degree."""

    agreement: str
    n: Count
    accuracy: float
    ece: float | None
    auc: float | None = None
    auc_low: float | None = None
    auc_high: float | None = None
    f1: float | None = None
    sensitivity: float | None = None
    specificity: float | None = None


class Metrics(Result):
    """Metrics of one model on one set of images.

    All are fractions in [0, 1]; None where one is not defined, or was not computed.

    Attributes:
        accuracy: The fraction of images whose top-1 class is right.
        f1: F1 of the second class of two, else the mean over classes that have images.
        ece: Expected calibration error.
        recall: Recall by class.
        auc: The area under the ROC curve, of two classes; `auc_low` and `auc_high` bound its 95 % interval.
        auc_interval_over: What was resampled for the interval.
        threshold: P(second class) from which on the second class is answered, chosen on `threshold_images` images.
        by_agreement: A row for each level of the annotators' agreement, where votes are known.
    """

    accuracy: float
    f1: float | None = None
    ece: float | None = None
    recall: dict[str, float | None] = made(dict)
    auc: float | None = None
    auc_low: float | None = None
    auc_high: float | None = None
    auc_interval_over: str | None = None
    threshold: float | None = None
    threshold_images: Count | None = None
    sensitivity: float | None = None
    specificity: float | None = None
    f1_at_threshold: float | None = None
    by_agreement: list[Level] | None = None


class Layer(Result):
    """What one layer costs; `share` is its fraction of the model's FLOPs, or of its MACs where FLOPs are not known."""

    name: str
    kind: str
    params: Count
    macs: Count
    flops: Count | None
    share: float


class Costs(Result):
    """What a model costs on one image, and how well it does on test.

    Attributes:
        params: The number of parameters.
        macs: Multiply-accumulates of convolutions and matrix products.
        flops: Floating-point operations behind the preprocessing.
        bytes: The size of the model file.
        weight_bytes: The size of all weights as stored.
        input_shape: Height, width and channels of an image.
        metrics: Metrics on test.
    """

    params: Count | None = None
    trainable_params: Count | None = None
    non_trainable_params: Count | None = None
    macs: Count | None = None
    flops: Count | None = None
    preprocessing_flops: Count | None = None
    bytes: Count | None = None
    weight_bytes: Count | None = None
    input_shape: list[Count] = made(list)
    layers: list[Layer] = made(list)
    warnings: list[str] = made(list)
    metrics: Metrics = made(Metrics)


class Gate(Result):
    """A limit, the value that was held against it (None where it could not be measured), and whether it was kept.

    Attributes:
        machine: The machine that the value is of, of a limit on the latency.
        model: The file and setting there.
        low: The lower end of the value's 95 % interval, which is what the limit is held against there.
    """

    name: str
    limit: float
    value: float | None
    passed: bool
    machine: str | None = None
    model: str | None = None
    low: float | None = None


class Ratios(Result):
    """Student / teacher; None where one of the two is not known. `latency` is that of medians, once there are times."""

    params: float | None = None
    flops: float | None = None
    bytes: float | None = None
    latency: float | None = None


class Change(Result):
    """A difference of two AUCs with its 95 % interval, which is None where it cannot be told."""

    value: float
    low: float | None
    high: float | None


class McNemar(Result):
    """McNemar's exact test: images that only one of the two models gets right, and the p-value."""

    student_only_right: Count
    teacher_only_right: Count
    p: float


class Differences(Result):
    """Where student and teacher differ on test: the fraction of equal answers, recall by class, McNemar's test."""

    agreement: float
    recall_change: dict[str, float | None]
    mcnemar: McNemar
    auc_difference: Change | None = None
    auc_gain: Change | None = None


class Source(Result):
    """Which data, and where they came from."""

    name: str = ""
    source: str = ""


class Data(Source):
    """Which data, and how many images of them are in each part."""

    name: str
    fingerprint: str = ""
    n_train: Count
    n_val: Count
    n_test: Count
    n_unlabelled: Count | None = None
    unlabelled_fingerprint: str | None = None


class Interval(Result):
    """The mean of n values and its 95 % interval (Student's t), which is None of one value."""

    mean: float
    low: float | None
    high: float | None
    n: Count

"""Which layer pays: what quantising each layer of an int8 file does."""

from __future__ import annotations

from kdcompress.formatting import MISSING, digits, percent, points, size
from kdcompress.runs.schemas._parts import Count, MetricName
from kdcompress.runs.schemas._result import Kept, Result
from kdcompress.runs.schemas._table import Table

_SIMILAR = 6.0  # dB: half of the amplitude, or more, is that of input and output


class LayerEffect(Result):
    """A variant of an int8 file, measured against the Keras model on validation.

    Attributes:
        bytes: Size without metadata.
        snr_db: Signal-to-quantization-noise ratio of the logits, in dB; None if no logit differs.
        agreement: The fraction of images with the same top-1 class.
        metric: The metric, a fraction; None if it is not defined.
        metric_drop: The Keras model's metric minus this.
    """

    bytes: Count
    snr_db: float | None
    agreement: float
    metric: float | None
    metric_drop: float | None


class ExplainedLayer(Result):
    """A layer of an int8 file.

    Attributes:
        name: Name in the Keras model; batch normalization and activations count to the layer before them.
        alone: The file in which only this layer is quantised; its input and output are float32.
        in_float: The file in which only this layer is not quantised.
    """

    name: str
    alone: LayerEffect
    in_float: LayerEffect


class PickedFile(LayerEffect):
    """A variant of an int8 file to choose.

    Attributes:
        float_layers: Layers in float.
        command: The command that writes it.
    """

    float_layers: list[str]
    command: str


class KeptMetric(PickedFile):
    """The int8 file with the fewest layers in float that holds a limit.

    Attributes:
        limit: Largest drop of the metric, a fraction.
    """

    limit: float


class Picks(Result):
    """Three int8 files to choose from.

    Attributes:
        smallest: The one of fewest bytes.
        balanced: The one that gains most signal-to-noise ratio for its bytes.
        closest: The one with the highest top-1 agreement with the Keras model.
    """

    smallest: PickedFile
    balanced: PickedFile
    closest: PickedFile


class ExplainedFormat(Result):
    """The int8 file of a format.

    Attributes:
        int8: All layers quantised.
        float32: All layers in float; of TFLite, what quantising input and output alone does.
        layers: The layers, those first that bring most noise when they alone are quantised.
        picks: Three files to choose from.
        kept: What `--keep-metric` found; None without it.
    """

    format: str
    precision: str
    int8: LayerEffect
    float32: LayerEffect
    layers: list[ExplainedLayer]
    picks: Picks
    kept: KeptMetric | None = None

    @property
    def hint(self) -> str | None:
        """Remark if quantising input and output alone brings most of the noise; None if not."""
        whole, ends = self.int8.snr_db, self.float32.snr_db
        if whole is None or ends is None or ends - whole > _SIMILAR:
            return None
        return (
            f"{self.format}: most noise is that of the quantized input and output, not of a layer: "
            "--input-type float32 keeps these in float"
        )


class Explanation(Kept):
    """What `export --explain` measured.

    Attributes:
        run: The run folder; not in explain.json.
        student_digest: Digest of the model, over its architecture and weights.
        source: Which images were measured on.
        n: How many.
        metric: Which metric.
        formats: An entry for each format.
        seconds: How long it took; not in explain.json.
    """

    run: str | None = None
    student_digest: str
    source: str
    n: Count
    metric: MetricName | None
    formats: list[ExplainedFormat]
    seconds: float | None = None

    def _parts(self) -> list[str]:
        return [f"{entry.format}: {len(entry.layers)} layers" for entry in self.formats]

    def _table(self) -> Table:
        head = ["format", "layer", "noise alone, dB", "same answers", "change", "in float, dB", "size"]
        rows = []
        for entry in self.formats:
            for layer in entry.layers:
                alone, in_float = layer.alone, layer.in_float
                change = MISSING if alone.metric_drop is None else f"{points(-alone.metric_drop)} points"
                cells = [entry.format, layer.name, decibels(alone.snr_db), percent(alone.agreement), change]
                rows.append([*cells, decibels(in_float.snr_db), size(in_float.bytes)])
        return Table(f"Which layer pays: {self.run or 'int8'}", head, rows)


def decibels(ratio: float | None) -> str:
    """Format a signal-to-noise ratio, which is infinite where it is None."""
    return "∞" if ratio is None else digits(ratio)

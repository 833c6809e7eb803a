"""Effects of quantising and of not quantising single layers of an int8 file, on images with labels."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.data import iter_blocks
from kdcompress.exporting._base import Format, Logits, MixedInt8
from kdcompress.exporting._parity import Reference
from kdcompress.metrics.classification import compute_metrics, top1

_BATCH = 64


@dataclass(frozen=True)
class Effect:
    """What an int8 file with some layers in float was measured to be.

    Attributes:
        float_layers: Layers in float, in the order of the network.
        bytes: Size of the file without metadata.
        snr_db: Signal-to-quantization-noise ratio of the logits, in dB; None if no logit differs.
        agreement: Fraction of images with the Keras model's top-1 class.
        value: The metric; None if it is not defined.
        drop: The Keras model's metric minus this.
    """

    float_layers: tuple[str, ...]
    bytes: int
    snr_db: float | None
    agreement: float
    value: float | None
    drop: float | None

    @property
    def record(self) -> dict[str, Any]:
        """Entry for `explain.json`."""
        return {
            "bytes": self.bytes,
            "snr_db": self.snr_db,
            "agreement": self.agreement,
            "metric": self.value,
            "metric_drop": self.drop,
        }

    @property
    def snr(self) -> float:
        """Signal-to-noise ratio in dB, infinite if no logit differs."""
        return float("inf") if self.snr_db is None else self.snr_db


class Laboratory:
    """Builds and measures variants of an int8 file, each once.

    Args:
        file_format: Format of the file.
        int8: The file with its ranges.
        reference: Images with labels and the outputs of the Keras model.
        folder: Scratch folder.
        on_measured: Called after each measurement.
    """

    def __init__(
        self,
        file_format: Format,
        int8: MixedInt8,
        reference: Reference,
        folder: Path,
        on_measured: Callable[[], None] = lambda: None,
    ) -> None:
        self._format, self._int8, self._reference = file_format, int8, reference
        self._path, self._on_measured = folder / f"variant{file_format.suffix}", on_measured
        self._measured: dict[frozenset[str], Effect] = {}
        self._alone: dict[str, Effect] = {}
        self.layers = int8.layers

    @property
    def measured(self) -> list[Effect]:
        """All variants measured so far, but those of one layer alone."""
        return list(self._measured.values())

    def without(self, float_layers: Collection[str]) -> Effect:
        """Measure the int8 file with some layers in float.

        Args:
            float_layers: Names among `layers`.

        Returns:
            Its effect.
        """
        key = frozenset(float_layers)
        if key not in self._measured:
            self._measured[key] = self._measure(key, False)
            self._on_measured()
        return self._measured[key]

    def alone(self, layer: str) -> Effect:
        """Measure the file in which one layer is quantised, and all others and the input and output are in float.

        Args:
            layer: Name among `layers`.

        Returns:
            Its effect.
        """
        if layer not in self._alone:
            self._alone[layer] = self._measure(frozenset(self.layers) - {layer}, True)
            self._on_measured()
        return self._alone[layer]

    def _measure(self, float_layers: frozenset[str], float_ends: bool) -> Effect:
        content = self._int8.build(float_layers, float_ends)
        self._path.write_bytes(content)
        exported, reference = self._format.open(self._path), self._reference
        logits = np.concatenate([exported.run(block) for block in iter_blocks(reference.images, _BATCH)])
        names, expected = tuple(name for name in self.layers if name in float_layers), reference.metrics
        value, drop, metric = None, None, reference.metric
        if metric is not None and reference.labels is not None and expected is not None:
            value = compute_metrics(logits, reference.labels, reference.classes)[metric]
            drop = None if value is None else expected[metric] - value
        agreement = float(np.mean(top1(logits) == top1(reference.logits)))
        return Effect(names, len(content), signal_to_noise(reference.logits, logits), agreement, value, drop)


def signal_to_noise(expected: Logits, logits: Logits) -> float | None:
    """Compute the signal-to-quantization-noise ratio, 10 log10(sum of squares / sum of squared differences).

    Args:
        expected: Outputs without quantization, (n, classes).
        logits: Outputs with it.

    Returns:
        Decibels; None if no output differs.
    """
    signal = float(np.sum(np.square(expected, dtype=np.float64)))
    noise = float(np.sum(np.square(np.subtract(logits, expected, dtype=np.float64))))
    if noise == 0:
        return None
    return 10 * float(np.log10(max(signal, np.finfo(np.float64).tiny) / noise))

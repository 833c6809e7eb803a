"""Compression of a trained student: channels that go, zeros, clusters, and quantization-aware training."""

from kdcompress.compression._base import Compressed, Step, Tuning
from kdcompress.compression._steps import compress, make_steps

__all__ = ["Compressed", "Step", "Tuning", "compress", "make_steps"]

"""Quantization-aware training in Keras 3, and the description of the trained integers that exporters read."""

from kdcompress.quantization._checking import check_fit, list_integers
from kdcompress.quantization._description import FILE, KERNEL_LIMIT, Grid, Quantization, make_grid, round_scale
from kdcompress.quantization._folding import fold
from kdcompress.quantization._pixels import align_pixels, integer_pixels
from kdcompress.quantization._rounding import Rounded, apply_rounding, finish_rounding, start_rounding

__all__ = [
    "FILE",
    "KERNEL_LIMIT",
    "Grid",
    "Quantization",
    "Rounded",
    "align_pixels",
    "apply_rounding",
    "check_fit",
    "finish_rounding",
    "fold",
    "integer_pixels",
    "list_integers",
    "make_grid",
    "round_scale",
    "start_rounding",
]

"""Check that model outputs are finite."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import TrainingError


def check_finite(outputs: NDArray[np.float32], ids: NDArray[np.str_], role: str) -> None:
    """Check that a model's outputs are finite.

    Args:
        outputs: (n, ...).
        ids: Sample ids, (n,).
        role: Name of the model for the message.

    Raises:
        TrainingError: If an output is NaN or infinite; names the first such sample.
    """
    bad = np.flatnonzero(~np.isfinite(outputs).reshape(len(outputs), -1).all(axis=-1))
    if len(bad):
        raise TrainingError(
            f"the {role}'s outputs for sample {ids[bad[0]]} are not finite ({len(bad):,} of {len(ids):,} samples); "
            "check its weights, the pixels it expects (0 to 255 arrive), and the learning rate"
        )

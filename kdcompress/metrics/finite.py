"""Values that are not finite are no answer, and no metric is taken of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import TrainingError


def check_finite(outputs: NDArray[np.float32], ids: NDArray[np.str_], what: str) -> None:
    """Check that a model's outputs are finite.

    Args:
        outputs: (n, ...).
        ids: The id of each sample, (n,).
        what: Whose outputs they are, for the message.

    Raises:
        TrainingError: If an output is NaN or infinite; it names the first such sample.
    """
    bad = np.flatnonzero(~np.isfinite(outputs).reshape(len(outputs), -1).all(axis=-1))
    if len(bad):
        raise TrainingError(
            f"the {what}'s outputs for sample {ids[bad[0]]} are not finite ({len(bad):,} of {len(ids):,} samples); "
            "check its weights, the pixels it expects (0 to 255 arrive), and the learning rate"
        )

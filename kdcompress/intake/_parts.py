"""Division of what a user passes into parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kdcompress.data.parts import PARTS
from kdcompress.errors import UsageError


def split_parts(data: Any, accepts: Callable[[Any], bool]) -> dict[str, Any] | None:
    """Divide data into parts of one kind.

    Args:
        data: Undivided data, (train, test), (train, val, test), or a mapping of parts.
        accepts: Whether one part is of the kind.

    Returns:
        Data by part; by the name "" if they are undivided; None if they are of another kind.

    Raises:
        UsageError: They are of the kind, but their parts are not train and test.
    """
    if accepts(data):
        return {"": data}
    if isinstance(data, tuple | list) and len(data) in (2, 3) and all(map(accepts, data)):
        return dict(zip(("train", "test") if len(data) == 2 else ("train", "val", "test"), data, strict=True))
    if not isinstance(data, Mapping) or not data or not all(map(accepts, data.values())):
        return None
    unknown = [str(name) for name in data if str(name).casefold() not in PARTS]
    parts = {PARTS.get(str(name).casefold(), ""): part for name, part in data.items()}
    if unknown or not {"train", "test"} <= parts.keys() or len(parts) < len(data):
        raise UsageError(
            f"the parts of data are train and test, and perhaps val; got {', '.join(map(str, data))[:200]}"
        )
    return parts

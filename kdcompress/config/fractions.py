"""Numbers that may be written as fractions."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from kdcompress.config.limits import MAX_SCALE


def parse_fraction(value: Any) -> Any:
    """Parse the text of a fraction, since 1/255 has no short decimal.

    Args:
        value: Text such as "1/255"; anything else is returned as it is.

    Returns:
        The number.

    Raises:
        ValueError: If the text is no number and no fraction.
    """
    if not isinstance(value, str):
        return value
    try:
        numerator, _, denominator = value.partition("/")
        return float(numerator) / float(denominator or 1)
    except (ValueError, ZeroDivisionError):
        raise ValueError("is a number above 0, or a fraction such as '1/255'") from None


Factor = Annotated[float, Field(ge=1 / MAX_SCALE, le=MAX_SCALE), BeforeValidator(parse_fraction)]

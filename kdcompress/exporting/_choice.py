"""Choice of the layers of an int8 file that stay in float."""

from __future__ import annotations

from collections.abc import Sequence

from kdcompress.errors import ExportError
from kdcompress.exporting._effects import Effect, Laboratory

_GROWTH = 1.5  # between the sizes of the sets of layers that are tried for picks


def rank_layers(laboratory: Laboratory) -> list[str]:
    """Rank the layers of an int8 file by the noise that quantising each alone brings, the loudest first.

    Args:
        laboratory: Measures variants of the file.

    Returns:
        Names of all layers; of equal ones those come first whose absence helps most.
    """
    return sorted(laboratory.layers, key=lambda name: (laboratory.alone(name).snr, -laboratory.without([name]).snr))


def keep_metric(laboratory: Laboratory, ranking: Sequence[str], limit: float) -> Effect:
    """Search the smallest set of layers to leave in float with which the metric drops by no more than a limit.

    No layer, every single layer, then the loudest ones together; from these, layers are quantised again while the limit
    holds. Whether another set of as few layers would do is not searched exhaustively.

    Args:
        laboratory: Measures variants of the file.
        ranking: Its layers, the loudest first.
        limit: Largest drop of the metric, a fraction.

    Returns:
        The int8 file to write.

    Raises:
        ExportError: No such file holds the limit, or only one with all layers in float.
    """
    none = laboratory.without([])
    if _holds(none, limit):
        return none
    singles = [effect for name in ranking if _holds(effect := laboratory.without([name]), limit)]
    if singles and len(ranking) > 1:
        return min(singles, key=lambda effect: (effect.bytes, -effect.snr))
    sizes = range(2, len(ranking))
    chosen = next((ranking[:size] for size in sizes if _holds(laboratory.without(ranking[:size]), limit)), None)
    if chosen is None:
        raise _impossible(laboratory, limit)
    for name in reversed(list(chosen)):
        fewer = [other for other in chosen if other != name]
        if _holds(laboratory.without(fewer), limit):
            chosen = fewer
    return laboratory.without(chosen)


def pick(laboratory: Laboratory, ranking: Sequence[str]) -> dict[str, Effect]:
    """Pick three int8 files: the smallest, a balanced one, and the one that is closest to the Keras model.

    Args:
        laboratory: Measures variants of the file; those measured before count, too.
        ranking: Its layers, the loudest first.

    Returns:
        Effects by name. The closest has the highest top-1 agreement (then the fewest bytes); the balanced one, between
        the two, the most of the gain in signal-to-noise ratio for the least of the bytes.
    """
    size = 1.0
    while int(size) < len(ranking):
        laboratory.without(ranking[: int(size)])
        size = max(size + 1, size * _GROWTH)
    mixed = [effect for effect in laboratory.measured if len(effect.float_layers) < len(ranking)]
    smallest = min(mixed, key=lambda effect: (effect.bytes, -effect.snr))
    closest = max(mixed, key=lambda effect: (effect.agreement, -effect.bytes))
    between = [effect for effect in mixed if effect.bytes <= closest.bytes and effect.snr >= smallest.snr]
    top = max((effect.snr for effect in between if effect.snr != float("inf")), default=smallest.snr)

    def balance(effect: Effect) -> float:
        gain = (min(effect.snr, top) - smallest.snr) / max(top - smallest.snr, 1e-9)
        return gain - (effect.bytes - smallest.bytes) / max(closest.bytes - smallest.bytes, 1)

    return {"smallest": smallest, "balanced": max(between, key=balance, default=smallest), "closest": closest}


def _holds(effect: Effect, limit: float) -> bool:
    return effect.drop is not None and effect.drop <= limit


def _impossible(laboratory: Laboratory, limit: float) -> ExportError:
    none, everything = laboratory.without([]), laboratory.without(laboratory.layers)
    drops = "is not defined" if none.drop is None else f"falls by {100 * none.drop:.2f} points with all in int8"
    if _holds(everything, limit):
        return ExportError(
            f"--keep-metric {limit:g} holds only with all {len(laboratory.layers)} layers in float (the metric {drops} on "
            "validation): export --precision fp32, or allow a larger drop"
        )
    return ExportError(
        f"--keep-metric {limit:g} cannot be held, even with all {len(laboratory.layers)} layers in float (the metric "
        f"{drops} on validation): allow a larger drop, or take --input-type float32 for TFLite"
    )

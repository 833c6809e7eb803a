"""Choice of the layers of an int8 file that stay in float."""

from __future__ import annotations

from collections.abc import Sequence

from kdcompress.errors import ExportError
from kdcompress.exporting._effects import Effect, Laboratory

_GROWTH = 1.5  # between the sizes of the sets of layers that are tried for picks
_SAME_SIZE = 1.01  # files that differ by less are as small: a layer in float also saves its quantization's nodes


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
    """Pick three int8 files that are at most half way from the smallest to the bytes of float32.

    Args:
        laboratory: Measures variants of the file; those measured before count, too.
        ranking: Its layers, the loudest first.

    Returns:
        Effects by name: the smallest; the closest to the Keras model by top-1 agreement, then by noise; and the
        balanced one, whose gain in signal-to-noise ratio, as a share of the largest, exceeds the share of bytes most.
    """
    laboratory.without([])
    size = 1.0
    while int(size) < len(ranking):
        laboratory.without(ranking[: int(size)])
        size = max(size + 1, size * _GROWTH)
    mixed = [effect for effect in laboratory.measured if len(effect.float_layers) < len(ranking)]
    least, most = min(effect.bytes for effect in mixed), laboratory.without(ranking).bytes
    near = [effect for effect in mixed if effect.bytes <= least * _SAME_SIZE]
    smallest = min(near, key=lambda effect: (len(effect.float_layers), effect.bytes))
    affordable = [effect for effect in mixed if effect.bytes <= (least + most) / 2 or effect is smallest]
    closest = max(affordable, key=lambda effect: (effect.agreement, effect.snr, -effect.bytes))
    gain = max(max(effect.snr for effect in affordable) - smallest.snr, 1e-9)

    def balance(effect: Effect) -> float:
        share = (effect.snr - smallest.snr) / gain if effect.snr != smallest.snr else 0.0
        return share - (effect.bytes - least) / max(most - least, 1)

    balanced = max(affordable, key=lambda effect: (balance(effect), effect is smallest))
    return {"smallest": smallest, "balanced": balanced, "closest": closest}


def _holds(effect: Effect, limit: float) -> bool:
    return effect.drop is not None and effect.drop <= limit


def _impossible(laboratory: Laboratory, limit: float) -> ExportError:
    none, everything = laboratory.without([]), laboratory.without(laboratory.layers)
    layers = f"all {len(laboratory.layers)} layers in float"
    drops = "is not defined" if none.drop is None else f"falls by {100 * none.drop:.2f} points with all in int8"
    if _holds(everything, limit):
        return ExportError(
            f"--keep-metric {limit:g} holds only with {layers} (the metric {drops} on "
            "validation): export --precision fp32, or allow a larger drop"
        )
    return ExportError(
        f"--keep-metric {limit:g} cannot be held, even with {layers} (the metric "
        f"{drops} on validation): allow a larger drop, or take --input-type float32 for TFLite"
    )

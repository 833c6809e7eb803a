"""Reasons why a file could not be exported, whatever a converter or runtime raised."""

from __future__ import annotations

import logging
import re

from kdcompress.errors import ExportError, KDCompressError, ModelError, one_line
from kdcompress.exporting._network import Network
from kdcompress.leftovers import PARTIAL

logger = logging.getLogger("kdcompress")

_NODE = re.compile(r"[\w.-]+(?:/[\w.:-]+)+")  # a node's name in a message
_SCRATCH = re.compile(rf"\S*{re.escape(PARTIAL)}[^/\\\s]*[/\\]")  # the folder in which files are written
_MAX_TEXT = 20_000  # characters of a message that are searched
_MAX_REASON = 160


def failure_reason(exc: Exception, network: Network) -> str:
    """Describe why a file could not be exported.

    Args:
        exc: Exception of a converter, a runtime, or kdcompress.
        network: The network that was exported.

    Returns:
        One line, with the layer where the exception names a node of it, and the remedy.

    Raises:
        Exception: `exc`, if it concerns all files: unreadable images, or a disk that is full.
    """
    if isinstance(exc, ExportError | ModelError):
        return _SCRATCH.sub("", str(exc))
    if isinstance(exc, KDCompressError | OSError):
        raise exc
    logger.debug("an export failed", exc_info=exc)
    layer = find_layer(str(exc), network)
    location = f" at layer {layer}" if layer else ""
    return (
        f"it failed{location} ({_SCRATCH.sub('', one_line(exc, _MAX_REASON))}); export another --precision or --format"
    )


def find_layer(text: str, network: Network) -> str | None:
    """Find the first layer of a network that a text names a node of.

    Args:
        text: Message, or names of nodes.
        network: The network.

    Returns:
        Name of the layer, or None.
    """
    layers = (network.layer_name(name.split(":")[0]) for name in _NODE.findall(text[:_MAX_TEXT]))
    return next((layer for layer in layers if layer in network.layers), None)


def all_failed(failures: list[dict[str, str]]) -> ExportError:
    """Compose the error of an export none of whose files could be made.

    Args:
        failures: `format`, `precision` and `reason` of each file.

    Returns:
        The error; of one file, or of one reason for all, that reason alone.
    """
    reasons = list(dict.fromkeys(failure["reason"] for failure in failures))
    if len(reasons) == 1:
        return ExportError(reasons[0])
    parts = (f"{failure['format']} {failure['precision']}: {failure['reason']}" for failure in failures)
    return ExportError(f"no file could be exported: {'; '.join(parts)}")

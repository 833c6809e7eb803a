"""Likely reasons why an int8 model is slower than its fp32 model."""

from __future__ import annotations

import platform
import re
from typing import Any

_SMALL_MS = 0.1  # below this, overhead and conversions take as long as computation
_NOTABLE = 0.1  # fraction of the time
# By the names of onnxruntime, and of XNNPACK in LiteRT, such as "Convert (NC, F32, QS8)"
_CONVERSIONS = re.compile(r"(Dynamic)?QuantizeLinear|DequantizeLinear|Convert \(.*")
# Operators with an integer version: under these names they compute in float
_FLOAT = re.compile(r"(Fused)?(Conv|Gemm|MatMul)|Add|Mul|AveragePool|(Convolution|Fully Connected) \(N\w+, F32\).*")
_MAX_LISTED = 5


def likely_reasons(p50_ms: float, instruction_sets: dict[str, bool], operators: dict[str, float] | None) -> list[str]:
    """List the likely reasons that can be observed.

    Args:
        p50_ms: Median time of the int8 model.
        instruction_sets: Instruction sets of the CPU.
        operators: Fractions of the int8 model's time by type of operator; None if the runtime has no profiler.

    Returns:
        At least one sentence.
    """
    reasons = []
    if not (instruction_sets["vnni"] or instruction_sets["amx_int8"] or instruction_sets["neon_dot_product"]):
        missing = "NEON dot product" if platform.machine() in ("arm64", "aarch64") else "VNNI"
        reasons.append(f"the CPU has no {missing}, the instructions that make int8 fast")
    shares = operators or {}
    conversions = sum(share for name, share in shares.items() if _CONVERSIONS.fullmatch(name))
    if conversions > _NOTABLE:
        reasons.append(f"{100 * conversions:.0f} % of the time goes into conversions from and to int8 (QDQ not fused)")
    in_float = {name: share for name, share in shares.items() if share > _NOTABLE and _FLOAT.fullmatch(name)}
    if in_float:
        reasons.append(f"{', '.join(in_float)} compute in float, {100 * sum(in_float.values()):.0f} % of the time")
    if p50_ms < _SMALL_MS:
        reasons.append(f"the model is small: at {p50_ms:.3f} ms, calls and conversions take as long as the computation")
    return reasons or ["none of the usual ones: VNNI is available, QDQ is fused, the model is not small"]


def slowest_operators(operators: dict[str, float] | None) -> list[dict[str, Any]] | None:
    """List the types of operators that took most of the time.

    Args:
        operators: Fractions of the time by type, the largest first; None if unknown.

    Returns:
        `operator` and `share` of each, or None.
    """
    if operators is None:
        return None
    return [{"operator": name, "share": share} for name, share in list(operators.items())[:_MAX_LISTED]]

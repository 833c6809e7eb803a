"""Why int8 is slower than fp32 where it is: the likely reasons, and the operators that took the time."""

from __future__ import annotations

import platform
from typing import Any

_SMALL_MS = 0.1  # below this, calling and converting weighs as much as computing
_NOTABLE = 0.1  # of the time
_CONVERTING = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
# Operators that onnxruntime has in integers; by these names they compute in float
_FLOAT = ("Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul", "Add", "Mul", "AveragePool")
_SHOWN = 5


def reasons(p50_ms: float, instruction_sets: dict[str, bool], operators: dict[str, float] | None) -> list[str]:
    """The likely reasons, of those that can be seen.

    `operators` are shares of the int8 model's time by type, None where the runtime has no profile.
    """
    found = []
    if not (instruction_sets["vnni"] or instruction_sets["amx_int8"] or instruction_sets["neon_dot_product"]):
        missing = "NEON dot product" if platform.machine() in ("arm64", "aarch64") else "VNNI"
        found.append(f"the CPU has no {missing}, the instructions that make int8 fast")
    shares = operators or {}
    converting = sum(shares.get(name, 0.0) for name in _CONVERTING)
    if converting > _NOTABLE:
        found.append(f"{100 * converting:.0f} % of the time goes into conversions from and to int8 (QDQ not fused)")
    floating = {name: shares[name] for name in _FLOAT if shares.get(name, 0.0) > _NOTABLE}
    if floating:
        found.append(f"{', '.join(floating)} compute in float, {100 * sum(floating.values()):.0f} % of the time")
    if p50_ms < _SMALL_MS:
        found.append(f"the model is small: at {p50_ms:.3f} ms, calling it and converting weighs as much as computing")
    return found or ["none of the usual ones: VNNI is there, QDQ is fused, the model is not small"]


def heaviest(operators: dict[str, float] | None) -> list[dict[str, Any]] | None:
    """{"operator", "share"} of the types of operators that took most of the time."""
    if operators is None:
        return None
    return [{"operator": name, "share": share} for name, share in list(operators.items())[:_SHOWN]]

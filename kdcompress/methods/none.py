"""No distillation: the student learns from the labels alone (the baseline)."""

from __future__ import annotations

from kdcompress.methods._base import Method


class NoDistillation(Method):
    """Cross-entropy with the labels, nothing else: the teacher is never asked."""

    @property
    def needs_targets(self) -> bool:
        """False: there is nothing to ask the teacher."""
        return False

    @property
    def distillation_weight(self) -> float:
        """0: the labels weigh everything."""
        return 0.0


METHOD = NoDistillation

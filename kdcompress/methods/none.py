"""No distillation: the student learns from the labels alone (the baseline)."""

from __future__ import annotations

from kdcompress.methods._base import NoDistillation

METHOD = NoDistillation

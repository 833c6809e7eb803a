"""Contract checks for each kind of extension: what our own methods, data sets, models and runtimes pass, too.

Each check is a function of one subject that raises AssertionError, so that any test runner takes them:

    import pytest
    from kdcompress.testing import METHOD_CHECKS

    @pytest.mark.parametrize("check", METHOD_CHECKS, ids=lambda check: check.__name__)
    def test_my_method_keeps_the_contract(check):
        check(MyMethod(temperature=2.0))
"""

from __future__ import annotations

from kdcompress.testing.datasets import DATASET_CHECKS
from kdcompress.testing.formats import FORMAT_CHECKS
from kdcompress.testing.methods import METHOD_CHECKS
from kdcompress.testing.models import MODEL_CHECKS
from kdcompress.testing.observers import OBSERVER_CHECKS
from kdcompress.testing.runtimes import RUNTIME_CHECKS, RuntimeCase
from kdcompress.testing.teachers import TEACHER_CHECKS, TeacherCase

__all__ = [
    "DATASET_CHECKS",
    "FORMAT_CHECKS",
    "METHOD_CHECKS",
    "MODEL_CHECKS",
    "OBSERVER_CHECKS",
    "RUNTIME_CHECKS",
    "TEACHER_CHECKS",
    "RuntimeCase",
    "TeacherCase",
]

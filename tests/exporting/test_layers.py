"""Every layer that image networks use is exported to each format, or refused by one line that names it.

The costs of the model and of its files are equal, each counted in its own way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from layer_zoo import SHAPE, ZOO
from layer_zoo.refusals import RECURRENT, REFUSALS

from kdcompress import api
from kdcompress.errors import KDCompressError
from kdcompress.verification.costs import cost_of_file, cost_of_model


def covering() -> set[str]:
    """Every twelfth model, and the first of those that are refused in the same words by the same formats."""
    refused: dict[frozenset[tuple[str, str]], str] = {}
    for name in dict.fromkeys(name for name, _ in REFUSALS):
        words = frozenset((kind, text) for (other, kind), text in REFUSALS.items() if other == name)
        refused.setdefault(words, name)
    return {*refused.values(), *list(ZOO)[::12]}


COVERING = covering()
MODELS = [name if name in COVERING else pytest.param(name, marks=pytest.mark.exhaustive) for name in ZOO]
FORMATS = ("onnx", "tflite", "saved-model")
REMEDIES = ("replace it", "take another", "make its layers", "look for layers", "is incompatible with the layer")


@dataclass(frozen=True)
class Exports:
    """The exports of one model: the file of each format, and why one was refused or failed."""

    name: str
    model: Any
    files: dict[str, Path]
    reasons: dict[str, str]


@pytest.fixture(scope="module")
def exports(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exports]:
    """The exports of the model of this name, made once for all tests of it."""
    name, folder = request.param, tmp_path_factory.mktemp("exports")
    try:
        model = ZOO[name]()
    except AttributeError as exc:
        pytest.skip(f"this Keras has none: {exc}")
    try:
        model(np.zeros((1, *SHAPE), np.float32))
    except tf.errors.OpError as exc:  # TensorFlow has some kernels only where it takes oneDNN's
        pytest.skip(f"this processor's TensorFlow has no kernel for it: {type(exc).__name__}")
    try:
        result = api.export(model, FORMATS, ["fp32"], out=folder, input_shape=SHAPE)
    except KDCompressError as exc:
        yield Exports(name, model, {}, dict.fromkeys(FORMATS, str(exc)))
        return
    reasons = {failure["format"]: failure["reason"] for failure in result["failures"]}
    failed = {entry["format"]: "; ".join(entry["reasons"]) for entry in result["artefacts"] if not entry["passed"]}
    files = {entry["format"]: folder / entry["path"] for entry in result["artefacts"]}
    yield Exports(name, model, files, reasons | failed)


def test_the_table_of_refusals_names_models_of_the_zoo() -> None:
    assert {name for name, _ in REFUSALS} <= set(ZOO)
    assert len(ZOO) > 200


@pytest.mark.slow
@pytest.mark.parametrize("exports", MODELS, indirect=True)
def test_each_format_passes_or_is_refused_by_name(exports: Exports) -> None:
    for name in FORMATS:
        reason, expected = exports.reasons.get(name), REFUSALS.get((exports.name, name))
        if expected is None:
            assert reason is None, f"{name}: {reason}"
            continue
        assert reason is not None, f"{name} passes now: take it from the table"
        assert expected in reason
        assert reason.isprintable()
        assert any(remedy in reason for remedy in REMEDIES), reason


@pytest.mark.slow
@pytest.mark.parametrize("exports", MODELS, indirect=True)
def test_costs_of_a_model_and_its_files_agree(exports: Exports) -> None:
    if not exports.files:
        return
    costs = {name: cost_of_file(path, SHAPE) for name, path in exports.files.items()}
    costs["keras"] = cost_of_model(exports.model, SHAPE)
    if exports.name in RECURRENT:  # a file holds one step and a loop, whose steps it does not tell
        assert costs.pop("saved-model").warnings[0].startswith("not counted: While in ")
    for left, right in combinations(sorted(costs), 2):
        assert costs[left].macs == costs[right].macs, f"{left} and {right}"
        assert costs[left].input_shape == costs[right].input_shape == SHAPE
    if "saved-model" in costs:
        assert costs["saved-model"].flops == costs["keras"].flops
        assert costs["saved-model"].preprocessing_flops == costs["keras"].preprocessing_flops

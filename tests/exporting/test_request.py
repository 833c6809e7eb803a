from __future__ import annotations

from typing import Any

import pytest

from kdcompress.errors import UsageError
from kdcompress.exporting._request import make_export_request


def files(*formats: str, precisions: tuple[str, ...] = ("fp32",)) -> list[str]:
    return [job.file_name("m") for job in make_export_request(formats, precisions).jobs]


def test_every_format_in_every_precision_that_it_has() -> None:
    assert files("onnx", "tflite") == ["m-fp32.onnx", "m-fp32.tflite"]
    assert files("onnx", "tflite", precisions=("int8", "dynamic")) == [
        "m-int8.onnx",
        "m-int8.tflite",
        "m-dynamic.tflite",
    ]
    assert len(files("all", precisions=("all",))) == 10
    assert files("onnx", "onnx") == ["m-fp32.onnx"]


def test_what_a_format_lacks_is_told_only_if_it_was_named() -> None:
    assert make_export_request(["onnx", "tflite"], ["dynamic"]).skipped == ("onnx dynamic",)
    assert make_export_request(["all"], ["all"]).skipped == ()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"formats": ["onx"]}, "unknown format 'onx' (did you mean 'onnx'?); choices: ncnn, onnx, saved"),
        ({"precisions": ["int7"]}, "unknown precision 'int7'"),
        ({"precisions": []}, "name a precision"),
        ({"formats": ["onnx"], "precisions": ["dynamic"]}, "onnx has fp32, fp16, int8"),
        ({"opset": 12}, "--opset must be 13 to 18 (what the converter can write), got 12"),
        ({"opset": 19}, "got 19"),
        ({"input_type": "int16"}, "--input-type must be one of int8, uint8, float32, got 'int16'"),
        ({"parity_samples": 0}, "--parity-samples must be >= 1, got 0"),
        ({"calibration_samples": -1}, "--calibration-samples must be >= 1, got -1"),
        ({"max_metric_drop": 5}, "0.01 is one point"),
        ({"max_metric_drop": float("nan")}, "0.01 is one point"),
    ],
)
def test_wrong_usage_says_the_rule_and_what_came(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_export_request(**arguments)
    assert words in str(caught.value)

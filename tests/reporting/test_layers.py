from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from kdcompress.reporting.sections.layers import section


def effect(snr: float | None, size: int = 1000, drop: float = 0.0) -> dict[str, Any]:
    return {"bytes": size, "snr_db": snr, "agreement": 0.99, "metric": 0.9, "metric_drop": drop}


def explained(**changes: Any) -> Any:
    def pick(*names: str) -> dict[str, Any]:
        return {
            **effect(30.0),
            "float_layers": list(names),
            "command": f"kdcompress export run --float {','.join(names)}",
        }

    layers = [
        {"name": "<loud>", "alone": effect(20.0, drop=0.02), "in_float": effect(35.0, 3000)},
        {"name": "quiet", "alone": effect(None), "in_float": effect(19.0)},
    ]
    picks = {"smallest": pick(), "balanced": pick("<loud>"), "closest": pick("<loud>")}
    entry = {"format": "onnx", "precision": "int8", "int8": effect(19.0), "float32": effect(120.0, 4000)}
    formats = [{**entry, "layers": layers, "picks": picks, **changes}]
    return {"student_digest": "", "source": "validation", "n": 400, "metric": "accuracy", "formats": formats}


def test_a_run_that_is_not_explained_has_no_such_section() -> None:
    run: Any = SimpleNamespace(explanation=None)
    assert section(run) is None


def test_layers_are_ranked_and_every_file_has_its_command() -> None:
    run: Any = SimpleNamespace(explanation=explained())
    page = section(run)
    assert page is not None
    layers, picks = page.tables
    assert [row[0] for row in layers.rows] == ["<loud>", "quiet", "all in int8", "all in float"]
    assert layers.rows[0] == ["<loud>", "20.0", "99.00 %", "−2.00", "35.0", "99.00 %", "0.00", "3.00 kB"]
    assert layers.rows[1][1] == "∞"
    assert [row[0] for row in picks.rows] == ["smallest", "balanced", "closest"]
    assert "&lt;loud&gt;" in page.figures[0].svg
    assert len(page.text) == 1


def test_the_page_says_where_input_and_output_bring_the_noise() -> None:
    run: Any = SimpleNamespace(explanation=explained(format="tflite", float32=effect(20.0, 4000)))
    page = section(run)
    assert page is not None
    assert "--input-type float32" in page.text[1]

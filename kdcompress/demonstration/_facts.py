"""What the page's program reads: demo.json."""

from __future__ import annotations

from typing import Any

from kdcompress._version import __version__
from kdcompress.data import Dataset
from kdcompress.demonstration._models import PageModel
from kdcompress.demonstration._ort_web import WebRuntime
from kdcompress.demonstration._out import MADE_BY
from kdcompress.demonstration._samples import SampleSet, ink
from kdcompress.formatting import clean
from kdcompress.runs.schemas import versioned


def page_facts(
    models: list[PageModel], dataset: Dataset, samples: SampleSet, runtime: WebRuntime, no_teacher: str | None
) -> dict[str, Any]:
    """Compose demo.json.

    Args:
        models: The models, the teacher last.
        dataset: Data set of the run.
        samples: Test images.
        runtime: Runtime of the page.
        no_teacher: Why there is no teacher, or None.

    Returns:
        A JSON document.
    """
    height, width, channels = dataset.input_shape
    settings = dataset.image_settings
    return versioned(
        {
            "made_by": MADE_BY,
            "kdcompress": __version__,
            "classes": [clean(name) for name in dataset.classes],
            "runtime": runtime.facts(),
            "image": {
                "height": height,
                "width": width,
                "channels": channels,
                "resize": settings.resize,
                "background": list(settings.background_colour),
                "files": settings.scale is None,
            },
            "ink": ink(dataset),
            "models": [_model(model) for model in models],
            "no_teacher": no_teacher and clean(no_teacher),
            "samples": _samples(models, dataset, samples),
        }
    )


def sample_files(samples: SampleSet) -> tuple[dict[str, bytes], dict[tuple[str, int], str]]:
    """Name the files of the pixels of test images; models that take the same pixels share a file.

    Args:
        samples: Test images.

    Returns:
        Contents by name, and names by model and index.
    """
    contents: dict[str, bytes] = {}
    names: dict[tuple[str, int], str] = {}
    for model, pixels in samples.pixels.items():
        for index, image in enumerate(pixels):
            content = image.tobytes()
            shared = next((one for (_, at), one in names.items() if at == index and contents[one] == content), None)
            name = shared or (f"{index}-{model}.bin" if f"{index}.bin" in contents else f"{index}.bin")
            contents[name], names[model, index] = content, name
    return contents, names


def _model(model: PageModel) -> dict[str, Any]:
    height, width, channels = model.shape
    file, *beside = model.files
    image = {"height": height, "width": width, "channels": channels, "resize": model.resize, "direct": model.direct}
    return {
        "name": model.name,
        "role": model.role,
        "precision": model.precision,
        "file": f"models/{file}",
        "beside": {name: f"models/{name}" for name in beside},
        "bytes": model.bytes,
        "image": image,
        "input": model.input,
        "outputs": model.outputs,
        "facts": [list(pair) for pair in model.facts],
    }


def _samples(models: list[PageModel], dataset: Dataset, samples: SampleSet) -> list[dict[str, Any]]:
    _, names = sample_files(samples)
    return [
        {
            "id": clean(dataset.test.ids[row]),
            "label": int(dataset.test.labels[row]),
            "pixels": {model.name: f"samples/{names[model.name, index]}" for model in models},
            "logits": {model.name: [float(value) for value in samples.logits[model.name][index]] for model in models},
        }
        for index, row in enumerate(samples.rows)
    ]

"""The teacher's file for a page, or why there is none."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcompress.benchmarking import make_runtime
from kdcompress.config.recipe import Recipe
from kdcompress.data import Dataset, split_dataset
from kdcompress.data.stores import FileImages
from kdcompress.demonstration._models import RUNTIME, Logits, PageModel
from kdcompress.errors import KDCompressError, ModelError
from kdcompress.exporting._teacher import export_teachers
from kdcompress.exporting._teacher_cache import TeacherFile
from kdcompress.methods import Classes
from kdcompress.pipeline.ensemble import TeacherEnsemble
from kdcompress.pipeline.reopening import reopen_teachers
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.teachers import OutputSpec, Teacher, check_output_count

_FORMAT = "onnx"


def make_teacher(run: RunFolder, recipe: Recipe, dataset: Dataset, progress: Progress) -> PageModel | str:
    """Make the teacher of a run a model of a page.

    Args:
        run: Folder of the run.
        recipe: Its recipe.
        dataset: Its data set.
        progress: Receives notes.

    Returns:
        The model, or why the teacher cannot be shown.
    """
    try:
        ensemble = reopen_teachers(run, recipe)
        if not ensemble.teachers:
            return "the run has no teacher yet"
        file = export_teachers(ensemble.teachers, dataset, (_FORMAT,), progress).files[_FORMAT]
        if file.path is None or file.reasons:
            problem = "it has no ONNX file" if file.path is None else "its ONNX file fails parity"
            return f"{problem}: {'; '.join(file.reasons)}"
        _read_outputs(ensemble, recipe, dataset)
        model = _page_model(file, ensemble, dataset)
        make_runtime(RUNTIME).signature(file.path).check_batch(file.path, 1)
        model.logits(np.zeros((1, *model.shape), np.uint8))
        return model
    except KDCompressError as exc:
        return str(exc)


def _read_outputs(ensemble: TeacherEnsemble, recipe: Recipe, dataset: Dataset) -> None:
    """Find out what the teacher's outputs are, as training does."""
    (teacher,), (section,) = ensemble.teachers, ensemble.sections
    classes = tuple(dataset.classes)
    check_output_count(teacher, OutputSpec(dataset.input_shape, classes, ensemble.method.head(Classes(len(classes)))))
    teacher.set_reading(section, split_dataset(dataset, recipe.split).train)


def _page_model(file: TeacherFile, ensemble: TeacherEnsemble, dataset: Dataset) -> PageModel:
    (teacher,), method = ensemble.teachers, ensemble.method
    assert file.path is not None
    from_files = isinstance(dataset.test.images, FileImages)
    own = teacher.adapter.section.resize
    resize = own or (dataset.image_settings.resize if from_files else "squash")
    sizes = None if method.plain else [int(size) for size in getattr(method.for_teacher(), "sizes", ())]

    def to_logits(outputs: Logits) -> Logits:
        return ensemble.class_logits(teacher.to_logits(outputs))

    if sizes is not None:
        _check_subclasses(sizes, teacher, ensemble)
    return PageModel(
        "teacher",
        file.precision,
        file.path,
        teacher.adapter.input_shape,
        resize,
        from_files,
        prepare=teacher.adapter.prepare,
        input=_input(teacher),
        to_logits=to_logits,
        outputs=_outputs(teacher, sizes),
    )


def _check_subclasses(sizes: list[int], teacher: Teacher, ensemble: TeacherEnsemble) -> None:
    """Check that class logits are the logsumexp of subclass logits, which is what the page computes."""
    noise = np.random.default_rng(0).normal(size=(4, teacher.count_outputs())).astype(np.float32)
    starts = np.cumsum([0, *sizes[:-1]])
    if not sizes or not np.allclose(
        ensemble.class_logits(noise), np.logaddexp.reduceat(noise, starts, axis=-1), atol=1e-4
    ):
        raise ModelError(f"the page cannot compute the class logits of method {ensemble.recipe.method.name}")


def _input(teacher: Teacher) -> dict[str, Any]:
    """Describe `InputAdapter.prepare`; empty where pixels are passed on unchanged."""
    section, adapter = teacher.adapter.section, teacher.adapter
    described: dict[str, Any] = {"nchw": True} if adapter.nchw else {}
    if section.channel_order == "bgr":
        described["bgr"] = True
    if not section.is_identity:
        channels = adapter.input_shape[2]
        mean, std = (
            np.broadcast_to(np.asarray(value, float), channels).tolist() for value in (section.mean, section.std)
        )
        described |= {"scale": float(section.scale), "mean": mean, "std": std}
    return described


def _outputs(teacher: Teacher, subclasses: list[int] | None) -> dict[str, Any]:
    """Describe `Teacher.to_logits` and the method's class logits; empty where outputs are logits of the classes."""
    reading, described = teacher.reading, dict[str, Any]()
    if reading.kind != "logits":
        described |= {"kind": reading.kind, "percent": reading.percent, "floor": reading.floor, "gap": reading.gap}
    if teacher.single_output:
        described["single"] = True
    if teacher.adapter.columns is not None:
        described["columns"] = list(teacher.adapter.columns)
    if subclasses is not None:
        described["subclasses"] = subclasses
    return described

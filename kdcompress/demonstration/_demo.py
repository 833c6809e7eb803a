"""Writes the page of a run."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from kdcompress.cache import cache_dir
from kdcompress.config.recipe import Recipe
from kdcompress.data import Dataset
from kdcompress.demonstration import _page
from kdcompress.demonstration._facts import page_facts, sample_files
from kdcompress.demonstration._folders import without_folders
from kdcompress.demonstration._measured import model_facts
from kdcompress.demonstration._models import PageModel
from kdcompress.demonstration._ort_web import VERSION, WebRuntime
from kdcompress.demonstration._out import FACTS, clear
from kdcompress.demonstration._samples import SampleSet, check_outputs, choose_rows, make_samples
from kdcompress.demonstration._student import make_students, provide_exports
from kdcompress.demonstration._teacher import make_teacher
from kdcompress.digests import sha256_of
from kdcompress.files import move_into_place, scratch_folder, write_json
from kdcompress.pipeline.reopening import open_data
from kdcompress.progress import Progress
from kdcompress.reporting._run_data import load_run_data
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.integrity import read_run_recipe
from kdcompress.runs.outputs import read_test_outputs
from kdcompress.sizes import size_of

PAGE = "index.html"


def write_demo(
    run: RunFolder, out: Path, runtime: WebRuntime, samples: int, data_dir: Path | None, progress: Progress
) -> dict[str, Any]:
    """Write the page of a run: into a folder beside `out` first, which then takes its place.

    Args:
        run: Folder of a finished run.
        out: Folder of the page, as `check_out` accepts it.
        runtime: Runtime of the page.
        samples: Number of test images to put into it.
        data_dir: Folder of the data set, if it has moved.
        progress: Receives notes and warnings.

    Returns:
        The document that `kdcompress demo --json` prints.

    Raises:
        RunError: The run is not finished, or one of its files has changed.
        DataError: The data set cannot be loaded.
        ExportError: The student has no ONNX file, and it cannot be made.
    """
    start = time.perf_counter()
    outputs, recipe = read_test_outputs(run), read_run_recipe(run)
    entries = provide_exports(run, data_dir, progress)
    dataset = open_data(run, recipe, data_dir, progress)
    check_outputs(outputs, dataset, str(run.path))
    teacher = make_teacher(run, recipe, dataset, progress)
    reason = teacher if isinstance(teacher, str) else None
    if reason:
        progress.warn(f"the page shows the student alone: {reason}")
    contents = load_run_data(run)
    models = [*make_students(run, entries, dataset), *([teacher] if isinstance(teacher, PageModel) else [])]
    models = [replace(model, facts=model_facts(model, contents, entries)) for model in models]
    sample_set = make_samples(models, dataset, choose_rows(outputs, len(dataset.classes), samples))
    html = _page.render(contents, models, dataset, len(sample_set.rows), runtime)
    out.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(out.parent) as scratch:
        page = scratch / out.name
        _write(
            page, html, models, sample_set, dataset, runtime, reason and without_folders(reason, _folders(run, recipe))
        )
        move_into_place(page, out, clear)
    return {
        "run": str(run.path),
        "out": str(out),
        "page": str(out / PAGE),
        "runtime": {"version": VERSION, "address": runtime.address},
        "models": [_summary(model, out) for model in models],
        "no_teacher": reason,
        "samples": len(sample_set.rows),
        "bytes": size_of(out),
        "seconds": round(time.perf_counter() - start, 3),
    }


def _folders(run: RunFolder, recipe: Recipe) -> list[str]:
    """Folders that a reason may name: those of the run, of the models that its recipe names, and of the cache."""
    return [str(run.path), str(cache_dir()), *(model.rpartition("/")[0] for model in recipe.files.values())]


def _write(
    page: Path,
    html: str,
    models: list[PageModel],
    samples: SampleSet,
    dataset: Dataset,
    runtime: WebRuntime,
    no_teacher: str | None,
) -> None:
    pixels, _ = sample_files(samples)
    contents = {
        PAGE: html.encode("utf-8", "backslashreplace"),
        **_page.static_files(),
        **{f"ort/{name}": content for name, content in runtime.files.items()},
        **{f"samples/{name}": content for name, content in pixels.items()},
    }
    for name, content in contents.items():
        (page / name).parent.mkdir(parents=True, exist_ok=True)
        (page / name).write_bytes(content)
    (page / "models").mkdir()
    for model in models:
        for name, path in model.files.items():
            shutil.copyfile(path, page / "models" / name)
    write_json(page / FACTS, page_facts(models, dataset, samples, runtime, no_teacher))


def _summary(model: PageModel, out: Path) -> dict[str, Any]:
    path = out / "models" / f"{model.name}.onnx"
    return {
        "name": model.name,
        "role": model.role,
        "precision": model.precision,
        "path": str(path.relative_to(out)),
        "bytes": model.bytes,
        "sha256": sha256_of(path),
    }

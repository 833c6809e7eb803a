"""Zoo teachers: trained once for a recipe, data, split and seed, then kept in the cache and used again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdcompress.cache import cache_dir, delete_entry, lock_entry
from kdcompress.config.initialization import Initialization
from kdcompress.config.recipe import Recipe
from kdcompress.config.sections import SingleTeacherSection, ViewsSection
from kdcompress.data import Split
from kdcompress.digests import content_digest, json_digest, sha256_of
from kdcompress.errors import RunError
from kdcompress.files import sync
from kdcompress.leftovers import is_partial, remove_path
from kdcompress.methods import Method
from kdcompress.models import load_model, load_saved_model, model_digest, save_model, seed_everything
from kdcompress.progress import Progress
from kdcompress.runs import artefacts
from kdcompress.sealed import read_sealed, write_sealed
from kdcompress.teachers import OutputSpec
from kdcompress.training.checkpoints import Row, TrainingState
from kdcompress.training.features import delete_features
from kdcompress.training.feed import Feed
from kdcompress.training.fitting import FEATURES_FOLDER, Phase, train_phase

SCHEMA = 2


def zoo_teacher_key(recipe: Recipe, section: SingleTeacherSection, split: Split, method: Method) -> dict[str, Any]:
    """What a teacher trained by us, for the students of `method`, depends on, and nothing else."""
    special = {} if method.plain else {"method": method.for_teacher().model_dump(mode="json"), "head": method.identity}
    return {
        "schema": SCHEMA,
        "teacher": section.model_dump(mode="json", include={"model", "weights", "seed", "training"}),
        "split": split.fingerprint,
        "views": recipe.views.identity,
        "deterministic": recipe.deterministic,
        **special,
        **_start_key(section.initialization),
    }


def _start_key(start: Initialization) -> dict[str, Any]:
    """What a start other than the usual one adds to the key: of a weights file what it holds, not where it lies."""
    if start == Initialization():
        return {}
    return {"start": [content_digest(start.weights_file) if start.weights_file else start.pretrained, start.width]}


def cached_teacher_digest(key: dict[str, Any]) -> str | None:
    """The digest of the trained teacher of that key in the cache, or None if there is none."""
    try:
        return str(_meta(cache_dir("teachers") / json_digest(key))["digest"])
    except (OSError, ValueError, KeyError):
        return None


def train_or_load_teacher(
    recipe: Recipe,
    section: SingleTeacherSection,
    split: Split,
    spec: OutputSpec,
    method: Method,
    progress: Progress,
    on_rows: Callable[[list[Row]], None],
) -> Any:
    """The trained zoo teacher of one section of `recipe`, from the cache or trained now (and then kept).

    A broken-off training goes on at its last whole epoch, whichever run asks for it next. `on_rows` gets its history.
    """
    key = zoo_teacher_key(recipe, section, split, method)
    with lock_entry("teachers", json_digest(key), progress) as folder:
        if (rows := _kept_rows(folder, key, progress)) is not None:
            progress.note(f"teacher {section.model}: trained before, taken from the cache ({len(rows)} epochs)")
            on_rows(rows)
            for said in _meta(folder).get("start", []):
                progress.note(said)
        else:
            _train(folder, key, section, recipe.views, split, spec, method.for_teacher(), progress, on_rows)
        return load_saved_model(folder / "teacher.keras")


def _kept_rows(folder: Path, key: dict[str, Any], progress: Progress) -> list[Row] | None:
    if not folder.exists():
        return None
    try:
        meta = _meta(folder)
        if meta["key"] == key and meta["sha256"] == sha256_of(folder / "teacher.keras"):
            rows: list[Row] = meta["rows"]
            return rows
    except (ValueError, KeyError, TypeError, OSError):
        pass
    progress.warn(f"cached teacher {folder.name[:12]} does not match what it claims to be: refused, training anew")
    delete_entry(folder, artefacts.TEACHERS)
    return None


def _meta(folder: Path) -> dict[str, Any]:
    """What the cache says of a trained teacher; ValueError if it is damaged, OSError if it is not there."""
    return read_sealed(folder / "meta.json", ("key", "sha256", "digest", "rows", "start"))


def _drop_if_damaged(phase: Phase, progress: Progress) -> None:
    for leftover in filter(is_partial, phase.checkpoint.parent.iterdir()):
        remove_path(leftover)
    try:
        TrainingState.load(phase.checkpoint, phase.key)
    except RunError:
        progress.warn("the checkpoint of a broken-off teacher training is damaged: refused, training from the start")
        phase.checkpoint.unlink()


def _train(
    folder: Path,
    key: dict[str, Any],
    section: SingleTeacherSection,
    views: ViewsSection,
    split: Split,
    spec: OutputSpec,
    method: Method,
    progress: Progress,
    on_rows: Callable[[list[Row]], None],
) -> None:
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    training = section.training
    seed_everything(section.seed)
    shape, outputs = spec.input_shape, spec.n_outputs
    start: list[str] = []
    model = load_model(
        section.model, shape, outputs, "teacher", initialization=section.initialization, note=start.append
    )
    for said in start:
        progress.note(said)
    extra_labels = method.extra_labels(split.train.labels, split.train.subclasses)
    feed = Feed(
        split.train,
        views,
        None,
        training.batch_size,
        section.seed,
        extra_labels=extra_labels,
        weigh=training.weighs_classes,
        balanced=training.balances_batches,
    )
    phase = Phase("teacher", json_digest(key), method, training, part / "checkpoint.npz")
    _drop_if_damaged(phase, progress)
    state = train_phase(phase, model, feed, split.val, progress, on_rows)
    save_model(model, part / "teacher.keras")
    facts = {"sha256": sha256_of(part / "teacher.keras"), "digest": model_digest(model)}
    write_sealed(part / "meta.json", {"key": key, **facts, "rows": state.rows, "start": start})
    delete_features(part / FEATURES_FOLDER)  # before the checkpoint, which may still be needed
    (part / "checkpoint.npz").unlink()
    part.rename(folder)
    sync(folder.parent)

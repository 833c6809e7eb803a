from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from conftest import Recorder

from kdcompress.cache import cache_dir
from kdcompress.config.sections import PreprocessingSection, SingleTeacherSection, ViewsSection
from kdcompress.data import Samples, apply_transforms, view_transforms
from kdcompress.digests import json_digest
from kdcompress.errors import TargetsError
from kdcompress.formats.keras.teacher import KerasTeacher
from kdcompress.models import model_digest, seed_everything
from kdcompress.progress import Progress
from kdcompress.teachers import InputAdapter, Targets, compute_targets
from kdcompress.teachers._targets import _ids_digest

ONE = ViewsSection()
FIT = InputAdapter((28, 28, 1), PreprocessingSection())
THREE = ViewsSection(count=3)


def make_teacher(name: str = "teacher", seed: int = 0) -> KerasTeacher:
    seed_everything(seed)
    return KerasTeacher(getattr(tiny_models, name)(), FIT)


def entry(targets: Targets) -> Path:
    return cache_dir("targets") / targets.key


def test_row_i_view_k_is_the_teacher_s_answer_to_that_image(small: Samples) -> None:
    teacher = make_teacher()
    targets = compute_targets(teacher, small, "split", THREE, Progress())
    assert targets.logits.shape == (300, 3, 10)
    assert isinstance(targets.logits, np.memmap)
    table = view_transforms(THREE, small.ids, 28, 28)
    for row, view in ((0, 0), (7, 1), (299, 2)):
        image = np.asarray(apply_transforms(small.images[row : row + 1], table[row : row + 1, view]))
        expected = np.asarray(teacher.model(image, training=False))[0]
        assert targets.logits[row, view] == pytest.approx(expected, abs=1e-4)


def test_computed_once(small: Samples) -> None:
    first = compute_targets(make_teacher(), small, "split", ONE, Progress())
    second = compute_targets(make_teacher(), small, "split", ONE, Progress())
    assert (first.cached, second.cached) == (False, True)
    assert np.array_equal(first.logits, second.logits)


def test_another_teacher_split_or_view_is_another_entry(small: Samples) -> None:
    keys = {
        compute_targets(make_teacher(), small, "split", ONE, Progress()).key,
        compute_targets(make_teacher(seed=1), small, "split", ONE, Progress()).key,
        compute_targets(make_teacher(), small, "other", ONE, Progress()).key,
        compute_targets(make_teacher(), small, "split", THREE, Progress()).key,
        compute_targets(make_teacher(), small, "split", ViewsSection(count=3, shift_px=1), Progress()).key,
    }
    assert len(keys) == 5
    same = compute_targets(make_teacher(), small, "split", ViewsSection(count=1, shift_px=1), Progress())
    assert same.cached  # with one view, how others would be drawn does not matter


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "meta", "other ids"])
def test_a_mismatch_is_refused_and_labelled_anew(small: Samples, recorder: Recorder, damage: str) -> None:
    good = compute_targets(make_teacher(), small, "split", ONE, Progress())
    logits, samples = np.array(good.logits), small
    path = entry(good) / "logits.npy"
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-1] ^= 0xFF
        path.write_bytes(content)
    elif damage == "truncate":
        path.write_bytes(content[:-40])
    elif damage == "remove":
        path.unlink()
    elif damage == "meta":
        (entry(good) / "meta.json").write_text("{}")
    else:
        order = np.arange(300)[::-1]
        samples, logits = small.take(order), logits[order]
    again = compute_targets(make_teacher(), samples, "split", ONE, recorder)
    assert not again.cached
    assert "refused, labelling anew" in recorder.warnings[0]
    assert again.logits == pytest.approx(logits, abs=1e-4)


def test_a_teacher_of_the_same_digest_that_answers_otherwise_is_refused(small: Samples, recorder: Recorder) -> None:
    """What a subclassed model's call() does is in no configuration."""
    compute_targets(make_teacher(), small, "split", ONE, Progress())
    changed = make_teacher()
    logits = changed.logits
    changed.logits = lambda images: logits(images) * 2  # type: ignore[method-assign]
    again = compute_targets(changed, small, "split", ONE, recorder)
    assert not again.cached
    assert "refused, labelling anew" in recorder.warnings[0]
    assert again.logits[:, 0] == pytest.approx(changed.logits(small.images), abs=1e-4)


@pytest.mark.parametrize("count", [0, 1, 4096, 4097, 10_000])
def test_ids_are_known_by_the_digest_of_their_list(count: int) -> None:
    """Which entries of earlier versions have."""
    ids = np.array([f"ü/{number}" for number in range(count)], np.str_)
    samples = Samples(np.zeros((count, 1, 1, 1), np.uint8), np.zeros(count, np.int64), ids)
    assert _ids_digest(samples) == json_digest(ids.tolist())


def test_the_teacher_is_not_changed_by_being_asked(small: Samples) -> None:
    teacher = make_teacher()
    before = [np.array(v) for v in teacher.model.get_weights()]
    compute_targets(teacher, small, "split", THREE, Progress())
    assert all(np.array_equal(a, b) for a, b in zip(before, teacher.model.get_weights(), strict=True))
    assert model_digest(teacher.model) == teacher.digest


def test_nan_names_the_sample_and_leaves_nothing(small: Samples) -> None:
    with pytest.raises(TargetsError, match=f"for sample {small.ids[0]} \\(view 0\\) are not finite"):
        compute_targets(make_teacher("nan"), small, "split", ONE, Progress())
    assert not [path for path in cache_dir("targets").iterdir() if path.is_dir()]


def test_one_bad_sample_among_many_is_named(small: Samples) -> None:
    teacher = make_teacher()
    answer = teacher.logits

    def raw(images: np.ndarray) -> np.ndarray:
        outputs = answer(images).copy()
        outputs[(images == small.images[270]).all(axis=(1, 2, 3)), 4] = np.inf
        return outputs

    teacher.logits = raw  # type: ignore[method-assign]
    with pytest.raises(TargetsError, match=f"sample {small.ids[270]} "):
        compute_targets(teacher, small, "split", ONE, Progress())


def test_probabilities_are_noticed_and_their_logarithm_taken(small: Samples) -> None:
    teacher = make_teacher("softmax")
    teacher.set_reading(SingleTeacherSection(model="own.keras"), small)
    assert teacher.reading.kind == "probabilities"
    targets = compute_targets(teacher, small, "split", ONE, Progress())
    probabilities = np.asarray(teacher.model(small.images.astype(np.float32)))
    assert np.exp(targets.logits[:, 0]) == pytest.approx(probabilities, abs=1e-5)
    plain = make_teacher("plain")
    plain.set_reading(SingleTeacherSection(model="own.keras"), small)
    assert plain.reading.kind == "logits"


LABEL = """
    import os, signal, sys
    import numpy as np, tiny_models
    from kdcompress.data import Samples
    from kdcompress.models import seed_everything
    from kdcompress.progress import Progress
    from kdcompress.config.sections import PreprocessingSection, SingleTeacherSection, ViewsSection
    from kdcompress.teachers import InputAdapter, compute_targets
    from kdcompress.formats.keras.teacher import KerasTeacher

    class Killer(Progress):
        def step(self, done, parts):
            if done == int(sys.argv[2]):
                os.kill(os.getpid(), signal.SIGKILL)

    part = np.load(sys.argv[1])
    seed_everything(0)
    teacher = KerasTeacher(tiny_models.teacher(), InputAdapter((28, 28, 1), PreprocessingSection()))
    targets = compute_targets(teacher, Samples(**part), "split", ViewsSection(count=2), Killer())
    print(targets.cached)
"""


def start(samples: Samples, folder: Path, kill_at: int) -> subprocess.Popen[str]:
    np.savez(folder / "part.npz", images=samples.images, labels=samples.labels, ids=samples.ids)
    path = os.pathsep.join(p for p in sys.path if p)
    command = [sys.executable, "-c", textwrap.dedent(LABEL), str(folder / "part.npz"), str(kill_at)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True)


def test_a_killed_labelling_leaves_no_entry_and_goes_on(tmp_path: Path, digits: object, recorder: Recorder) -> None:
    samples: Samples = digits.train.take(np.arange(0, 4000, 4))  # type: ignore[attr-defined]
    process = start(samples, tmp_path, kill_at=3)
    process.wait(timeout=120)
    assert process.returncode == -signal.SIGKILL
    left = [path.name for path in cache_dir("targets").iterdir() if path.is_dir()]
    assert len(left) == 1
    assert left[0].endswith(".part")
    rows = cache_dir("targets") / left[0] / "logits.npy"
    assert rows.stat().st_size == 128 + 3 * 256 * 2 * 10 * 4
    asked: list[int] = []
    teacher = make_teacher()
    answer = teacher.logits
    teacher.logits = lambda images: (asked.append(len(images)), answer(images))[1]  # type: ignore[method-assign,func-returns-value]
    targets = compute_targets(teacher, samples, "split", ViewsSection(count=2), recorder)
    assert asked == [1, 232, 232]  # one image to learn the number of classes, then the last batch alone, both views
    whole = make_teacher().logits(samples.images)
    assert targets.logits[:, 0] == pytest.approx(whole, abs=1e-4)


def test_two_runs_at_once_label_once(tmp_path: Path, small: Samples) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    processes = [start(small, tmp_path / name, kill_at=-1) for name in "ab"]
    said = sorted(process.communicate(timeout=180)[0].strip() for process in processes)
    assert said == ["False", "True"]

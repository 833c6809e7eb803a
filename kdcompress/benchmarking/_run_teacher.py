"""Teacher of a run in its line-up: a file for each runtime, or one for another runtime where it has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from kdcompress import registry
from kdcompress.benchmarking import make_runtime, runtimes_for
from kdcompress.benchmarking._request import BenchRequest
from kdcompress.benchmarking._subjects import Group, Subject, pair_across_runtimes
from kdcompress.data import Dataset
from kdcompress.errors import MissingExtraError, UsageError
from kdcompress.exporting import make_format
from kdcompress.exporting._teacher import TeacherFiles
from kdcompress.exporting._teacher_cache import TeacherFile
from kdcompress.verification.sizes import model_bytes


class RunTeacher:
    """Teacher of a run as the reference of its students.

    Args:
        provide: Makes the teacher's files in the named formats.
        formats: Formats of the students.
        request: Options.
        dataset: Data set of the run.
        rows: Indices of the test images to time.
    """

    def __init__(
        self,
        provide: Callable[[Sequence[str]], TeacherFiles],
        formats: Sequence[str],
        request: BenchRequest,
        dataset: Dataset,
        rows: Sequence[int],
    ) -> None:
        self._provide, self._request, self._dataset, self._rows = provide, request, dataset, rows
        self._teachers = provide(formats)
        self._problems: dict[str, str] = {}

    def reference(self, name: str, runtime: str) -> Subject | None:
        """Create the teacher's entry on a runtime; None, with the reason noted, if it cannot be timed there.

        Args:
            name: Format of the students.
            runtime: Runtime of the students.
        """
        subject, problem = self._subject(self._teachers.files[name], runtime)
        if problem:
            self._problems[runtime] = problem
        return subject

    def pair_across_runtimes(self, groups: Sequence[Group]) -> tuple[list[Group], list[str]]:
        """Compare students on runtimes without the teacher with the teacher on another runtime, if there is one.

        Args:
            groups: Groups by runtime, with the references of `reference`.

        Returns:
            The groups, and where the teacher is not timed, and why.
        """
        elsewhere = None
        if all(group.reference is None for group in groups):
            elsewhere = self._elsewhere()
        return pair_across_runtimes(groups, self._problems, elsewhere)

    def _subject(self, file: TeacherFile, runtime: str) -> tuple[Subject | None, str | None]:
        if file.path is None or file.reasons:
            problem = "it has no file to time there" if file.path is None else "its export fails parity"
            return None, f"{problem} ({'; '.join(file.reasons)})"
        adapter, settings = self._teachers.adapter, self._dataset.image_settings
        if adapter.section.resize is not None:
            settings = settings.model_copy(update={"resize": adapter.section.resize})
        signature = make_runtime(runtime).signature(file.path)
        try:
            for batch_size in self._request.batch_sizes:
                signature.check_batch(file.path, batch_size)
        except UsageError as exc:
            return None, str(exc)
        images = self._teachers.images(self._dataset, self._rows)
        path = str(file.path)
        size = model_bytes(file.path)
        return Subject("teacher", file.path, path, runtime, file.precision, images, size, adapter, settings), None

    def _elsewhere(self) -> Subject | None:
        """Create the teacher's entry on a runtime that no student runs on, unless the user has chosen runtimes."""
        if self._request.runtimes or self._teachers.is_ensemble or not self._teachers.has_model:
            return None
        for name in registry.choices("formats"):
            runtimes = runtimes_for(Path(f"teacher{make_format(name).suffix}"))
            if name in self._teachers.files or not runtimes:
                continue
            try:
                make_runtime(runtimes[0]).require()
                file = self._provide([name]).files[name]
            except MissingExtraError:
                continue
            if subject := self._subject(file, runtimes[0])[0]:
                return subject
        return None

"""Labelling on the cluster of the tests; also imported by the processes that tests start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kdcompress.cache import cache_dir
from kdcompress.config.cluster import ClusterSection
from kdcompress.config.sections import PreprocessingSection, SingleTeacherSection, ViewsSection
from kdcompress.progress import Progress
from kdcompress.teachers import Labeller, OutputSpec, Teacher, open_teacher

SPEC = OutputSpec((28, 28, 1), tuple(map(str, range(10))))
ONE = ViewsSection()


def section_of(path: Path) -> SingleTeacherSection:
    return SingleTeacherSection(model=str(path), preprocessing=PreprocessingSection(scale=1 / 255))


def opened(path: Path) -> Teacher:
    return open_teacher(path, section_of(path), SPEC, f"teacher {path}")


@contextmanager
def workers(address: str, teacher: Teacher, count: int = 2, **settings: float) -> Iterator[Labeller]:
    from kdcompress.cluster import ClusterWorkers, open_cluster

    section = ClusterSection(address=address, workers=count, **settings)  # type: ignore[arg-type]
    with open_cluster(section, [cache_dir()], Progress()) as cluster:
        yield ClusterWorkers(cluster).labeller(section_of(Path(str(teacher.path))), SPEC, True)

"""The machines of a cluster, and what each must have before work is given to it."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress.errors import ClusterError, one_line
from kdcompress.leftovers import PARTIAL, owner_tag
from kdcompress.versions import versions

_ANSWER_S = 120.0  # seconds in which a node must start a process and import kdcompress
# Packages of which another version may give other bits, beside those of `versions`
_COMPUTING = ("onnxruntime", "ai-edge-litert", "torch", "pillow")

_Found = tuple[dict[str, str | None], dict[str, str | None]]


@dataclass(frozen=True)
class Node:
    """A machine of a cluster.

    Attributes:
        id: Its id in Ray.
        address: Its address.
        cpus: Number of cores that it gives to workers.
        gpus: Number of GPUs.
    """

    id: str
    address: str
    cpus: int
    gpus: int


@dataclass(frozen=True)
class Probe:
    """What a machine must have to do work of this process.

    Attributes:
        versions: Version of each package here.
        files: Content that each file must have; one lies in each shared folder.
    """

    versions: Mapping[str, str]
    files: Mapping[str, str]


def computing_versions() -> dict[str, str]:
    """Return the version here of each package that must be the same on all machines."""
    return versions(*_COMPUTING)


def living_nodes(ray: Any) -> tuple[Node, ...]:
    """List the machines that give cores to workers.

    Args:
        ray: The module.
    """
    nodes = []
    for node in ray.nodes():
        resources = node["Resources"]
        if node["Alive"] and resources.get("CPU", 0) >= 1:
            address = str(node["NodeManagerAddress"])
            nodes.append(Node(node["NodeID"], address, int(resources["CPU"]), int(resources.get("GPU", 0))))
    return tuple(nodes)


@contextlib.contextmanager
def probing(folders: Sequence[Path]) -> Iterator[Probe]:
    """Context manager that puts a file into each folder that all machines must see.

    Args:
        folders: The folders, which are made if necessary.

    Yields:
        What to ask the machines for.
    """
    files = {}
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            path, content = folder / f"{PARTIAL}{owner_tag()}-probe", uuid.uuid4().hex
            path.write_text(content, encoding="utf-8")
            files[str(path)] = content
        yield Probe(computing_versions(), files)
    finally:
        for path_text in files:
            Path(path_text).unlink(missing_ok=True)


def check_nodes(ray: Any, nodes: Sequence[Node], probe: Probe) -> tuple[Node, ...]:
    """Check that all machines have the versions of this one and see the shared folders.

    Args:
        ray: The module.
        nodes: The machines.
        probe: What they must have.

    Returns:
        The machines that are still there.

    Raises:
        ClusterError: One has not, or does not answer.
    """

    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0, max_retries=1)(_inspector())
    answers = {
        node: task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)).remote(
            dict(probe.versions), list(probe.files)
        )
        for node in nodes
    }
    checked = []
    for node, answer in answers.items():
        try:
            found, files = ray.get(answer, timeout=_ANSWER_S)
        except Exception as exc:
            if node not in living_nodes(ray):  # it left the cluster meanwhile
                continue
            raise ClusterError(
                f"node {node.address} does not answer ({one_line(exc, 120)}); `ray status` lists the nodes"
            ) from exc
        check_answer(node.address, probe, found, files)
        checked.append(node)
    return tuple(checked)


def _inspector() -> Callable[[dict[str, str], list[str]], _Found]:
    """Make the function that machines run; nested, and so pickled by value: one without kdcompress can say so."""

    def inspect(wanted: dict[str, str], files: list[str]) -> _Found:
        import os
        from pathlib import Path

        def read(name: str) -> str | None:
            try:
                own = Path(f"{name}-{os.getpid()}")
                own.touch()
                own.unlink()
                return Path(name).read_text(encoding="utf-8")
            except OSError:
                return None

        try:
            from kdcompress.versions import versions
        except ImportError:
            found: dict[str, str] = {}
        else:
            found = versions(*wanted)
        return {name: found.get(name) for name in wanted}, {name: read(name) for name in files}

    return inspect


def check_answer(address: str, probe: Probe, found: Mapping[str, str | None], files: Mapping[str, str | None]) -> None:
    """Check what a machine has.

    Args:
        address: Its address.
        probe: What it must have.
        found: Version of each package there; None for one that is missing.
        files: Content of each file there; None for one that cannot be read, or whose folder cannot be written to.

    Raises:
        ClusterError: Something is missing or differs.
    """
    for package, here in probe.versions.items():
        if (there := found[package]) == here:
            continue
        wrong = f"has {package} {there}" if there else f"lacks {package}"
        raise ClusterError(
            f"node {address} {wrong}, this process has {here}: results must not depend on who computes; "
            f"there: pip install {package}=={here}"
            if package != "python"
            else f"node {address} {wrong}, this process has {here}: give all nodes the same Python"
        )
    for path, content in probe.files.items():
        if files[path] != content:
            raise ClusterError(
                f"node {address} does not see {Path(path).parent}, or may not write there; workers keep their results "
                "there: name a folder that all nodes share (KDCOMPRESS_CACHE_DIR for the cache, --out for a run)"
            )

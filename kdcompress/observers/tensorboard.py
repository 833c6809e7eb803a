"""TensorBoard: curves of teacher, student and baseline in one chart, test metrics, and the recipe as text."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, PrivateAttr

from kdcompress.events import EpochEnded, RunFinished, RunStarted, SweepFinished
from kdcompress.observers._base import Observer, require_package
from kdcompress.observers._figures import final_figures


class TensorBoard(Observer):
    """Writes event files below log_dir/RUN: a folder for each training, a point for each epoch.

    By default `log_dir` is the folder tensorboard beside the run, so that `tensorboard --logdir runs/tensorboard` shows
    all runs together. A resumed run continues its curves; one that is made anew in its folder replaces them.
    """

    module: ClassVar[str] = "tensorboard"

    log_dir: str | None = Field(None, min_length=1, description="the folder of all runs' event files")

    _folder: Path = Path()
    _resumed: bool = False
    _writers: dict[str, Any] = PrivateAttr(default_factory=dict)

    def check(self) -> None:
        """Check that TensorBoard is installed."""
        require_package(self.module, "observer tensorboard", "tensorboard")

    def on_run_started(self, event: RunStarted) -> None:
        """Write the recipe as text."""
        run = event.run.absolute()
        self._folder = (Path(self.log_dir).expanduser() if self.log_dir else run.parent / "tensorboard") / run.name
        self._resumed = event.resumed
        self._write("", 0, _text("recipe", f"```json\n{json.dumps(event.recipe, indent=2)}\n```"))

    def on_epoch_ended(self, event: EpochEnded) -> None:
        """Write the metrics of an epoch."""
        folder = f"{_file_name(event.trial)}/{event.phase}" if event.trial else event.phase
        self._write(folder, event.epoch, _scalars(event.metrics))

    def on_run_finished(self, event: RunFinished) -> None:
        """Write the test metrics of each model, and ratios and gains."""
        self._write_figures(event.result)

    def on_sweep_finished(self, event: SweepFinished) -> None:
        """Write the mean test metric of the chosen setting, the baseline and the teacher, and the gain."""
        self._write_figures(event.result)

    def close(self) -> None:
        """Close the event files."""
        for writer in self._writers.values():
            writer.close()

    def _write_figures(self, result: Mapping[str, Any]) -> None:
        for role, figures in final_figures(result).items():
            self._write(role, 0, _scalars(figures))

    def _write(self, folder: str, step: int, summary: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        writer = self._writers.get(folder) or self._open(folder)
        writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))
        writer.flush()  # an epoch takes long, and a killed run keeps the points of those that ended

    def _open(self, folder: str) -> Any:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writers[folder] = writer = EventFileWriter(str(self._folder / folder))
        if not self._resumed:  # by which TensorBoard drops the points of a former run of this folder
            start = SessionLog(status=SessionLog.SessionStatus.START)
            writer.add_event(Event(wall_time=time.time(), step=0, session_log=start))
        return writer


def _scalars(values: Mapping[str, float]) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary

    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    return Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in finite.items()])


def _text(tag: str, text: str) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING
    from tensorboard.plugins.text.metadata import create_summary_metadata

    tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()])
    return Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=create_summary_metadata("", ""))])


def _file_name(trial: str) -> str:
    return re.sub(r"[^\w.=-]+", "-", trial)


OBSERVER = TensorBoard

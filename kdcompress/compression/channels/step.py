"""The step that removes channels, in rounds with tuning after each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from kdcompress.compression._base import Compressed, Step, Tuning
from kdcompress.compression.channels.budgets import Budget, find_share
from kdcompress.compression.channels.coupling import Coupling, find_coupling
from kdcompress.compression.channels.importance import Scores, l1_scores, taylor_scores
from kdcompress.compression.channels.latency import latency_ratio, teacher_file
from kdcompress.compression.channels.losses import batches_of, sample_losses
from kdcompress.compression.channels.masking import check_equality
from kdcompress.compression.channels.rebuilding import rebuild
from kdcompress.compression.channels.selection import MULTIPLE, select
from kdcompress.errors import ModelError
from kdcompress.verification.flops import count_flops

_RANKED_ON = 1024  # training images
_CHECKED_ON = 8  # training images
_LATENCY_RESOLUTION = 1 / 32  # of the share; finer differences drown in the noise of the measurement
_MAX_NAMED = 3  # layers of a note


class ChannelsStep(Step):
    """Removes channels of a student, and tunes what remains."""

    name: ClassVar[str] = "channels"
    epochs_factor: ClassVar[float] = 1.0

    @classmethod
    def summarize(cls, facts: dict[str, Any]) -> str:
        """Say how many parameters were removed, and which budgets are met."""
        before, after = facts["params"]
        ratios = ", ".join(
            f"{key.split('_')[1]} {value:.3g} of the teacher's" for key, value in facts["ratios"].items()
        )
        share = f"{100 * facts['share']:.3g} % of the channels"
        return f"{share}, {before:,} to {after:,} parameters{f'; {ratios}' if ratios else ''}"

    def apply(self, student: Compressed, tuning: Tuning) -> Compressed:
        """Remove the section's share of the channels, or as few as its budgets need."""
        model, section = student.model, tuning.section
        coupling = find_coupling(model)
        _check_groups(model, coupling)
        _note_whole(coupling, tuning)
        choice = tuning.once(self.name, lambda: _choose_share(model, coupling, tuning))
        share, sizes = float(choice["share"]), {group.key: len(group.classes) for group in coupling.groups}
        facts: dict[str, Any] = {**choice, "importance": section.importance, "multiple": MULTIPLE, "rounds": []}
        if share and select(coupling, np.zeros(coupling.class_count), share).all():
            raise ModelError(
                f"channels = {share:g} removes no channel of {model.name}: of 16 and more a multiple of {MULTIPLE} "
                "stays; give a larger share"
            )
        for number in range(1, section.rounds + 1) if share else ():
            model, round_facts = self._round(model, number, share * number / section.rounds, sizes, tuning)
            facts["rounds"].append(round_facts)
        facts["params"] = [student.model.count_params(), model.count_params()]
        facts["groups"] = _group_facts(sizes, find_coupling(model) if share else coupling)
        facts["whole"] = [{"layers": list(whole.layers), "reason": whole.reason} for whole in coupling.whole]
        return student.after(self.name, model, facts)

    def _round(
        self, model: Any, number: int, share: float, sizes: Mapping[str, int], tuning: Tuning
    ) -> tuple[Any, dict[str, Any]]:
        """Remove channels until the share of those at the start is reached, and tune."""
        coupling = find_coupling(model)
        kept = select(coupling, _scores(model, coupling, tuning), share, sizes)
        if kept.all():
            return model, {"share": share, "params": model.count_params(), "difference": 0.0}
        smaller = rebuild(model, coupling, kept)
        images = np.asarray(tuning.train_samples.images[:_CHECKED_ON])
        difference = check_equality(model, smaller, coupling, kept, images)
        facts = {"share": share, "params": smaller.count_params(), "difference": difference}
        tuning.progress.note(
            f"{self.name}: {model.count_params():,} parameters become {smaller.count_params():,}, equal to the student "
            f"without these channels within {difference:.1g}"
        )
        tuning.train(f"{self.name}-{number}", smaller, type(self))
        return smaller, facts


def _check_groups(model: Any, coupling: Coupling) -> None:
    if not any(len(group.classes) > 1 for group in coupling.groups):
        reasons = "; ".join(f"{', '.join(whole.layers)}: {whole.reason}" for whole in coupling.whole[:_MAX_NAMED])
        raise ModelError(
            f"{model.name} has no channels that can be removed ({reasons or 'it has no layers that make them'}); "
            "compress it without channels"
        )


def _note_whole(coupling: Coupling, tuning: Tuning) -> None:
    for whole in coupling.whole:
        if not whole.is_output:
            names = ", ".join(whole.layers[:_MAX_NAMED])
            more = f" and {len(whole.layers) - _MAX_NAMED} more" if len(whole.layers) > _MAX_NAMED else ""
            tuning.progress.note(f"channels: those of {names}{more} stay: {whole.reason}")


def _choose_share(model: Any, coupling: Coupling, tuning: Tuning) -> dict[str, Any]:
    section = tuning.section
    if section.channels is not None:
        return {"share": section.channels, "ratios": {}}
    result = find_share(model, coupling, _budgets(tuning), lambda text: tuning.progress.note(f"channels: {text}"))
    return {"share": result.share, "ratios": result.ratios}


def _budgets(tuning: Tuning) -> list[Budget]:
    section = tuning.section
    budgets = []
    if section.max_params_ratio is not None:
        params = _teacher_cost(tuning, "params")
        budgets.append(Budget("max_params_ratio", section.max_params_ratio, lambda m: m.count_params() / params))
    if section.max_flops_ratio is not None:
        flops = _teacher_cost(tuning, "flops")
        budgets.append(
            Budget("max_flops_ratio", section.max_flops_ratio, lambda m: count_flops(m, tuning.input_shape) / flops)
        )
    if section.max_latency_ratio is not None:
        teacher = teacher_file(tuning)
        budgets.append(
            Budget(
                "max_latency_ratio",
                section.max_latency_ratio,
                lambda model: latency_ratio(model, tuning, teacher),
                _LATENCY_RESOLUTION,
            )
        )
    return budgets


def _teacher_cost(tuning: Tuning, key: str) -> int:
    cost = tuning.teacher_costs.get(key)
    if not cost:
        raise ModelError(
            f"max_{key}_ratio is relative to the teacher, whose {key} are unknown; give channels = 0.5, for example"
        )
    return cost


def _scores(model: Any, coupling: Coupling, tuning: Tuning) -> Scores:
    if tuning.section.importance == "l1":
        return l1_scores(coupling)
    feed = tuning.feed
    tuning.progress.note(f"channels: ranked on {min(_RANKED_ON, len(feed.samples)):,} training images")
    return taylor_scores(model, coupling, batches_of(feed, _RANKED_ON), sample_losses(tuning.method, feed))


def _group_facts(sizes: Mapping[str, int], after: Coupling) -> list[dict[str, Any]]:
    kept = {group.key: len(group.classes) for group in after.groups}
    return [{"layers": key.split("+"), "channels": size, "kept": kept[key]} for key, size in sizes.items()]

"""Whether distillation is worth it on these data: the gain over the student alone, and what it cost to find."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdcompress.formatting import plural
from kdcompress.metrics.classification import METRIC_NAMES
from kdcompress.sweeping._space import Setting

WORTH_IT, NOT_SHOWN, HARMFUL = "worth it", "not shown", "harmful"


def judge_worth(result: Mapping[str, Any]) -> dict[str, Any]:
    """Judge whether the chosen setting is worth it against the same student without the teacher.

    Args:
        result: `sweep.json`: `best`, `gain`, `metric` and `trials`.

    Returns:
        `verdict` ("worth it" if the 95 % interval of the gain is above 0, "harmful" if below, else "not shown"),
        `sentence`, `students` (how many were trained to choose), and `train_seconds` of all of them together.
    """
    gain, trials = result["gain"], result["trials"]
    seconds = sum(trial["seconds"] for trial in trials)
    verdict = _verdict(gain)
    return {
        "verdict": verdict,
        "sentence": f"{_finding(verdict, result)}; {_cost(verdict, len(trials), seconds)}",
        "students": len(trials),
        "train_seconds": round(seconds, 3),
    }


def _verdict(gain: Mapping[str, Any]) -> str:
    if gain["low"] is None or gain["low"] <= 0 <= gain["high"]:
        return NOT_SHOWN
    return WORTH_IT if gain["low"] > 0 else HARMFUL


def _finding(verdict: str, result: Mapping[str, Any]) -> str:
    gain, metric = result["gain"], METRIC_NAMES[result.get("metric", "accuracy")]
    if result["best"]["method"] == "none":  # one of those that were compared
        return "no gain shown here: best on validation is the student without a teacher"
    setting = str(Setting(*(result["best"][key] for key in ("method", "temperature", "alpha"))))
    amount = f"{100 * abs(gain['mean']):.2f} points of {metric} on test"
    if gain["low"] is None:
        change = f"changes {metric} on test by {_signed(gain['mean'])} points"
        return f"no gain shown here: {setting} {change} in one seed, which may be chance"
    seeds = f"(95 % {_signed(gain['low'])} to {_signed(gain['high'])}, {plural(gain['n'], 'seed')})"
    if verdict == NOT_SHOWN:
        return f"no gain shown here: {setting} changes {metric} on test by {_signed(gain['mean'])} points {seeds}"
    verb = "brings" if verdict == WORTH_IT else "costs"
    return f"{verdict} here: {setting} {verb} {amount} against the same student without the teacher {seeds}"


def _cost(verdict: str, students: int, seconds: float) -> str:
    spent = f"{plural(students, 'student')} and {seconds:,.0f} s of training"
    if verdict == WORTH_IT:
        return f"choosing it took {spent}, and the student is as large and as fast as without"
    if verdict == HARMFUL:
        return f"finding out took {spent}: train without the teacher, or take another one"
    return f"that took {spent}: more seeds (--seeds) tell more, and until then training without the teacher will do"


def _signed(fraction: float) -> str:
    return f"{100 * fraction:+.2f}"

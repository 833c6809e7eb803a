"""What is wrong with how a command dealt with a hostile file."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trust.worker import Outcome

# C0 but for tab and line feed, C1, and what turns the direction of text
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
CODES = (0, 1, 2, 3)


def problems(done: Outcome, fired: Sequence[str], changed: Sequence[str]) -> list[str]:
    """What no command may do, whatever file it opens; nothing is wrong where the list is empty."""
    found = [f"EXECUTED {name}" for name in fired]
    found += [f"OUTSIDE: {what}" for what in changed[:3]]
    if done.broken:
        found.append(f"needs too much {done.broken}: {done.seconds:.0f} s, {done.megabytes:,.0f} MB")
        return found
    if done.exit not in CODES:
        found.append(f"ends with exit code {done.exit}: {done.last[:200]}")
    if "Traceback (most recent call last)" in done.err or "Traceback (most recent call last)" in done.out:
        found.append(f"shows a traceback: {done.last[:200]}")
    found += [f"leaves a process behind: {one}" for one in done.orphans]
    if raw := RAW.search(done.out) or RAW.search(done.err):
        found.append(f"prints raw {raw[0]!r}")
    return [*found, *message_problems(done)]


def message_problems(done: Outcome) -> list[str]:
    """What is wrong with how a failure is told: it is one line, our own, and the last one."""
    said = [line for line in done.err.splitlines() if line.startswith("kdcompress: ")]
    if unexpected := [line for line in said if "unexpected " in line]:
        return [f"says {unexpected[0][:240]!r}"]
    if done.exit == 0 or done.exit == 3:
        return []
    if len(said) != 1 or not done.last.startswith("kdcompress: "):
        return [f"says no one line: {len(said)} of them, the last line is {done.last[:200]!r}"]
    return []

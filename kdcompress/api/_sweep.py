"""`sweep`: which setting is best, and what the teacher brings, over several seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kdcompress.api._distill import recipe_of
from kdcompress.api._document import document
from kdcompress.config.recipe import Recipe
from kdcompress.progress import Progress
from kdcompress.trust import trusting_code


@document
def sweep(
    recipe: str | Path | Mapping[str, Any] | Recipe = "mnist",
    *,
    temperatures: Iterable[float] | None = None,
    alphas: Iterable[float] | None = None,
    methods: Iterable[str] | None = None,
    seeds: int = 3,
    trials: int | None = None,
    jobs: int = 1,
    storage: str | None = None,
    out: str | Path | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
    **choices: Any,
) -> dict[str, Any]:
    """Train a student for each setting and seed, choose on validation, and tell its gain on test.

    What is not given is the recipe's own; with one setting it tells the gain of that over `seeds`. With `trials`,
    values are ranges from which TPE proposes so many settings. A killed sweep goes on where it stopped; several
    processes may work on one `out`, several machines on one `storage` (an Optuna database URL). `choices` are those of
    `distill`. `trust_code` lets code run that came with model files.
    Returns the document that `kdcompress sweep --json` prints, kept as sweep.json. Errors: KDCompressError.
    """
    from kdcompress.sweeping._space import make_space

    base = recipe_of(recipe, **choices)
    space = make_space(base, methods, temperatures, alphas, seeds, trials)
    from kdcompress.sweeping._sweep import Request, run_sweep

    folder = Path(out) if out else default_sweep(base)
    with trusting_code(trust_code):
        return run_sweep(Request(base, space, folder, jobs, storage), progress or Progress())


def default_sweep(recipe: Recipe) -> Path:
    """sweeps/NAME-DIGEST: the same recipe finds its sweep again, whatever is tried around it."""
    return Path("sweeps") / f"{recipe.name}-{recipe.digest[:8]}"

"""Figures of the literature beside ours: Hinton et al. 2015 and Mueller et al. 2020 on MNIST.

    python literature.py            the whole MNIST, 3 seeds (three to four hours of one core): LITERATURE.md here
    python literature.py --quick    5,000 embedded digits, 1 seed (minutes)

Everything made lies in work/literature (or work-quick/literature), every figure in literature.json beside
LITERATURE.md, and what is there is not made again: stop it and start it as you like.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hinton_2015
import literature_page
import mueller_2020
from literature_runs import Study, study_of_command
from tables import listener

PICTURE = "invented-subclasses.png"


def measure(study: Study, progress: Any) -> Iterator[literature_page.Found]:
    """Make whatever is missing, seed by seed.

    Args:
        study: How much is done.
        progress: Listener.

    Yields:
        All that is there, after each seed of each paper.
    """
    found = literature_page.Found(hinton_2015.measure_teacher(study, progress), [], {}, [])
    for seed in study.seeds:
        found.hinton.append(hinton_2015.measure(study, seed, progress))
        found.variants.update(hinton_2015.measure_variants(study, progress))
        yield found
        found.mueller.append(mueller_2020.measure(study, seed, progress))
        yield found


def main() -> None:
    study = study_of_command("literature", __doc__, 3, 1, 4)
    for found in measure(study, listener()):
        if found.mueller:
            mueller_2020.draw(found.mueller[0]["subclass"]["counts"], study.figures.with_name(PICTURE))
        study.write(literature_page.page(found, study, PICTURE))


if __name__ == "__main__":
    main()

"""The plan of a compression: what it would do, without training anything."""

from __future__ import annotations

from typing import Any

from kdcompress.compression._pipeline import CompressionPipeline
from kdcompress.compression._steps import make_steps
from kdcompress.config.compress import CompressSection
from kdcompress.config.recipe import Recipe, read_resolved_recipe
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import RECIPE
from kdcompress.runs.schemas import CompressionPlan, versioned
from kdcompress.runs.students import student_folder
from kdcompress.verification.flops import count_flops_or_none


def plan_compression(run: RunFolder, recipe: Recipe, name: str, progress: Progress) -> CompressionPlan:
    """Plan a compression.

    Args:
        run: The finished run.
        recipe: Recipe of the compressed student.
        name: Its name.
        progress: Listener.

    Returns:
        The plan.

    Raises:
        KDCompressError: The compression would be refused before its training.
    """
    folder = student_folder(run, name)
    pipeline = CompressionPipeline(recipe, run, folder, progress)
    model, section = pipeline.open_start(), pipeline.section
    steps = plan_steps(recipe, section, pipeline.data.draws)
    flops = count_flops_or_none(model, pipeline.dataset.input_shape)
    return CompressionPlan.of(
        versioned(
            {
                "run": str(folder.path),
                "name": name,
                "state": _state(folder, recipe),
                "start": section.start,
                "before": {"params": model.count_params(), "flops": flops},
                "steps": steps,
            }
        )
    )


def plan_steps(recipe: Recipe, section: CompressSection, n: int) -> list[dict[str, Any]]:
    """Describe the steps of a compression.

    Args:
        recipe: Recipe of the student.
        section: Settings of the compression.
        n: Number of images to train on.

    Returns:
        `name`, `epochs`, `learning_rate` and `todo` of each step.
    """
    steps = []
    for step in make_steps(section):
        training = step.training(section, recipe.training)
        count = training.total_epochs * (n // min(training.batch_size, n))
        rounds = section.rounds if step.name == "channels" else 1
        times = f", in each of {rounds} rounds" if rounds > 1 else ""
        todo = f"{_describe(step.name, section)}; {count:,} steps of {training.batch_size}{times}"
        plan = {"name": step.name, "epochs": training.total_epochs, "learning_rate": training.plan[-1].learning_rate}
        steps.append({**plan, "todo": todo})
    return steps


def _describe(step: str, section: CompressSection) -> str:
    budgets = " and ".join(
        f"{key.split('_')[1]} are {value:g} of the teacher's" for key, value in section.budgets.items()
    )
    texts: dict[str, Any] = {
        "channels": f"channels are removed until {budgets}"
        if budgets
        else f"{100 * (section.channels or 0):g} % of the channels are removed, ranked by {section.importance}",
        "prune": f"{100 * (section.prune or 0):g} % of the weights of each kernel become 0",
        "cluster": f"each kernel gets at most {section.cluster} values",
        "qat": f"int8, trained ({section.qat})",
    }
    return str(texts[step])


def _state(folder: RunFolder, recipe: Recipe) -> str:
    if problem := folder.find_problem():
        return f"refused: {problem}"
    if not (folder / RECIPE).exists():
        return "new"
    if read_resolved_recipe(folder / RECIPE).digest != recipe.digest:
        return "refused without --fresh: it belongs to another recipe; choose another --name"
    return "finished already" if folder.is_finished() else "goes on where it stopped"

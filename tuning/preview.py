"""A study as it would run, for ``--dry-run``: what is trained, when it is judged, and the bytes it will take."""

from __future__ import annotations

from collections.abc import Mapping

from pamfn.recipe import Recipe
from tuning.study import Study

FLOAT = 4  # bytes
MOMENTS = {"adamw": 2, "sgd": 1}  # numbers that the optimiser keeps for each trained weight


def preview(study: Study, widths: Mapping[str, int]) -> str:
    """Returns a resolved study as text.

    Args:
        study: The study.
        widths: Feature width of each modality of the data.
    """
    first = study.space.first_point()
    recipe = study.space.recipe(first)
    rungs = ", ".join(f"{share:.0%}" for share in study.rungs(recipe))
    lines = [
        f"study {study.name}: {study.space.budget.trials} trials of {len(study.replica_names())} networks each",
        f"data: {study.data} (digest {study.digest[:12]}); modalities {', '.join(study.modalities)}",
        f"classes: {', '.join(task.name for task in study.tasks)}",
        f"rungs at {rungs} of each class's budget; first trial {first}",
        *_sizes(study, recipe, {name: widths[name] for name in study.modalities}),
        *study.notes,
    ]
    return "\n".join([*lines, "", study.space.to_yaml()])


def _sizes(study: Study, recipe: Recipe, widths: Mapping[str, int]) -> list[str]:
    networks = len(study.replica_names())
    kept, trained = network_size(recipe, widths)
    weights = 2 * FLOAT * networks * kept  # the last ones and the best ones
    running = 2 * (weights + FLOAT * networks * trained * MOMENTS[recipe.optimizer])  # two checkpoints are kept
    kinds = {"all": "every trial", "finished": "every trial that runs its full budget", "top": "no trial"}
    return [
        f"a trial like the first: {networks} networks of {kept:,} weights beside the fixed branches; "
        f"{in_units(running)} on disk while it runs",
        f"MLflow keeps the weights of {kinds[study.space.tracking.checkpoints]}, {in_units(weights)} each, "
        f"and {study.space.final.top} x {study.space.final.seeds * len(study.tasks)} final networks",
    ]


def network_size(recipe: Recipe, widths: Mapping[str, int]) -> tuple[int, int]:
    """Returns the numbers that one network's checkpoint holds (fixed branches are not in it), and those trained."""
    from pamfn.model.network import PAMFN
    from pamfn.replicas.cut import entries

    network = PAMFN(recipe, widths, [0])
    fixed = [name for name in widths if recipe.phases == "two" and name not in recipe.fine_tuned]
    left_out = tuple(f"branches.{name}." for name in fixed if recipe.fixed_branches == "fixed")
    network.fix(fixed)
    kept = sum(tensor.numel() for name, _, _, tensor in entries(network) if not name.startswith(left_out))
    return kept, sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def in_units(size: int) -> str:
    """Returns a number of bytes for reading, such as ``3.1 GB``."""
    for factor, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"

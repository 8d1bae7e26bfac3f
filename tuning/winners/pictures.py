"""Figures 7 and 8 of a few test videos, as a model's card shows them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from pamfn.data.bank import Bank
from pamfn.data.features import FeatureSet
from pamfn.data.shards import read_shards
from pamfn.figures import attention, decisions
from pamfn.figures.observed import Observed, attends, decides, observe
from pamfn.figures.of_networks import MEANING
from pamfn.figures.timeline import Clock, edges
from pamfn.phases.saved import SavedNetworks
from tuning.study import Study
from tuning.winners.markdown import plain

DOTS_PER_INCH = 100


@dataclass(frozen=True)
class Picture:
    """A figure of a model.

    Args:
        name: Name of its file, made of nothing from the data.
        shows: What it shows, in Markdown.
        png: The file.
    """

    name: str
    shows: str
    png: bytes


def pictures(study: Study, networks: SavedNetworks) -> list[Picture]:
    """Returns the figures that the networks have, of the first class's first network.

    They are of the test videos with the lowest, the middle and the highest annotated score.
    """
    if not (attends(networks.recipe) or decides(networks.recipe)):
        return []
    task = study.tasks[0]
    index = next(i for i, name in enumerate(networks.names) if name.rsplit("/", 2)[0] == task.name)
    features = read_shards(study.data, actions=[task.action], modalities=list(networks.widths), splits=["test"])
    order = np.argsort(features.scores[task.score], kind="stable")
    videos = [int(order[0]), int(order[len(order) // 2]), int(order[-1])]
    found = []
    for place, (video, seen) in enumerate(
        zip(videos, observe(networks, index, Bank.of(features), videos), strict=True)
    ):
        name, truth = features.video_ids[video], features.scores[task.score][video]
        heading = f"{name}: annotated {truth:.2f}, predicted {seen.score:.2f} by one network"
        for kind, figure in _drawn(networks, features, seen, heading.replace("$", r"\$")):
            found.append(Picture(f"{kind}-{place + 1}.png", f"{_TITLES[kind]}, {plain(heading)}", _png(figure)))
    return found


_TITLES = {"figure7": "Attention to each stream", "figure8": "Decisions"}


def _drawn(networks: SavedNetworks, features: FeatureSet, seen: Observed, title: str) -> list[tuple[str, Figure]]:
    recipe, clock, drawn = networks.recipe, Clock(features.schema.seconds_per_segment), []
    if attends(recipe):
        times = edges([of.shape[-1] for of in seen.attention], seen.segments, recipe.stages)
        figure = attention.draw(seen.attention, times, list(networks.widths), clock, title=title)
        drawn.append(("figure7", figure))
    if decides(recipe):
        times, meaning = edges([len(of) for of in seen.decisions], seen.segments, recipe.stages), MEANING[recipe.policy]
        figure = decisions.draw(seen.decisions, times, recipe.fusion_nets, clock, title=title, meaning=meaning)
        drawn.append(("figure8", figure))
    return drawn


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return content.getvalue()


def write_pictures(folder: Path, found: list[Picture]) -> None:
    """Writes figures into a folder, which is made if there are any."""
    for picture in found:
        folder.mkdir(exist_ok=True)
        (folder / picture.name).write_bytes(picture.png)

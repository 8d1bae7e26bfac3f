"""Figures 5, 7 and 8 of a checkpoint's networks on the videos of shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pamfn.data.bank import Bank
from pamfn.data.features import Contents, FeatureSet
from pamfn.data.shards import read_shards, read_table_of_contents
from pamfn.figures import attention, decision_frequencies, decisions
from pamfn.figures.checkpoint import Group, find_network, find_video, groups, stream_faults
from pamfn.figures.observed import Observed, attends, decides, observe
from pamfn.figures.timeline import Clock, edges
from pamfn.phases.saved import SavedNetworks, load_networks

Named = tuple[str, Figure]

MEANING = {"ranked": "decision c (FusionNets 1 to c are on)", "unranked": "decision c (FusionNet c alone is on)"}


@dataclass(frozen=True)
class Wanted:
    """What to draw.

    Args:
        data: Where the shards are.
        split: The videos of Figure 5.
        actions: The classes of Figure 5; None for all.
        video: The video of Figures 7 and 8; None for neither.
        network: The network of Figures 7 and 8; None for the first of the video's class.
        title: What titles begin with; None for the checkpoint's name.
    """

    data: str
    split: str
    actions: Sequence[str] | None = None
    video: str | None = None
    network: str | None = None
    title: str | None = None


def figures_of_networks(folder: Path, wanted: Wanted) -> tuple[list[Named], list[str]]:
    """Returns the figures with the names of their files, and notes.

    Raises:
        ValueError: If the checkpoint or the shards cannot be used, or the networks have nothing that is asked for.
    """
    networks = load_networks(folder)
    recipe, title = networks.recipe, wanted.title or folder.resolve().name
    lacking = []
    if not decides(recipe):
        lacking.append("makes no decisions, so there is no Figure 5" + (" or 8" if wanted.video else ""))
    if wanted.video and not attends(recipe):
        lacking.append("has no attention over modalities, so there is no Figure 7")
    notes = [f"{folder}: {recipe.model} {what}" for what in lacking]
    if not decides(recipe) and not (wanted.video and attends(recipe)):
        raise ValueError("; ".join(notes))
    _, contents = read_table_of_contents(wanted.data)
    if faults := stream_faults(networks, contents, wanted.data):
        raise ValueError("; ".join(faults))
    drawn = []
    if wanted.video is not None:  # first: a wrong name is told at once
        of_video, told = _of_video(networks, contents, wanted, wanted.video, title)
        drawn += of_video
        notes += told
    if decides(recipe):
        figure, told = _frequencies(networks, contents, wanted, title)
        drawn.insert(0, figure)
        notes += told
    return drawn, notes


def _frequencies(networks: SavedNetworks, contents: Contents, wanted: Wanted, title: str) -> tuple[Named, list[str]]:
    actions = list(wanted.actions or dict.fromkeys(contents.actions[v] for v in contents.where(split=wanted.split)))
    features = read_shards(wanted.data, actions=actions, modalities=list(networks.widths), splits=[wanted.split])
    bank, known = Bank.of(features), list(dict.fromkeys(contents.actions))
    shown = [group for group in groups(networks, known) if set(group.actions) & set(actions)]
    if not shown:
        raise ValueError(
            f"--action: no network is named for {', '.join(actions)}; there are {', '.join(networks.names[:5])}"
        )
    nets = networks.recipe.fusion_nets
    shares = {group.task: _shares(networks, group, features, bank, nets) for group in shown}
    without = sorted(set(actions) - {action for group in shown for action in group.actions})
    videos = len({v for group in shown for v in _videos(features, group)})
    heading = f"{title}: decisions on {videos} {wanted.split} videos"
    figure = decision_frequencies.draw(shares, title=heading, meaning=MEANING[networks.recipe.policy])
    return ("figure5-decision-frequencies", figure), [f"no network is named for {a}; it is left out" for a in without]


def _videos(features: FeatureSet, group: Group) -> list[int]:
    return [int(v) for action in group.actions for v in features.where(action=action)]


def _shares(
    networks: SavedNetworks, group: Group, features: FeatureSet, bank: Bank, nets: int
) -> list[NDArray[np.float64]]:
    """Returns the frequencies of each stage, over all videos and networks of a task."""
    seen = [o for index in group.networks for o in observe(networks, index, bank, _videos(features, group))]
    stages = len(seen[0].decisions)
    return [decision_frequencies.frequencies([o.decisions[i] for o in seen], nets) for i in range(stages)]


def _of_video(
    networks: SavedNetworks, contents: Contents, wanted: Wanted, video: str, title: str
) -> tuple[list[Named], list[str]]:
    at = find_video(contents, video, wanted.data)
    action = contents.actions[at]
    index = find_network(networks, action, list(dict.fromkeys(contents.actions)), wanted.network)
    features = read_shards(
        wanted.data, actions=[action], modalities=list(networks.widths), splits=[contents.splits[at]]
    )
    (seen,) = observe(networks, index, Bank.of(features), [features.video_ids.index(video)])
    clock = Clock(contents.schema.seconds_per_segment)
    heading = f"{title}: {video} by {networks.names[index]}, predicted {seen.score:.2f}"
    notes = []
    if len(networks.names) > 1:
        notes.append(f"{video} is seen by {networks.names[index]}, one of {len(networks.names)} networks (--network)")
    return _drawn(networks, seen, clock, heading, video), notes


def _drawn(networks: SavedNetworks, seen: Observed, clock: Clock, heading: str, video: str) -> list[Named]:
    recipe, drawn = networks.recipe, []
    if attends(recipe):
        times = edges([of.shape[-1] for of in seen.attention], seen.segments, recipe.stages)
        figure = attention.draw(seen.attention, times, list(networks.widths), clock, title=heading)
        drawn.append((f"figure7-attention-{video}", figure))
    if decides(recipe):
        times = edges([len(of) for of in seen.decisions], seen.segments, recipe.stages)
        meaning = MEANING[recipe.policy]
        figure = decisions.draw(seen.decisions, times, recipe.fusion_nets, clock, title=heading, meaning=meaning)
        drawn.append((f"figure8-decisions-{video}", figure))
    return drawn

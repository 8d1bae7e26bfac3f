"""The authors' layout: ``features/<class>_<modality>_<extractor>.npy`` and the label files of RG and Fis-V.

A source may hold Rhythmic Gymnastics (``RG/``: Ball, Clubs, Hoop, Ribbon, scored ``total``), Fis-V (``FISV/``: one
class, scored TES and PCS), or both.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pamfn.data.array_files import UnreadableError, load_pickled_dict
from pamfn.data.label_files import Label, headless_labels, read_text, tabbed_labels
from pamfn.data.rules import counted
from pamfn.data.source import Source, Stream, Video

EXTRACTORS = {1: {"rgb": "VST", "flow": "I3D", "audio": "AST"}, 2: {"rgb": "UMT", "flow": "I3D", "audio": "MAST"}}
RG_ACTIONS = ("Ball", "Clubs", "Hoop", "Ribbon")
RG_LARGEST = {"total": 25.0}
FISV_LARGEST = {"TES": 45.0, "PCS": 45.0}
SECONDS_PER_SEGMENT = 32 / 25  # 32 frames at 25 frames a second (Sec. IV-A, IV-C)


def read(source: Path, *, features: int = 1, score: str | None = None, largest: float | None = None) -> Source:
    """Reads the published features.

    Args:
        source: Folder that holds ``features/`` and ``RG/``, ``FISV/`` or both.
        features: 1 for VST + I3D + AST, 2 for UNMT + I3D + MAST (files named UMT, I3D, MAST).
        score: Keep this score only; by default RG's ``total`` and both of Fis-V.
        largest: C of the scores; known for ``total`` (25), TES and PCS (45).
    """
    found = Source(("rgb", "flow", "audio"), {}, extractors=dict(EXTRACTORS[features]))
    found.seconds_per_segment = SECONDS_PER_SEGMENT
    labels = [*_rg_labels(source, score, largest, found), *_fisv_labels(source, score, largest, found)]
    if not any((source / name).is_dir() for name in ("RG", "FISV")):
        found.faults.append(
            f"{source}: has neither RG/ nor FISV/; --source is the folder that holds features/ and them"
        )
    elif not labels and not found.faults:
        found.faults.append(f"{source}: the label files of RG/ and FISV/ list no videos")
    for action in dict.fromkeys(action for action, _ in labels):
        _add_videos(source, action, [label for a, label in labels if a == action], found)
    return found


def _rg_labels(source: Path, score: str | None, largest: float | None, found: Source) -> list[tuple[str, Label]]:
    if not (source / "RG").is_dir():
        return []
    score = score or "total"
    ceiling = largest or RG_LARGEST.get(score)
    if ceiling is None:
        found.faults.append(f"RG: the largest value of score {score!r} is not known; give it by --score-max")
        return []
    found.scores[score] = ceiling
    labelled = []
    for split in ("train", "test"):
        path = source / "RG" / f"{split}.txt"
        text = read_text(path, source, found.faults)
        for label in tabbed_labels(text, f"RG/{split}.txt", split, score, ceiling, found.faults):
            action = label.video_id.split("_")[0]
            if action in RG_ACTIONS:
                labelled.append((action, label))
            else:
                near = difflib.get_close_matches(action, RG_ACTIONS, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                found.faults.append(
                    f"{label.where}: video {label.video_id!r}: unknown action {action!r}; "
                    f"a name begins with {', '.join(RG_ACTIONS)}{hint}"
                )
    return labelled


def _fisv_labels(source: Path, score: str | None, largest: float | None, found: Source) -> list[tuple[str, Label]]:
    if not (source / "FISV").is_dir():
        return []
    if score is not None and score not in FISV_LARGEST:
        found.faults.append(f"FISV: no score {score!r}; there are {', '.join(FISV_LARGEST)}")
        return []
    ceilings = {name: largest or known for name, known in FISV_LARGEST.items()}
    wanted = list(FISV_LARGEST) if score is None else [score]
    found.scores.update({name: ceilings[name] for name in wanted})
    labels = []
    for split in ("train", "test"):
        text = read_text(source / "FISV" / f"{split}.txt", source, found.faults)
        labels += headless_labels(text, f"FISV/{split}.txt", split, ceilings, wanted, found.faults)
    return [("FISV", label) for label in labels]


def _add_videos(source: Path, action: str, labels: list[Label], found: Source) -> None:
    tables: dict[str, tuple[str, dict[str, NDArray[Any]]]] = {}
    for modality, extractor in found.extractors.items():
        file = f"features/{action}_{modality}_{extractor}.npy"
        if not (source / file).is_file():
            found.faults.append(f"{file}: is missing; {counted(len(labels), 'labelled video')} without features")
            continue
        try:
            tables[modality] = (file, load_pickled_dict(source / file))
        except UnreadableError as error:
            found.faults.append(f"{file}: {error}")
    for label in labels:
        streams = {modality: Stream(table.get(label.video_id), file) for modality, (file, table) in tables.items()}
        found.videos.append(Video(label, action, streams))
    with_features = {video for _, table in tables.values() for video in table}
    found.unlabelled += len(with_features - {label.video_id for label in labels})

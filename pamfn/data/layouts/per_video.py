"""One ``features/<id>.npy`` a video, ``train.txt`` and ``test.txt``: one modality, one action class.

GDLT publishes Fis-V this way. A row of the label files is ``id TES PCS [deductions]``, without a header.
"""

from __future__ import annotations

from pathlib import Path

from pamfn.data.array_files import UnreadableError, load_array
from pamfn.data.label_files import headless_labels, read_text
from pamfn.data.schema import modality_faults
from pamfn.data.source import Source, Stream, Video

LARGEST = {"TES": 45.0, "PCS": 45.0}
ACTION = "all"


def read(source: Path, *, modality: str, score: str | None = None, largest: float | None = None) -> Source:
    """Reads one file a video.

    Args:
        source: Folder that holds ``features/``, ``train.txt`` and ``test.txt``.
        modality: What the one stream is called.
        score: Keep TES or PCS only; by default both.
        largest: C of the scores; 45 unless given.
    """
    ceilings = {name: largest or known for name, known in LARGEST.items()}
    if score is not None and score not in ceilings:
        return Source((modality,), {}, faults=[f"{source}: no score {score!r}; there are {', '.join(ceilings)}"])
    wanted = list(ceilings) if score is None else [score]
    if faults := modality_faults(modality):
        return Source((modality,), {}, faults=faults)
    found = Source((modality,), {name: ceilings[name] for name in wanted})
    for split in ("train", "test"):
        text = read_text(source / f"{split}.txt", source, found.faults)
        for label in headless_labels(text, f"{split}.txt", split, ceilings, wanted, found.faults):
            stream = _stream(source, f"features/{label.video_id}.npy", label.video_id, found)
            found.videos.append(Video(label, ACTION, {} if stream is None else {modality: stream}))
    if not found.videos and not found.faults:
        found.faults.append(f"{source}: train.txt and test.txt list no videos")
    labelled = {video.label.video_id for video in found.videos}
    found.unlabelled = sum(path.stem not in labelled for path in source.glob("features/*.npy"))
    return found


def _stream(source: Path, file: str, video: str, found: Source) -> Stream | None:
    if not (source / file).is_file():
        return Stream(None, file)
    try:
        return Stream(load_array(source / file), file)
    except UnreadableError as error:
        found.faults.append(f"{file}: video {video!r}: {error}")
        return None

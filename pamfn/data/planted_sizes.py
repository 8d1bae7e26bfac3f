"""The shapes that planted data come in: Rhythmic Gymnastics, Fis-V, YouTube Highlights, and some for a laptop."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pamfn.data.hidden import LEVEL, MEMORY
from pamfn.highlights.labels import HIGHLIGHTS

# Shares of the parts of quality (``hidden.PARTS``) in the variance of a score
TOTAL = {"common": 0.18, "rgb": 0.13, "flow": 0.13, "audio": 0.13, "contextual": 0.43}
TECHNICAL = {"common": 0.18, "rgb": 0.175, "flow": 0.175, "audio": 0.04, "contextual": 0.43}
COMPONENTS = {"common": 0.18, "rgb": 0.085, "flow": 0.085, "audio": 0.22, "contextual": 0.43}


@dataclass(frozen=True)
class Size:
    """Shape of a planted set.

    Args:
        actions: Action classes.
        train: Training videos a class.
        test: Test videos a class.
        segments: Fewest and most segments of a video.
        widths: Feature width D of RGB, flow and audio.
        scores: By name, the share of each part in its variance.
        largest: Largest score C.
        lags: Segments by which RGB, flow and audio show things later.
        dwell: Mean number of segments before the context changes.
        nuisances: Nuisance processes a modality.
        level: Share of a process's variance that lasts for the whole video; the rest varies within it.
        memory: Correlation of what varies within a video from one segment to the next.
    """

    actions: tuple[str, ...]
    train: int
    test: int
    segments: tuple[int, int]
    widths: tuple[int, int, int]
    scores: dict[str, dict[str, float]]
    largest: float
    lags: tuple[int, int, int]
    dwell: float
    nuisances: int
    level: float = LEVEL
    memory: float = MEMORY

    @property
    def marked(self) -> bool:
        """Whether segments are marked as highlights, in place of scores that annotators give to videos."""
        return HIGHLIGHTS in self.scores


_RG = Size(
    actions=("Ball", "Clubs", "Hoop", "Ribbon"),
    train=200,
    test=50,
    segments=(55, 95),
    widths=(1024, 1024, 768),
    scores={"total": TOTAL},
    largest=25.0,
    lags=(0, 1, 2),
    dwell=16.0,
    nuisances=4,
)
_FISV = replace(
    _RG,
    actions=("FISV",),
    train=400,
    test=100,
    segments=(125, 165),
    scores={"TES": TECHNICAL, "PCS": COMPONENTS},
    largest=45.0,
    dwell=32.0,
)
_TINY = replace(
    _RG,
    actions=("Ball", "Hoop"),
    train=60,
    test=30,
    segments=(16, 24),
    widths=(16, 16, 12),
    lags=(0, 0, 1),
    dwell=6.0,
    nuisances=1,
)

_HIGHLIGHTS = replace(
    _RG,
    actions=("dog", "gymnastics", "parkour", "skating", "skiing", "surfing"),
    train=70,
    test=30,
    segments=(30, 90),
    scores={HIGHLIGHTS: TOTAL},
    largest=1.0,
    level=0.2,
    memory=0.6,
)
_HIGHLIGHTS_TINY = replace(
    _HIGHLIGHTS,
    actions=("dog", "surfing"),
    train=40,
    test=20,
    segments=(24, 36),
    widths=_TINY.widths,
    lags=_TINY.lags,
    dwell=_TINY.dwell,
    nuisances=_TINY.nuisances,
)

SIZES = {
    "tiny": _TINY,
    "small": replace(_RG, train=120, test=40, widths=(64, 64, 48)),
    "rg": _RG,
    "fisv": _FISV,
    "highlights-tiny": _HIGHLIGHTS_TINY,
    "highlights": _HIGHLIGHTS,
}

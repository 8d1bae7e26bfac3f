from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pamfn.data.features import FeatureSet
from pamfn.data.schema import Schema

Planted = Callable[..., FeatureSet]


def test_a_subset_keeps_order_and_content(planted: Planted) -> None:
    features = planted(labelled=True)
    part = features.subset([7, 2])
    assert part.video_ids == (features.video_ids[7], features.video_ids[2])
    assert part.offsets.tolist() == [0, features.lengths[7]]
    start = features.offsets[2]
    np.testing.assert_array_equal(
        part.features["audio"][features.lengths[7] :], features.features["audio"][start : start + features.lengths[2]]
    )
    assert part.segment_labels is not None
    assert features.segment_labels is not None
    np.testing.assert_array_equal(part.segment_labels[: part.lengths[0]], features.segment_labels[features.rows([7])])


def test_an_empty_subset_is_a_set_of_no_videos(planted: Planted) -> None:
    empty = planted().subset([])
    assert len(empty) == 0
    assert empty.features["rgb"].shape == (0, 6)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.features["audio"].__setitem__((0, 0), 9),
        lambda f: f.scores["total"].__setitem__(0, 9),
        lambda f: f.features.__setitem__("rgb", f.features["rgb"].astype(np.float32)),
        lambda f: f.schema.scores.__setitem__("total", 30.0),
    ],
)
def test_the_digest_sees_every_part_of_the_content(planted: Planted, change: Any) -> None:
    features = planted()
    before = features.sealed().schema.digest
    change(features)
    assert features.sealed().schema.digest != before


def test_the_digest_sees_ids_splits_and_groups(planted: Planted) -> None:
    features = planted()
    for name, value in (("video_ids", "other"), ("splits", "test"), ("groups", "other"), ("actions", "Clubs")):
        change: dict[str, Any] = {name: (value, *getattr(features, name)[1:])}
        changed = dataclasses.replace(features, **change)
        assert changed.sealed().schema.digest != features.sealed().schema.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"splits": ("train",)}, "splits: 1 values for 40 videos"),
        ({"segment_labels": np.zeros(3)}, "segment_labels: shape (3,) is not"),
        ({"features": {"rgb": np.zeros((2, 6))}}, "features of 'rgb': shape (2, 6) is not"),
        ({"offsets": np.full(40, 10**6)}, "offsets: a video ends at row"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(planted: Planted, change: Any, message: str) -> None:
    with pytest.raises(ValueError, match="40|shape|offsets") as error:
        dataclasses.replace(planted(), **change)
    assert message in str(error.value)


def test_a_schema_lists_all_its_faults() -> None:
    with pytest.raises(ValueError, match="version") as error:
        Schema(
            version=2,
            modalities={"group": 3, "rgb": 0},
            scores={"total": -1.0},
            seconds_per_segment=0.0,
            extractors={"audio": "AST"},
        )
    assert str(error.value) == (
        "version: 2; this program reads version 1; "
        "modality 'group': a name is letters, digits, '_' and '-', and none of "
        "action, group, scores, segment_labels, segments, split, video_id; "
        "modality 'rgb': width 0 is not a whole number of at least 1; "
        "score 'total': its largest value -1.0 is not positive; seconds_per_segment: 0.0 is not positive; "
        "extractors: ['audio'] are not modalities; there are ['group', 'rgb']"
    )

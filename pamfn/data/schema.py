"""What a set of shards holds: modalities, scores, extractors, and the digest of its content."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

VERSION = 1
LONGEST_NAME = 100
METADATA_KEY = b"pamfn"
COLUMNS = frozenset({"video_id", "action", "split", "group", "scores", "segments", "segment_labels"})
_MODULE_WORDS = (
    "T_destination add_module apply bfloat16 buffers call_super_init children clear compile cpu cuda double drop_from "
    "dump_patches eval extra_repr feature_maps fix float forward get_buffer get_extra_state get_parameter "
    "get_submodule half ipu items keys load_state_dict modules mtia named_buffers named_children named_modules "
    "named_parameters parameters pop register_backward_hook register_buffer register_forward_hook "
    "register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook "
    "register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter "
    "register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule "
    "share_memory state_dict to to_empty train training type update values xpu zero_grad "
)
MODULE_WORDS = frozenset(_MODULE_WORDS.split())
"""What torch's modules and `pamfn.model.branch_set` call their own: no branch of such a name fits among a network's."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Schema:
    """Describes one data set, whatever number of shards it is kept in.

    Args:
        version: Format version of the shards.
        modalities: Name of each modality and its feature width D.
        scores: Name of each score and its largest value C, by which training divides it.
        seconds_per_segment: Length of one segment, if known.
        extractors: Name of the network that extracted a modality, where known.
        digest: SHA-256 of the content, the same however it is cut into shards; empty until it is computed.

    Raises:
        ValueError: If a value breaks its rule; the message lists every fault.
    """

    version: int = VERSION
    modalities: dict[str, int] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    seconds_per_segment: float | None = None
    extractors: dict[str, str] = field(default_factory=dict)
    digest: str = ""

    def __post_init__(self) -> None:
        if faults := _faults(self):
            raise ValueError("; ".join(faults))


def to_metadata(schema: Schema, *, shard: int, shards: int) -> dict[bytes, bytes]:
    """Returns the Parquet metadata of one shard: the schema, and which of how many shards it is."""
    return {METADATA_KEY: json.dumps({**asdict(schema), "shard": shard, "shards": shards}).encode()}


def from_metadata(metadata: Mapping[bytes, bytes] | None) -> tuple[Schema, int, int]:
    """Returns the schema in a shard's metadata, the shard's index, and how many shards there are.

    Raises:
        ValueError: If the file is not a shard of this format; the message says which rule it breaks.
    """
    if not metadata or METADATA_KEY not in metadata:
        raise ValueError("not a shard: its metadata has no 'pamfn' entry; make shards with python -m pamfn.ingest")
    try:
        values = json.loads(metadata[METADATA_KEY])
        shard, shards = int(values.pop("shard")), int(values.pop("shards"))
        return Schema(**values), shard, shards
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"not a shard: its 'pamfn' metadata cannot be read ({error})") from error


def modality_faults(name: str) -> list[str]:
    """Returns why a modality cannot be called this, if so."""
    if name in MODULE_WORDS:
        return [f"modality {name!r}: torch's modules call an attribute of theirs so; rename it"]
    if _NAME.fullmatch(name) and name not in COLUMNS:
        return []
    return [f"modality {name!r}: a name is letters, digits, '_' and '-', and none of {', '.join(sorted(COLUMNS))}"]


def _faults(schema: Schema) -> list[str]:
    faults = []
    if schema.version != VERSION:
        faults.append(f"version: {schema.version!r}; this program reads version {VERSION}")
    for kind, entries in (("modalities", schema.modalities), ("scores", schema.scores)):
        if not entries:
            faults.append(f"{kind}: there are none; a data set needs at least one")
    for kind, names in (("score", schema.scores), ("extractor", schema.extractors.values())):
        faults += [
            f"{kind} {str(name)[:20]!r}: a name has 1 to {LONGEST_NAME} characters, all of them printable"
            for name in names
            if not (isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable())
        ]
    for name, width in schema.modalities.items():
        faults += modality_faults(name)
        if isinstance(width, bool) or not isinstance(width, int) or width < 1:
            faults.append(f"modality {name!r}: width {width!r} is not a whole number of at least 1")
    faults += [
        f"score {n!r}: its largest value {v!r} is not positive" for n, v in schema.scores.items() if not _positive(v)
    ]
    seconds = schema.seconds_per_segment
    if seconds is not None and not _positive(seconds):
        faults.append(f"seconds_per_segment: {seconds!r} is not positive")
    if unknown := set(schema.extractors) - set(schema.modalities):
        faults.append(f"extractors: {sorted(unknown)} are not modalities; there are {list(schema.modalities)}")
    return faults


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0

"""Trained networks as something that answers: clips or videos of shards in, scores in the annotators' unit out.

Nothing here trains, and nothing here knows of the server that asks; see `pamfn.serving.model` for the answers and
`pamfn.predict` for the command that scores whole data sets.
"""

from pamfn.serving.faults import RequestError
from pamfn.serving.model import ServedModel

__all__ = ["RequestError", "ServedModel"]

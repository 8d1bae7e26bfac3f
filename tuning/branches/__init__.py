"""The store of phase-1 artefacts that trials and studies share."""

from tuning.branches.artefacts import State
from tuning.branches.keys import branch_key
from tuning.branches.store import BranchStore, Train

__all__ = ["BranchStore", "State", "Train", "branch_key"]

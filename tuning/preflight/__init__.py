"""What is asked of a cluster before a study starts on it: every failure at once, and nothing started or written.

Every node that is there imports the code at the driver's version, shares the storage with the driver, reads the same
data and reaches MLflow; the cluster can hold what trials run on, now or after it has grown; the storage has room.
"""

from tuning.preflight.checking import Findings, preflight

__all__ = ["Findings", "preflight"]

"""Where a study's results lie: a folder that every node mounts, or a bucket of an S3-compatible object store."""

from tuning.storage.objects import ObjectStore
from tuning.storage.opening import Store, open_store
from tuning.storage.places import absolute, is_remote, place_faults, within
from tuning.storage.retrying import StorageError

__all__ = ["ObjectStore", "StorageError", "Store", "absolute", "is_remote", "open_store", "place_faults", "within"]

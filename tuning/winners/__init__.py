"""A study's best networks as models that MLflow serves, registers and shows.

:func:`winner_folder` makes the folder of one, from which `tuning.tracking.models` makes the logged model.
"""

from tuning.winners.folder import winner_folder

__all__ = ["winner_folder"]

"""Values of command lines, which fail with one line."""

from __future__ import annotations

import argparse
import math


def positive(text: str) -> float:
    """Returns a number above 0.

    Raises:
        argparse.ArgumentTypeError: If the text is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value

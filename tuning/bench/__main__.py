"""Runs ``python -m tuning.bench``."""

import sys

from tuning.bench.command import main

if __name__ == "__main__":  # the processes of --jobs import this module, too
    sys.exit(main())

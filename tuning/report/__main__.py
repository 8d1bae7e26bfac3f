"""Runs ``python -m tuning.report``."""

import sys

from tuning.report import main

sys.exit(main())

"""``python -m tuning.submit``."""

import sys

from tuning.submit import main

sys.exit(main())

"""``python -m ugsd_core.cli``: the same as the console script ``ugsd``."""

from __future__ import annotations

import sys

from ugsd_core.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())

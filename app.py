"""UGSD Studio: starts (or connects to) a verifier and opens the page. An installed package has it as ``ugsd demo``."""

from __future__ import annotations

import sys

from ui.demo import main

if __name__ == "__main__":
    sys.exit(main())

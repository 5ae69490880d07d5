"""The command line, ``ugsd …``.

Light on purpose: asking for help imports neither torch nor anything else that takes a noticeable time. Each command
is a module with ``run(args) -> int``, imported when it is called.

Exit codes: 0 done; 2 an error that a person can mend, told in one sentence on stderr; 130 interrupted by Ctrl-C;
141 the reader of our output went away. Anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

from ugsd_core.cli.entry import main

__all__ = ["main"]
